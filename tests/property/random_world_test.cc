// What must be true of any history, tried on random ones: the judge agrees with itself.
#include "support/random_world.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "language/language.h"
#include "model/json.h"
#include "support/random_expr.h"
#include "support/spec_checker.h"

namespace tailrace::testing {
namespace {

std::string text_of(const OracleWorld& world) {
  std::string text = world.time_zone;
  for (const OraclePerson& person : world.people) {
    for (const OracleEvent& event : person.events)
      text += fmt::format("{} {} {} {}\n", event.event, event.time.ms, event.message_id,
                          to_json(event.properties));
    for (const OracleTrait& trait : person.traits)
      text += fmt::format("{} {} {} {}\n", trait.name, trait.time.ms, trait.message_id, to_json(trait.value));
  }
  return text;
}

// One of every form, so that each has its moments of change found.
const std::vector<std::string> kSegments{
    R"(performed "Product Viewed" at least 2 times within 24h and not performed "Order Placed" within 24h)",
    R"(performed "Product Viewed" at most 1 times within 7d and since last "Order Placed" if any)",
    R"(last("Cart Started") between 2h and 24h ago and not performed "Order Placed" since last "Cart Started")",
    R"(performed "Cart Started" within 7d not followed by "Order Placed" within 2h)",
    R"(performed "Cart Started" followed by "Order Placed" within 24h not followed by "Order Refunded" within 1h)",
    R"(performed "Order Placed" yesterday or performed "Order Placed" this week)",
    R"(sum("Order Placed".revenue within 7d) - sum("Order Refunded".revenue) > 1)",
    R"(avg("Order Placed".revenue within 24h) >= 0.15 or distinct("Product Viewed".currency) = 2)",
    R"(performed "Order Placed" where any products (category = "a" and price > 0.1) since "2026-03-02")",
    R"(top 40% by sum("Order Placed".revenue within 7d) where vip)",
    R"(rank <= 1 by count("Product Viewed" within 24h) among segment "s0")",
    R"(entered segment "s0" within 2h and not in segment "s1")",
    R"(performed "Product Viewed" since entered segment "s3" if any)",
    R"(was in segment "s9" at "2026-03-08" or consent.ads)",
    R"(entered sync "Winback" within 24h or performed "Cart Started" since entered sync "VIP")",
    R"(age > 0.2 and tags = "a" and not country in ("US", "b") or address.city exists)",
    R"(signed_up_at within 7d)",
    R"((if vip then last("Order Placed") else first("Product Viewed")) within 24h)",
};

// Named s0, s1, ...
OracleWorld with_segments(OracleWorld world, const std::vector<std::string>& texts) {
  SpecWorkspace workspace;
  workspace.syncs = {"Winback", "VIP"};
  workspace.traits = {{"vip", language::Type::boolean}, {"signed_up_at", language::Type::time}};
  for (const std::string& text : texts) {
    const std::string name = fmt::format("s{}", workspace.definitions.size());
    workspace.definitions.push_back(
        {.line = 0, .kind = SpecDefinition::Kind::segment, .name = name, .text = text});
  }
  const auto checked = check_workspace(workspace);
  EXPECT_TRUE(checked) << checked.error().message;
  if (!checked) return world;
  for (const CheckedDefinition& definition : *checked) world.segments[definition.name] = definition.expr;
  return world;
}

TEST(RandomWorld, the_same_seed_gives_the_same_world) {
  const auto world = [](std::uint64_t seed) {
    Random random(seed);
    return text_of(random_world(random));
  };
  EXPECT_EQ(world(7), world(7));
  EXPECT_NE(world(7), world(8));
}

TEST(RandomWorld, has_what_it_is_for) {
  int ties = 0;
  int exactly_a_day_apart = 0;
  std::set<Value::Kind> kinds_of_revenue;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    for (const OraclePerson& person : random_world(random).people) {
      std::map<Time, int> at;
      for (const OracleEvent& event : person.events) ++at[event.time];
      for (const auto& [time, count] : at) {
        if (count > 1) ++ties;
        if (at.contains(time + kDay)) ++exactly_a_day_apart;
      }
      for (const OracleEvent& event : person.events) {
        const Value* revenue = event.properties.find("revenue");
        kinds_of_revenue.insert(revenue == nullptr ? Value::Kind::missing : revenue->kind);
      }
    }
  }
  EXPECT_GT(ties, 20);
  EXPECT_GT(exactly_a_day_apart, 20);
  EXPECT_THAT(kinds_of_revenue, ::testing::SizeIs(::testing::Ge(6u)));
}

// The timeline, replayed up to instants of all kinds, against the question asked at that instant.
void expect_timelines_agree(const OracleWorld& world, Random& random) {
  const Time start = RandomWorldOptions{}.start;
  const Time from = start - kDay * 30;
  const Time to = start + kDay * 400;
  std::vector<Time> instants{to};
  for (int i = 0; i < 10; ++i) instants.push_back(random_time(random, start));
  for (int i = 0; i < 10; ++i) {
    const std::uint64_t offset = random.below(static_cast<std::uint64_t>((kDay * 40).count));
    instants.push_back(start + Millis{static_cast<std::int64_t>(offset)});
  }
  Oracle oracle(world);
  for (const auto& [name, expr] : world.segments) {
    SCOPED_TRACE(name + ": " + language::print(*expr));
    const std::vector<PersonId> at_first = oracle.members(*expr, from);
    const std::vector<Transition> timeline = oracle.timeline(*expr, from, to);
    for (const Time at : instants) {
      std::set<PersonId> inside(at_first.begin(), at_first.end());
      for (const Transition& change : timeline) {
        if (change.at > at) break;
        const bool changed =
            change.entered ? inside.insert(change.person).second : inside.erase(change.person) > 0;
        EXPECT_TRUE(changed) << "entered or left twice";
      }
      ASSERT_THAT(oracle.members(*expr, at), ::testing::ElementsAreArray(inside)) << format_time(at);
    }
  }
}

TEST(RandomWorld, the_timeline_is_what_membership_at_every_instant_says) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    const RandomWorldOptions small{.people_max = 3, .events_per_person_max = 8};
    expect_timelines_agree(with_segments(random_world(random, small), kSegments), random);
  }
}

