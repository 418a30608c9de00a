#include "support/random_world.h"

#include <string>
#include <utility>

#include <fmt/format.h>

namespace tailrace::testing {
namespace {

template <class T, std::size_t n>
const T& pick(Random& random, const std::array<T, n>& choices) {
  return choices[random.below(n)];
}

bool one_in(Random& random, std::uint64_t n) { return random.below(n) == 0; }

Value random_string(Random& random) { return Value::of(std::string(pick(random, vocabulary::kStrings))); }

// Mostly prices, some equal as numbers but not as texts, some at the edge of exactness.
Value random_number(Random& random) {
  static constexpr std::array<std::string_view, 10> kNumbers{
      "0", "1", "1.0", "2", "0.1", "0.2", "0.30", "19.99", "-5", "99999999999999.9999"};
  return Value::of(*Number::parse(pick(random, kNumbers)));
}

Value random_count(Random& random) {
  return Value::of(Number::integer(static_cast<std::int64_t>(random.below(4))));
}

Value random_list(Random& random, Value (*element)(Random&)) {
  Value list = Value::with(Value::Kind::list);
  for (std::uint64_t count = random.below(4); count > 0; --count)
    list.list.push_back(one_in(random, 8) ? Value::of_null() : element(random));
  return list;
}

// Each member is there two times in three.
Value random_product(Random& random) {
  Value product = Value::with(Value::Kind::object);
  for (const std::string_view name : vocabulary::kProductProperties) {
    if (one_in(random, 3)) continue;
    product.members.emplace_back(name, name == "category" ? random_string(random)
                                       : name == "price"  ? random_number(random)
                                                          : random_count(random));
  }
  return product;
}

Value random_address(Random& random) {
  Value address = Value::with(Value::Kind::object);
  if (!one_in(random, 4)) address.members.emplace_back("city", random_string(random));
  return address;
}

// What the name promises.
Value value_as_named(Random& random, std::string_view name, Time start) {
  if (name == "revenue" || name == "price" || name == "age") return random_number(random);
  if (name == "quantity") return random_count(random);
  if (name == "vip") return Value::of(one_in(random, 2));
  if (name == "products") return random_list(random, random_product);
  if (name == "tags") return random_list(random, random_string);
  if (name == "address") return random_address(random);
  if (name == "signed_up_at") return Value::of(format_time(random_time(random, start)));
  return random_string(random);
}

// Few ids, so that events of one millisecond come in another order than they were said in.
std::string random_message_id(Random& random, std::size_t index) {
  return fmt::format("{}{}", static_cast<char>('a' + random.below(3)), index);
}

Value random_properties(Random& random, Time start) {
  Value properties = Value::with(Value::Kind::object);
  for (const std::string_view name : vocabulary::kProperties) {
    if (!one_in(random, 3)) properties.members.emplace_back(name, random_value(random, name, start));
  }
  return properties;
}

OraclePerson random_person(Random& random, PersonId id, const RandomWorldOptions& options) {
  OraclePerson person;
  person.id = id;
  std::size_t index = 0;
  const auto message_id = [&] { return random_message_id(random, index++); };
  const auto time = [&] { return random_time(random, options.start); };
  for (std::uint64_t count = random.below(options.events_per_person_max + 1); count > 0; --count) {
    person.events.push_back({std::string(pick(random, vocabulary::kEvents)), time(), message_id(),
                             random_properties(random, options.start)});
  }
  for (std::uint64_t count = random.below(options.traits_per_person_max + 1); count > 0; --count) {
    const std::string_view name = pick(random, vocabulary::kTraits);
    person.traits.push_back(
        {std::string(name), random_value(random, name, options.start), time(), message_id()});
  }
  for (std::uint64_t count = random.below(4); count > 0; --count) {
    person.consents.push_back(
        {std::string(pick(random, vocabulary::kPurposes)), one_in(random, 2), time(), message_id()});
  }
  if (one_in(random, 2)) person.sync_entries[std::string(pick(random, vocabulary::kSyncs))] = {time()};
  return person;
}

}  // namespace

Time random_time(Random& random, Time start) {
  Time time = start;
  for (std::uint64_t steps = random.below(4); steps > 0; --steps)
    time = time + pick(random, vocabulary::kSpans) * static_cast<std::int64_t>(random.below(4));
  if (one_in(random, 4)) time = time + Millis{static_cast<std::int64_t>(random.below(3)) - 1};
  return time;
}

Value random_value(Random& random, std::string_view name, Time start) {
  if (one_in(random, 10)) return Value::of_null();
  if (!one_in(random, 8)) return value_as_named(random, name, start);
  // Another type than the name promises.
  static constexpr std::array<std::string_view, 5> kOthers{"revenue", "currency", "vip", "tags", "products"};
  return value_as_named(random, pick(random, kOthers), start);
}

OracleWorld random_world(Random& random, const RandomWorldOptions& options) {
  OracleWorld world;
  const std::uint64_t people = 1 + random.below(options.people_max);
  for (std::uint32_t id = 0; id < people; ++id)
    world.people.push_back(random_person(random, PersonId{id}, options));
  if (options.daylight_saving && one_in(random, 2)) {
    // Clocks change on 2026-03-08 in New York and on 2026-03-29 in London.
    static constexpr std::array<std::string_view, 2> kZones{"America/New_York", "Europe/London"};
    world.time_zone = pick(random, kZones);
  }
  world.consent_unknown = one_in(random, 2);
  return world;
}

}  // namespace tailrace::testing
