#include "segments/backtest.h"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>

#include "base/random.h"

namespace tailrace::segments {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Time at(std::string_view text) { return *parse_time(text); }

const Time kFrom = at("2026-03-01T12:00:00Z");
const Time kTo = at("2026-03-04");

Period period() { return period_of(Zone::utc(), kFrom, kTo); }

std::vector<std::string> described(const std::vector<Backtest::Day>& days) {
  std::vector<std::string> lines;
  for (const auto& day : days) {
    lines.push_back(format_time(day.begin).substr(0, 10) + " +" + std::to_string(day.entered) + " -" +
                    std::to_string(day.left) + " =" + std::to_string(day.size));
  }
  return lines;
}

TEST(Period, is_made_of_the_zones_days) {
  const Zone london = *Zone::named("Europe/London");
  const Period days = period_of(london, at("2026-03-28T12:00:00Z"), at("2026-03-30T12:00:00Z"));
  EXPECT_THAT(days.days, ElementsAre(at("2026-03-28T00:00:00Z"), at("2026-03-29T00:00:00Z"),
                                     at("2026-03-29T23:00:00Z")));
}

TEST(Backtest, of_nobody_is_empty) {
  const Backtest result = Backtester(period()).finish();
  EXPECT_EQ(result.size_at_end, 0u);
  EXPECT_EQ(result.people, 0u);
  EXPECT_FALSE(result.median_stay);
  EXPECT_THAT(described(result.days),
              ElementsAre("2026-03-01 +0 -0 =0", "2026-03-02 +0 -0 =0", "2026-03-03 +0 -0 =0"));
}

TEST(Backtest, counts_by_hand) {
  Backtester backtester(period());
  // In since before, leaves on the 2nd at 06:00 after 5 days; in again on the 3rd.
  backtester.add(PersonId(1),
                 {.initially = true, .changes = {at("2026-03-02T06:00:00Z"), at("2026-03-03T01:00:00Z")}},
                 at("2026-02-25T06:00:00Z"));
  // Comes and goes within the period: 18 hours.
  backtester.add(PersonId(2),
                 {.initially = false, .changes = {at("2026-03-01T18:00:00Z"), at("2026-03-02T12:00:00Z")}},
                 {});
  // Never inside.
  backtester.add(PersonId(3), {}, {});
  // Always inside, until the 3rd.
  backtester.add(PersonId(5), {.initially = true, .changes = {at("2026-03-03")}}, {});
  // Inside throughout.
  backtester.add(PersonId(7), {.initially = true, .changes = {}}, {});
  const Backtest result = backtester.finish();

  EXPECT_EQ(result.size_at_start, 3u);
  EXPECT_EQ(result.size_at_end, 2u);
  EXPECT_EQ(result.people, 4u);
  EXPECT_EQ(result.entered, 2u);
  EXPECT_EQ(result.left, 3u);
  EXPECT_THAT(result.members, ElementsAre(PersonId(1), PersonId(7)));
  EXPECT_EQ(result.largest.size, 4u);
  EXPECT_EQ(result.largest.at, at("2026-03-01T18:00:00Z"));
  EXPECT_EQ(result.smallest.size, 1u);
  EXPECT_EQ(result.smallest.at, at("2026-03-03"));
  EXPECT_EQ(result.stays, 2u);
  EXPECT_EQ(result.stays_since_ever, 1u);
  EXPECT_EQ(result.median_stay, Millis{(kHour * 18 + kDay * 5).count / 2});
  EXPECT_THAT(described(result.days),
              ElementsAre("2026-03-01 +1 -0 =4", "2026-03-02 +0 -2 =2", "2026-03-03 +1 -1 =2"));
}

TEST(Backtest, the_median_of_an_odd_number_is_the_one_in_the_middle) {
  Backtester backtester(period());
  for (const std::int64_t hours : {5, 1, 30})
    backtester.add(PersonId(static_cast<std::uint32_t>(hours)),
                   {.initially = false, .changes = {kFrom + kHour, kFrom + kHour * (1 + hours)}}, {});
  EXPECT_EQ(backtester.finish().median_stay, kHour * 5);
}

TEST(Backtest, changes_of_one_instant_count_together) {
  const Time noon = at("2026-03-02T12:00:00Z");
  Backtester backtester(period());
  backtester.add(PersonId(0), {.initially = true, .changes = {noon}}, {});
  backtester.add(PersonId(1), {.initially = false, .changes = {noon}}, {});
  const Backtest result = backtester.finish();
  EXPECT_EQ(result.smallest.size, 1u);
  EXPECT_EQ(result.largest.size, 1u);
  EXPECT_EQ(result.largest.at, kFrom);
}

TEST(Backtest, a_last_day_of_one_instant_is_told_when_something_happened) {
  Backtester backtester(period());
  backtester.add(PersonId(0), {.initially = false, .changes = {kTo}}, {});
  EXPECT_THAT(described(backtester.finish().days), ElementsAre("2026-03-01 +0 -0 =0", "2026-03-02 +0 -0 =0",
                                                               "2026-03-03 +0 -0 =0", "2026-03-04 +1 -0 =1"));
}

TEST(Backtest, of_one_instant_has_no_changes) {
  Backtester backtester(period_of(Zone::utc(), kTo, kTo));
  backtester.add(PersonId(0), {.initially = true, .changes = {}}, {});
  const Backtest result = backtester.finish();
  EXPECT_EQ(result.size_at_end, 1u);
  EXPECT_THAT(described(result.days), ElementsAre("2026-03-04 +0 -0 =1"));
}

// The extremes are looked for only where they can be; here they are looked for everywhere.
TEST(Backtest, extremes_and_medians_agree_with_a_plain_count) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Millis length{static_cast<std::int64_t>(1 + random.below(seed % 2 == 0 ? 50 : 4'000'000'000))};
    const Time to = kFrom + length;
    Backtester backtester(period_of(Zone::utc(), kFrom, to));
    std::map<Time, std::int64_t> steps;
    std::vector<std::int64_t> stays;
    std::int64_t size = 0;
    for (std::uint32_t person = 0; person < 200; ++person) {
      Timeline line{.initially = random.below(3) == 0, .changes = {}};
      for (auto left = random.below(6); left > 0; --left)
        line.changes.push_back(kFrom + Millis{1 + static_cast<std::int64_t>(random.below(
                                                      static_cast<std::uint64_t>(length.count)))});
      std::sort(line.changes.begin(), line.changes.end());
      line.changes.erase(std::unique(line.changes.begin(), line.changes.end()), line.changes.end());
      size += line.initially ? 1 : 0;
      const Time entered = kFrom - kDay;
      Time since = entered;
      bool inside = line.initially;
      for (const Time change : line.changes) {
        inside = !inside;
        steps[change] += inside ? 1 : -1;
        if (!inside) stays.push_back((change - since).count);
        since = change;
      }
      backtester.add(PersonId(person), line, entered);
    }
    Backtest::Extreme low{.size = static_cast<std::uint64_t>(size), .at = kFrom};
    Backtest::Extreme high = low;
    for (const auto& [when, change] : steps) {
      size += change;
      const auto now = static_cast<std::uint64_t>(size);
      if (now < low.size) low = {.size = now, .at = when};
      if (now > high.size) high = {.size = now, .at = when};
    }
    std::sort(stays.begin(), stays.end());
    const Backtest result = backtester.finish();
    EXPECT_EQ(result.smallest.size, low.size);
    EXPECT_EQ(result.smallest.at, low.at);
    EXPECT_EQ(result.largest.size, high.size);
    EXPECT_EQ(result.largest.at, high.at);
    EXPECT_EQ(result.size_at_end, static_cast<std::uint64_t>(size));
    ASSERT_EQ(result.stays, stays.size());
    if (!stays.empty()) {
      EXPECT_EQ(result.median_stay->count, (stays[(stays.size() - 1) / 2] + stays[stays.size() / 2]) / 2);
    }
  }
}

TEST(CommonCount, counts_who_is_in_both) {
  const std::vector<PersonId> a{PersonId(1), PersonId(3), PersonId(4)};
  const std::vector<PersonId> b{PersonId(0), PersonId(3), PersonId(4), PersonId(9)};
  EXPECT_EQ(common_count(a, b), 2u);
  EXPECT_EQ(common_count(a, {}), 0u);
}

}  // namespace
}  // namespace tailrace::segments
