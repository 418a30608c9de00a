// The shrinker, with judges that are wrong on purpose: it must come down to the few inputs and the one short
// expression that show what is wrong with them.
#include "property/shrink.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "language/language.h"
#include "property/judged_run.h"
#include "property/random_scenario.h"
#include "support/simpler_expr.h"

namespace tailrace::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The smallest scenarios in which a judge that is told so differs, of the first seeds in which it does.
std::vector<Shrunk> smallest(const Telling& telling) {
  const Property property = [&](const Scenario& scenario) {
    Scenario copy = scenario;
    return run_against_judge(copy, nullptr, telling);
  };
  std::vector<Shrunk> result;
  for (std::uint64_t seed = 0; result.size() < 3 && seed < 50; ++seed) {
    Random random(seed);
    Scenario scenario = random_scenario(random, seed);
    if (const auto finding = run_against_judge(scenario, &random, telling))
      result.push_back(shrink(scenario, *finding, property));
  }
  return result;
}

// One segment of one workspace, of these many inputs at most; nothing else happens.
void expect_small(const std::vector<Shrunk>& all, std::size_t inputs_max) {
  EXPECT_EQ(all.size(), 3u);
  for (const Shrunk& small : all) {
    SCOPED_TRACE(report(small.scenario, small.finding));
    EXPECT_FALSE(small.scenario.second);
    EXPECT_EQ(small.scenario.first.segments.size(), 1u);
    EXPECT_LE(small.scenario.steps.size(), inputs_max);
    EXPECT_TRUE(std::ranges::none_of(small.scenario.steps, [](const Step& step) {
      return step.restarts.value_or(false) || step.repeats.value_or(false) || step.works.value_or(false);
    }));
  }
}

TEST(Shrink, a_judge_that_forgets_refunds_is_shown_wrong_by_two_inputs_at_most) {
  const auto all = smallest([](OracleWorld& world) {
    for (OraclePerson& person : world.people)
      std::erase_if(person.events, [](const OracleEvent& event) { return event.event == "Order Refunded"; });
  });
  expect_small(all, 2);
  for (const Shrunk& small : all)
    EXPECT_THAT(report(small.scenario, small.finding), HasSubstr("performs \"Order Refunded\""));
}

TEST(Shrink, one_that_is_a_millisecond_late_by_one_input) {
  expect_small(smallest([](OracleWorld& world) {
                 for (OraclePerson& person : world.people) {
                   for (OracleEvent& event : person.events) event.time = event.time + Millis{1};
                 }
               }),
               1);
}

TEST(Shrink, one_that_knows_no_second_event_of_a_name_by_three_inputs_at_most) {
  expect_small(smallest([](OracleWorld& world) {
                 for (OraclePerson& person : world.people) {
                   std::set<std::string> names;
                   std::erase_if(person.events,
                                 [&](const OracleEvent& one) { return !names.insert(one.event).second; });
                 }
               }),
               3);
}

TEST(Shrink, one_that_loses_people_of_whom_much_is_known_by_three_inputs) {
  expect_small(smallest([](OracleWorld& world) {
                 std::erase_if(world.people, [](const OraclePerson& person) {
                   return person.events.size() + person.traits.size() + person.consents.size() >= 3;
                 });
               }),
               3);
}

Scenario small_scenario() {
  Scenario scenario;
  scenario.first = empty_workspace({}, false);
  scenario.first.attributes.clear();
  scenario.first.definitions.clear();
  scenario.first.taxonomy.traits.clear();
  EXPECT_TRUE(add_segment(scenario.first, "s0", R"(performed "Order Placed" within 2h)"));
  Value properties = Value::with(Value::Kind::object);
  properties.members.emplace_back("revenue", Value::of(Number::integer(5)));
  const Time noon = kStart + kHour * 12;
  scenario.steps.push_back(
      {.input = {Input::Kind::event, "anon-1", "", kStart, noon, "Order Placed", properties, "a", 0},
       .repeats = true,
       .repeated = 0,
       .restarts = true});
  scenario.steps.push_back({.input = {Input::Kind::join, "anon-1", "u1", kStart, noon, "", {}, "b", 1}});
  return scenario;
}

TEST(Report, reads_like_a_specification) {
  EXPECT_EQ(report(small_scenario(), {"members at noon", "s0: ada\n", ""}),
            R"(segment s0 = performed "Order Placed" within 2h

at 2026-03-01T12:00:00.000Z  anon-1 performs "Order Placed" {"revenue":5} at 2026-03-01T00:00:00.000Z as a
# Once more: at 2026-03-01T12:00:00.000Z  anon-1 performs "Order Placed" {"revenue":5} at 2026-03-01T00:00:00.000Z as a
# Restart.
at 2026-03-01T12:00:00.000Z  anon-1 becomes u1

members at noon
expected
  s0: ada
got
  nothing
)");
}

std::vector<std::string> simpler_texts(const std::string& text) {
  const auto expr = language::parse(text);
  EXPECT_TRUE(expr);
  std::vector<std::string> texts;
  for (const language::ExprPtr& one : simpler(**expr)) texts.push_back(language::print(*one));
  return texts;
}

TEST(SimplerExpr, a_part_in_place_of_the_whole_first) {
  EXPECT_THAT(simpler_texts("vip and not age > 3"), ElementsAre("vip", "not age > 3", "vip and age > 3"));
  EXPECT_THAT(simpler_texts(R"(performed "X" where a = 1 or b = 2 at least 2 times within 7d)"),
              ElementsAre(R"(performed "X" where (a = 1 or b = 2) within 7d)",
                          R"(performed "X" where (a = 1 or b = 2) at least 2 times)",
                          R"(performed "X" at least 2 times within 7d)",
                          R"(performed "X" where a = 1 at least 2 times within 7d)",
                          R"(performed "X" where b = 2 at least 2 times within 7d)"));
}

TEST(SimplerExpr, nothing_is_simpler_than_a_word) { EXPECT_THAT(simpler_texts("vip"), IsEmpty()); }

}  // namespace
}  // namespace tailrace::testing
