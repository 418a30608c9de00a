#include "cli/chart.h"

#include <gmock/gmock.h>

namespace tailrace::cli {
namespace {

using ::testing::ElementsAre;

Time at(std::string_view text) { return *parse_time(text); }

std::vector<Time> days(std::string_view first, std::size_t count) {
  std::vector<Time> result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(at(first) + kDay * static_cast<std::int64_t>(i));
  return result;
}

TEST(Chart, draws_an_eighth_of_a_line_for_an_eighth_of_a_line) {
  EXPECT_EQ(chart({0, 8, 12, 64}, "03-01", "03-04"),
            "64 ┤      ██\n"
            "   │      ██\n"
            "   │      ██\n"
            "   │      ██\n"
            "   │      ██\n"
            "   │      ██\n"
            "   │    ▄▄██\n"
            "   │  ██████\n"
            " 0 └────────\n"
            "    03-01 03-04\n");
}

TEST(Chart, shows_somebody_beside_many_and_nobody_at_all) {
  EXPECT_THAT(chart({1, 1'000'000}, "a", "b"), ::testing::HasSubstr("│▁▁██\n"));
  EXPECT_THAT(chart({0, 0}, "a", "b"), ::testing::HasSubstr("0 └────\n"));
}

TEST(Chart, begins_near_the_values_where_they_are_close_together) {
  const std::string drawn = chart({1184, 1270}, "a", "b");
  EXPECT_THAT(drawn, ::testing::HasSubstr("1,270 ┤  ██\n"));
  EXPECT_THAT(drawn, ::testing::HasSubstr("1,180 └────\n"));
}

TEST(Chart, fits_eighty_columns) {
  const std::string drawn = chart(std::vector<std::uint64_t>(kChartColumns, 123'456'789), "a", "b");
  for (std::size_t begin = 0; begin < drawn.size();) {
    const std::size_t end = drawn.find('\n', begin);
    std::size_t width = 0;
    for (std::size_t i = begin; i < end; ++i) width += (drawn[i] & 0xc0) != 0x80;
    EXPECT_LE(width, 80u);
    begin = end + 1;
  }
}

TEST(Groups, are_days_until_there_are_too_many) {
  const Groups groups = group_days(Zone::utc(), days("2026-03-01", 3), 3);
  EXPECT_EQ(groups.unit, "day");
  EXPECT_THAT(groups.ends, ElementsAre(1, 2, 3));
  EXPECT_THAT(groups.labels, ElementsAre("2026-03-01", "2026-03-02", "2026-03-03"));
}

TEST(Groups, are_weeks_from_monday_then_months_then_years) {
  // 1 March 2026 is a Sunday.
  const Groups weeks = group_days(Zone::utc(), days("2026-03-01", 9), 3);
  EXPECT_EQ(weeks.unit, "week of");
  EXPECT_THAT(weeks.ends, ElementsAre(1, 8, 9));
  EXPECT_THAT(weeks.labels, ElementsAre("2026-02-23", "2026-03-02", "2026-03-09"));
  const Groups months = group_days(Zone::utc(), days("2026-02-28", 33), 3);
  EXPECT_EQ(months.unit, "month");
  EXPECT_THAT(months.ends, ElementsAre(1, 32, 33));
  EXPECT_THAT(months.labels, ElementsAre("2026-02", "2026-03", "2026-04"));
  const Groups years = group_days(Zone::utc(), days("2020-01-01", 366 + 365 + 365 + 1), 2);
  EXPECT_EQ(years.unit, "2 years from");
  EXPECT_THAT(years.ends, ElementsAre(366 + 365, 366 + 365 + 365 + 1));
  EXPECT_THAT(years.labels, ElementsAre("2020", "2022"));
}

TEST(Groups, are_of_the_zones_days) {
  const Zone berlin = *Zone::named("Europe/Berlin");
  const Groups groups = group_days(berlin, {at("2026-02-28T23:00:00Z"), at("2026-03-01T23:00:00Z")}, 5);
  EXPECT_THAT(groups.labels, ElementsAre("2026-03-01", "2026-03-02"));
}

TEST(Duration, is_told_exactly) {
  EXPECT_EQ(in_words(kDay * 30), "30d");
  EXPECT_EQ(in_words({0}), "0s");
  EXPECT_EQ(in_words({1}), "0.001s");
  EXPECT_EQ(in_words(kDay + kHour * 2 + kMinute * 3 + Millis{4005}), "1d 2h 3m 4.005s");
  EXPECT_EQ(in_words(kHour + kSecond * 7), "1h 7s");
}

}  // namespace
}  // namespace tailrace::cli
