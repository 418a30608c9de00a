#include "property/random_scenario.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "property/play.h"
#include "support/random_expr.h"

namespace tailrace::testing {
namespace {

bool one_in(Random& random, std::uint64_t n) { return random.below(n) == 0; }

Time random_receipt(Random& random, Time time) {
  return one_in(random, 2) ? time : std::max(kStart - kDay, random_time(random, kStart));
}

// One of every form.
const std::vector<std::string> kTexts{
    R"(performed "Product Viewed" at least 2 times within 24h and not performed "Order Placed" within 24h)",
    R"(performed "Product Viewed" at most 1 times within 7d and since last "Order Placed" if any)",
    R"(last("Order Refunded") between 2h and 24h ago and not performed "Order Placed" since last "Order Refunded")",
    R"(performed "Product Viewed" within 7d not followed by "Order Placed" within 2h)",
    R"(performed "Product Viewed" followed by "Order Placed" within 24h not followed by "Order Refunded" within 1h)",
    R"(performed "Order Placed" yesterday or performed "Order Placed" this week)",
    R"(sum("Order Placed".revenue within 7d) - sum("Order Refunded".revenue) > 1)",
    R"(avg("Order Placed".revenue within 24h) >= 0.15 or distinct("Product Viewed".currency) = 2)",
    R"(performed "Order Placed" where any products (category = "a" and price > 0.1) since "2026-03-02")",
    R"(performed "Order Placed" where products.price > 0.1 or tags = "a" since first "Order Placed" where revenue > 0)",
    R"(top 40% by sum("Order Placed".revenue within 7d) where vip)",
    R"(rank <= 1 by count("Product Viewed" within 24h) among segment "s0")",
    R"(bottom 50% by spent where lapsed or vip)",
    R"(entered segment "s0" within 2h and not in segment "s1")",
    R"(performed "Product Viewed" since entered segment "s3" if any)",
    R"(was in segment "s7" at "2026-03-08" or consent.ads)",
    R"(entered segment "s15" within 7d)",
    R"(entered sync "Winback" within 24h or performed "Order Placed" since entered sync "VIP")",
    R"(age > 0.2 and tags = "a" and not country in ("US", "b") or address.city exists)",
    R"(signed_up_at within 7d)",
    R"((if vip then last("Order Placed") else first("Product Viewed")) within 24h)",
    R"(lapsed and spent > 0 or tags = tags)",
    R"(last("Order Placed".tags) = "a" or first("Order Placed".products) exists)",
    R"(min("Order Placed".revenue) < max("Order Refunded".revenue) and not (age = age))",
};

void add_syncs(workspace::Workspace& workspace) {
  for (const std::string_view sync : vocabulary::kSyncs)
    workspace.syncs.push_back({.name = std::string(sync), .segment = "s0"});
}

Scenario with_steps(Random& random, std::uint64_t seed, const OracleWorld& world) {
  Scenario scenario;
  scenario.seed = seed;
  scenario.steps = random_steps(random, world);
  return scenario;
}

}  // namespace

std::vector<Step> random_steps(Random& random, const OracleWorld& world) {
  std::vector<Input> inputs;
  const auto add = [&](Input input) {
    input.received_at = random_receipt(random, input.time);
    inputs.push_back(std::move(input));
  };
  for (const OraclePerson& person : world.people) {
    const std::string user = fmt::format("u{}", person.id.value);
    const std::string anonymous = fmt::format("anon-{}", person.id.value);
    const bool joins = one_in(random, 2);
    const auto who = [&] { return joins && one_in(random, 2) ? anonymous : user; };
    for (const OracleEvent& event : person.events)
      add({Input::Kind::event,
           who(),
           "",
           event.time,
           {},
           event.event,
           event.properties,
           fmt::format("{}", event.message_id)});
    for (const OracleTrait& trait : person.traits) {
      const std::string name = who();
      // The same message id from another person, who may become one with this one, and from another source.
      const std::string message_id =
          one_in(random, 2) ? trait.message_id : fmt::format("{}-{}", trait.message_id, user);
      add({Input::Kind::trait, name, "", trait.time, {}, trait.name, trait.value, message_id});
      if (joins && one_in(random, 4))
        add({Input::Kind::trait,
             name == user ? anonymous : user,
             "",
             trait.time,
             {},
             trait.name,
             Value::of(std::string("GB")),
             message_id});
    }
    for (const OracleConsent& consent : person.consents)
      add({Input::Kind::consent,
           who(),
           "",
           consent.time,
           {},
           consent.purpose,
           Value::of(consent.granted),
           fmt::format("{}-{}", consent.message_id, user)});
    for (const auto& [sync, entries] : person.sync_entries) {
      for (const Time entry : entries)
        add({Input::Kind::sync_entry, user, "", entry, {}, sync, {}, "sync-" + user});
    }
    const Time some_time = random_time(random, kStart);
    if (joins) add({Input::Kind::join, anonymous, user, some_time, {}, "", {}, "join-" + user});
    if (one_in(random, 5))
      add({Input::Kind::merge,
           user,
           fmt::format("u{}", random.below(world.people.size())),
           some_time,
           {},
           "",
           {},
           "merge-" + user});
    if (one_in(random, 8)) add({Input::Kind::removal, user, "", some_time, {}, "", {}, "remove-" + user});
  }
  // In order of receipt; what is received at once comes in any order.
  std::map<std::pair<Time, std::uint64_t>, Input> sorted;
  for (Input& input : inputs) sorted.emplace(std::pair(input.received_at, random.next()), std::move(input));
  std::vector<Step> steps;
  for (auto& [when, input] : sorted) {
    input.serial = steps.size();
    steps.push_back({.input = std::move(input)});
  }
  return steps;
}

Travel random_travel(Random& random) {
  const Time at = random_time(random, kStart) + kDay * static_cast<std::int64_t>(random.below(3));
  const Time from = random_time(random, kStart);
  const Time to = std::max(from, random_time(random, kStart)) + kDay;
  return {at, from, to};
}

workspace::Workspace empty_workspace(const OracleWorld& world, bool holds_back) {
  workspace::Workspace workspace;
  workspace.name = "random";
  workspace.time_zone = world.time_zone;
  workspace.consent_unknown = world.consent_unknown;
  for (const std::string_view event : vocabulary::kEvents) {
    if (!holds_back || event != kHeldBack)
      workspace.taxonomy.events.push_back({.name = std::string(event), .aliases = {}});
  }
  for (const std::string_view trait : vocabulary::kTraits) {
    const auto type = trait == "vip"            ? language::Type::boolean
                      : trait == "signed_up_at" ? language::Type::time
                                                : language::Type::any;
    workspace.taxonomy.traits.push_back({std::string(trait), type});
  }
  workspace.definitions.push_back(
      {.name = "lapsed", .text = R"(performed "Order Placed" and not performed "Order Placed" within 24h)"});
  workspace.attributes.push_back({.name = "spent", .text = R"(sum("Order Placed".revenue))"});
  return workspace;
}

bool add_segment(workspace::Workspace& workspace, const std::string& name, const std::string& text) {
  workspace::Workspace larger = workspace;
  larger.segments.push_back({.name = name, .text = text});
  auto checked = usable(larger);
  if (!checked) return false;
  workspace = std::move(*checked);
  return true;
}

workspace::Workspace fixed_workspace(const OracleWorld& world) {
  workspace::Workspace workspace = empty_workspace(world, false);
  for (const std::string& text : kTexts) {
    workspace.segments.push_back({.name = fmt::format("s{}", workspace.segments.size()), .text = text});
  }
  add_syncs(workspace);
  const auto checked = workspace::from_value(workspace::to_value(workspace));
  EXPECT_TRUE(checked) << checked.error().message;
  return checked ? *checked : workspace;
}

workspace::Workspace random_workspace(Random& random, const OracleWorld& world,
                                      const WorkspaceOptions& wanted) {
  workspace::Workspace workspace = empty_workspace(world, wanted.holds_back);
  workspace.segments.push_back({.name = "s0", .text = "vip"});
  add_syncs(workspace);
  RandomExprOptions options;
  options.depth = 3;
  options.epoch = kStart;
  options.syncs = {"Winback", "VIP"};
  options.texts = {vocabulary::kStrings.begin(), vocabulary::kStrings.end()};
  options.events.assign(vocabulary::kEvents.begin(), vocabulary::kEvents.end());
  if (wanted.holds_back) std::erase(options.events, kHeldBack);
  options.number_traits = {"age", "spent"};
  options.number_properties = {"revenue", "quantity", "products.price", "tags"};
  options.text_properties = {"currency", "tags"};
  options.text_traits = {"country", "tags", "address.city"};
  options.segments = {"s0"};
  options.calendar = options.instants = wanted.fixed_times;
  options.ranks = wanted.ranks;
  for (int tries = 0; workspace.segments.size() < 5 && tries < 40; ++tries) {
    if (add_segment(workspace, fmt::format("s{}", workspace.segments.size()),
                    language::print(*random_expr(random, options))) &&
        wanted.nested)
      options.segments.push_back(workspace.segments.back().name);
  }
  EXPECT_EQ(workspace.segments.size(), 5u) << "most random expressions should pass the check";
  return workspace;
}

Scenario fixed_scenario(Random& random, std::uint64_t seed) {
  const OracleWorld world = random_world(random, kSmall);
  workspace::Workspace workspace = fixed_workspace(world);
  Scenario scenario = with_steps(random, seed, world);
  scenario.first = std::move(workspace);
  return scenario;
}

// Which properties have columns from the first event on must not matter.
void index_some(workspace::Workspace& workspace, Random& random) {
  for (auto& event : workspace.taxonomy.events) {
    for (const std::string_view property : vocabulary::kProperties)
      event.properties.push_back({.name = std::string(property), .indexed = one_in(random, 2)});
  }
}

// What stays from one workspace to the next is not worked out again.
void keep_some(workspace::Workspace& second, const workspace::Workspace& first, Random& random) {
  for (std::size_t i = 1; i < first.segments.size(); ++i) {
    if (one_in(random, 2)) continue;
    workspace::Workspace other = second;
    other.segments[1 + random.below(second.segments.size() - 1)].text = first.segments[i].text;
    if (auto checked = usable(other)) second = std::move(*checked);
  }
}

Scenario random_scenario(Random& random, std::uint64_t seed) {
  const OracleWorld world = random_world(random, kSmall);
  const bool holds_back = one_in(random, 3);
  workspace::Workspace first = random_workspace(random, world, {.holds_back = holds_back});
  workspace::Workspace second = random_workspace(random, world, {});
  Random columns(~seed);  // of its own, so that seeds that were found stay what they are
  index_some(first, columns);
  index_some(second, columns);
  keep_some(second, first, columns);
  Scenario scenario = with_steps(random, seed, world);
  scenario.holds_back = holds_back;
  scenario.first = std::move(first);
  scenario.second = std::move(second);
  scenario.change = random.below(scenario.steps.size() + 1);
  return scenario;
}

namespace {

IdentityRules random_rules(Random& random) {
  IdentityRules rules;
  for (std::size_t i = 0; i < IdentityRules::kKinds; ++i) {
    const auto kind = static_cast<IdentifierKind>(i);
    auto& rule = rules.kinds[i];
    rule.merges = !one_in(random, kind <= IdentifierKind::anonymous_id ? 6 : 3);
    if (one_in(random, 3)) rule.people_max = 2 + static_cast<std::uint32_t>(random.below(2));
    if (one_in(random, 3)) rule.values_max = 1 + static_cast<std::uint32_t>(random.below(3));
  }
  if (one_in(random, 4)) rules.of(IdentifierKind::external_id).blocked = {"u1"};
  if (one_in(random, 4)) rules.of(IdentifierKind::anonymous_id).blocked = {"*-2"};
  if (one_in(random, 3)) rules.of(IdentifierKind::email).blocked = {"A@*", "*c@*.com"};
  return rules;
}

workspace::Workspace identity_workspace(const IdentityRules& rules) {
  workspace::Workspace workspace = empty_workspace({}, false);
  workspace.identity = rules;
  for (const char* trait : {"email", "phone"})
    workspace.taxonomy.traits.push_back({trait, language::Type::any});
  for (const char* text :
       {R"(performed "Order Placed" within 24h)", R"(email = "b@example.com" or phone exists)",
        R"(performed "Order Placed" at least 2 times)"})
    EXPECT_TRUE(add_segment(workspace, fmt::format("s{}", workspace.segments.size()), text));
  return workspace;
}

Input identity_input(Random& random, bool is_unlimited) {
  const auto pick = [&](const std::vector<std::string>& texts) { return texts[random.below(texts.size())]; };
  const auto user_number = random.below(5);
  const std::string user = fmt::format("u{}", user_number);
  const std::string anonymous = fmt::format("anon-{}", is_unlimited ? user_number : random.below(4));
  const std::string email = pick({"a@example.com", "b@example.com", "B@Example.com", "c@example.com"});
  Input input;
  input.who = one_in(random, 3) ? anonymous : user;
  input.time = kStart + kMinute * static_cast<std::int64_t>(random.below(3'000));
  const auto phone = [&] { return pick({"+442079460018", "+44 20 7946 0018", "+442079460019"}); };
  // Whom some name by an e-mail or phone alone.
  const auto contact_instead = [&](std::string& who, std::uint64_t one_of) {
    if (!is_unlimited && one_in(random, one_of)) who = one_in(random, 3) ? phone() : email;
  };
  const std::uint64_t kind = random.below(is_unlimited ? 16 : 20);
  if (kind < 4) {
    input.kind = Input::Kind::event;
    input.name = "Order Placed";
    input.value = Value::with(Value::Kind::object);
    contact_instead(input.who, 3);
  } else if (kind < 12) {
    input.kind = Input::Kind::trait;
    input.name = one_in(random, 2) ? "email" : "phone";
    input.value = Value::of(input.name == "email" ? email : phone());
    contact_instead(input.who, 8);
    // Of an order that does not matter: an address that somebody anonymous has may take them to another user.
    if (is_unlimited) input.who = user;
    if (!is_unlimited && one_in(random, 8)) input.who.clear();
  } else if (kind < 15) {
    input.kind = Input::Kind::join;
    input.who = anonymous;
    input.other = user;
    contact_instead(input.who, 4);
    // Beside a previous e-mail it would be pinned with it.
    if (one_in(random, 3) && !is_unlimited && kind_of(input.who) != IdentifierKind::email) {
      input.value = Value::with(Value::Kind::object);
      input.value.members.emplace_back("email", Value::of(email));
    }
  } else if (kind < 16) {
    input.kind = Input::Kind::merge;
    input.who = is_unlimited || one_in(random, 2) ? user : anonymous;
    input.other = fmt::format("u{}", random.below(5));
    contact_instead(input.who, 4);
    contact_instead(input.other, 8);
  } else if (kind < 18) {
    input.kind = Input::Kind::consent;
    input.name = "ads";
    input.value = Value::of(one_in(random, 2));
    contact_instead(input.who, 4);
  } else {
    input.kind = Input::Kind::removal;
    contact_instead(input.who, 4);
  }
  return input;
}

std::vector<Step> identity_steps(Random& random, bool is_unlimited) {
  std::vector<Step> steps;
  const std::uint64_t count = 10 + random.below(50);
  for (std::uint64_t i = 0; i < count; ++i) {
    Input input = identity_input(random, is_unlimited);
    input.message_id = fmt::format("m{}", i);
    input.serial = i;
    input.received_at = kStart + kMinute * static_cast<std::int64_t>(30 * i);
    steps.push_back({.input = std::move(input)});
  }
  return steps;
}

}  // namespace

Scenario identity_scenario(Random& random, std::uint64_t seed) {
  Scenario scenario;
  scenario.seed = seed;
  scenario.steps = identity_steps(random, false);
  scenario.first = identity_workspace(random_rules(random));
  scenario.second = identity_workspace(random_rules(random));
  scenario.change = random.below(scenario.steps.size() + 1);
  return scenario;
}

Scenario unlimited_identity_scenario(Random& random, std::uint64_t seed) {
  Scenario scenario;
  scenario.seed = seed;
  scenario.steps = identity_steps(random, true);
  IdentityRules rules;
  rules.of(IdentifierKind::email).merges = true;
  rules.of(IdentifierKind::phone).merges = one_in(random, 2);
  scenario.first = identity_workspace(rules);
  return scenario;
}

}  // namespace tailrace::testing