TEST(RandomWorld, so_it_is_for_random_expressions) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    const RandomWorldOptions small{.people_max = 3, .events_per_person_max = 8};
    const OracleWorld world = random_world(random, small);
    RandomExprOptions options;
    options.depth = 3;
    options.syncs = {"Winback", "VIP"};
    options.epoch = small.start;
    options.texts = {vocabulary::kStrings.begin(), vocabulary::kStrings.end()};
    std::vector<std::string> texts;
    for (int i = 0; i < 4; ++i) {
      texts.push_back(language::print(*random_expr(random, options)));
      options.segments.push_back(fmt::format("s{}", i));  // the next one may speak of those before
    }
    expect_timelines_agree(with_segments(world, texts), random);
  }
}

TEST(RandomWorld, the_order_of_arrival_does_not_matter) {
  for (std::uint64_t seed = 100; seed < 120; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Random random(seed);
    const OracleWorld world = with_segments(random_world(random), kSegments);
    OracleWorld reversed = world;
    for (OraclePerson& person : reversed.people) {
      std::ranges::reverse(person.events);
      std::ranges::reverse(person.traits);
      std::ranges::reverse(person.consents);
    }
    Oracle oracle(world);
    Oracle other(reversed);
    for (const auto& [name, expr] : world.segments) {
      const Time at = random_time(random, RandomWorldOptions{}.start) + kHour;
      EXPECT_EQ(oracle.members(*expr, at), other.members(*expr, at)) << name;
    }
  }
}

}  // namespace
}  // namespace tailrace::testing
