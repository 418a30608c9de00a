// Five fields, as in crontab: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday).
// Each is `*`, a number, a range `1-5`, a list `1,15`, any of them with a step `*/15`; months and days of the
// week also by their first three letters. When both days are restricted, either makes the day match.
//
// The wall clock is of a time zone: what falls into the hour that spring skips happens at the instant after
// it, what autumn repeats happens once.
#pragma once

#include <bitset>
#include <string_view>

#include "base/calendar.h"
#include "base/result.h"
#include "base/time.h"

namespace tailrace::delivery {

class Cron {
 public:
  // Errors: invalid_argument, which names the field and what it may hold, also for a day that never comes.
  static Result<Cron> parse(std::string_view text);

  // The first matching instant after t (exclusive).
  Time next_after(Time t, const Zone& zone) const;

 private:
  bool matches_day(std::int64_t local_day) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1 to 31
  std::bitset<13> months_;   // 1 to 12
  std::bitset<8> weekdays_;  // 0 to 6
  bool any_day_ = false;     // the field is `*`, or starts with it
  bool any_weekday_ = false;
};

}  // namespace tailrace::delivery
