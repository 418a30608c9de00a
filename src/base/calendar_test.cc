#include "base/calendar.h"

#include <gtest/gtest.h>

namespace tailrace {
namespace {

using Unit = Zone::Unit;

Time at(std::string_view text) { return *parse_time(text); }
std::string start(const char* zone, Unit unit, std::string_view t, int steps = 0) {
  return format_time(Zone::named(zone)->start_of(unit, at(t), steps));
}
std::string local(const char* zone, std::string_view wall) {
  return format_time(Zone::named(zone)->from_local(at(wall)));
}

TEST(Zone, refuses_unknown_names) {
  for (const auto* name : {"", "Mars/Olympus", "Europe/Londn", "GMT+25", "../etc/passwd"})
    EXPECT_FALSE(Zone::named(name)) << name;
  EXPECT_EQ(Zone::named("Mars/Olympus").error().message,
            "unknown time zone `Mars/Olympus`; write an IANA name like Europe/London or UTC");
  EXPECT_EQ(Zone::utc().name(), "UTC");
}

TEST(Zone, knows_days_of_23_and_25_hours) {
  // London, spring 2026: clocks go forward on 29 March at 01:00 UTC; back on 25 October at 01:00 UTC.
  EXPECT_EQ(start("Europe/London", Unit::day, "2026-03-29T12:00:00Z"), "2026-03-29T00:00:00.000Z");
  EXPECT_EQ(start("Europe/London", Unit::day, "2026-03-29T12:00:00Z", 1), "2026-03-29T23:00:00.000Z");
  EXPECT_EQ(start("Europe/London", Unit::day, "2026-03-29T22:59:59.999Z"), "2026-03-29T00:00:00.000Z");
  EXPECT_EQ(start("Europe/London", Unit::day, "2026-03-29T23:00:00Z"), "2026-03-29T23:00:00.000Z");
  EXPECT_EQ(start("Europe/London", Unit::day, "2026-10-25T12:00:00Z"), "2026-10-24T23:00:00.000Z");
  EXPECT_EQ(start("Europe/London", Unit::day, "2026-10-25T12:00:00Z", 1), "2026-10-26T00:00:00.000Z");
  // New York: 8 March and 1 November 2026.
  EXPECT_EQ(start("America/New_York", Unit::day, "2026-03-08T12:00:00Z"), "2026-03-08T05:00:00.000Z");
  EXPECT_EQ(start("America/New_York", Unit::day, "2026-03-08T12:00:00Z", 1), "2026-03-09T04:00:00.000Z");
  EXPECT_EQ(start("America/New_York", Unit::day, "2026-11-01T12:00:00Z", 1), "2026-11-02T05:00:00.000Z");
}

TEST(Zone, shows_a_wall_clock) {
  const auto shown = [](std::string_view t) {
    return format_time(Zone::named("Europe/London")->to_local(at(t)));
  };
  EXPECT_EQ(shown("2026-03-29T00:59:59Z"), "2026-03-29T00:59:59.000Z");
  EXPECT_EQ(shown("2026-03-29T01:00:00Z"), "2026-03-29T02:00:00.000Z");
  EXPECT_EQ(shown("2026-10-25T01:00:00Z"), "2026-10-25T01:00:00.000Z");
}

TEST(Zone, reads_a_wall_clock_in_gaps_and_folds) {
  // 01:00 to 02:00 does not exist in London on 29 March: the gap's end stands for it.
  EXPECT_EQ(local("Europe/London", "2026-03-29T01:00:00Z"), "2026-03-29T01:00:00.000Z");
  EXPECT_EQ(local("Europe/London", "2026-03-29T01:30:00Z"), "2026-03-29T01:00:00.000Z");
  EXPECT_EQ(local("America/New_York", "2026-03-08T02:59:59.999Z"), "2026-03-08T07:00:00.000Z");
  EXPECT_EQ(local("Europe/London", "2026-03-29T00:59:59.999Z"), "2026-03-29T00:59:59.999Z");
  EXPECT_EQ(local("Europe/London", "2026-03-29T02:00:00Z"), "2026-03-29T01:00:00.000Z");
  // 01:30 comes twice on 25 October; the first is still summer time.
  EXPECT_EQ(local("Europe/London", "2026-10-25T01:30:00Z"), "2026-10-25T00:30:00.000Z");
  EXPECT_EQ(local("Europe/London", "2026-10-25T02:00:00Z"), "2026-10-25T02:00:00.000Z");
  EXPECT_EQ(local("America/New_York", "2026-11-01T01:30:00Z"), "2026-11-01T05:30:00.000Z");
}

TEST(Zone, begins_a_day_after_a_gap_at_midnight) {
  // Santiago's clocks go forward at midnight: 6 September 2026 begins at 01:00 local, 04:00 UTC.
  EXPECT_EQ(start("America/Santiago", Unit::day, "2026-09-06T12:00:00Z"), "2026-09-06T04:00:00.000Z");
  EXPECT_EQ(start("America/Santiago", Unit::day, "2026-09-06T03:59:59.999Z"), "2026-09-05T04:00:00.000Z");
}

TEST(Zone, counts_weeks_from_monday) {
  EXPECT_EQ(start("UTC", Unit::week, "2026-03-01T00:00:00Z"), "2026-02-23T00:00:00.000Z");  // a Sunday
  EXPECT_EQ(start("UTC", Unit::week, "2026-03-02T00:00:00Z"), "2026-03-02T00:00:00.000Z");  // a Monday
  EXPECT_EQ(start("UTC", Unit::week, "2026-03-02T00:00:00Z", -1), "2026-02-23T00:00:00.000Z");
  EXPECT_EQ(start("UTC", Unit::week, "1969-12-31T00:00:00Z"), "1969-12-29T00:00:00.000Z");
  EXPECT_EQ(start("Europe/London", Unit::week, "2026-03-31T00:00:00Z"), "2026-03-29T23:00:00.000Z");
}

TEST(Zone, counts_months_quarters_and_years) {
  EXPECT_EQ(start("UTC", Unit::month, "2024-02-29T23:59:59.999Z"), "2024-02-01T00:00:00.000Z");
  EXPECT_EQ(start("UTC", Unit::month, "2024-02-29T00:00:00Z", 1), "2024-03-01T00:00:00.000Z");
  EXPECT_EQ(start("UTC", Unit::month, "2026-01-15", -1), "2025-12-01T00:00:00.000Z");
  EXPECT_EQ(start("UTC", Unit::month, "2026-01-15", -13), "2024-12-01T00:00:00.000Z");
  EXPECT_EQ(start("UTC", Unit::quarter, "2026-12-31"), "2026-10-01T00:00:00.000Z");
  EXPECT_EQ(start("UTC", Unit::quarter, "2026-12-31", 1), "2027-01-01T00:00:00.000Z");
  EXPECT_EQ(start("UTC", Unit::year, "2000-02-29"), "2000-01-01T00:00:00.000Z");
  EXPECT_EQ(start("Europe/London", Unit::quarter, "2026-05-01", 0), "2026-03-31T23:00:00.000Z");
  EXPECT_EQ(start("UTC", Unit::year, "0001-06-01"), "0001-01-01T00:00:00.000Z");
  EXPECT_EQ(start("UTC", Unit::year, "9999-06-01"), "9999-01-01T00:00:00.000Z");
}

TEST(Zone, holds_every_instant_in_its_own_unit) {
  for (const char* name :
       {"Europe/London", "America/New_York", "America/Santiago", "Asia/Kathmandu", "Pacific/Apia"}) {
    const Zone zone = *Zone::named(name);
    for (Time t = at("2010-01-01"); t < at("2013-01-01"); t = t + Millis{kHour.count * 7 + 1}) {
      for (const Unit unit : {Unit::day, Unit::week, Unit::month, Unit::quarter, Unit::year}) {
        const Time first = zone.start_of(unit, t);
        const Time next = zone.start_of(unit, t, 1);
        ASSERT_LE(first, t) << name << " " << format_time(t);
        ASSERT_LT(t, next) << name << " " << format_time(t);
        ASSERT_EQ(zone.start_of(unit, first), first) << name << " " << format_time(t);
      }
    }
  }
}

}  // namespace
}  // namespace tailrace
