#include "base/calendar.h"

#include <tuple>

#include <fmt/format.h>
#include <unicode/basictz.h>
#include <unicode/timezone.h>
#include <unicode/tztrans.h>
#include <unicode/unistr.h>

#include "base/assert.h"

namespace tailrace {

struct Zone::Body {
  std::unique_ptr<icu::BasicTimeZone> zone;
};

namespace {

std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// Days since 1970-01-01 and back, of the proleptic Gregorian calendar: shift the year to begin in March, so
// that the leap day is its last, and count in 400-year cycles of 146,097 days.
std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day) {
  const std::int64_t shifted_year = month <= 2 ? year - 1 : year;
  const std::int64_t cycle = floor_divide(shifted_year, 400);
  const std::int64_t year_of_cycle = shifted_year - cycle * 400;
  const std::int64_t month_from_march = (month + 9) % 12;
  const std::int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
  return cycle * 146'097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year -
         719'468;
}

struct Month {
  std::int64_t year;
  std::int64_t month;  // 1 to 12
};
Month month_of(std::int64_t days) {
  // A guess that is at most a year off, set right by looking.
  std::int64_t year = 1970 + floor_divide(days * 400, 146'097);
  while (days_of(year, 1, 1) > days) --year;
  while (days_of(year + 1, 1, 1) <= days) ++year;
  std::int64_t month = 12;
  while (days_of(year, month, 1) > days) --month;
  return {year, month};
}

std::int64_t first_day_of_month(std::int64_t months_since_year_0) {
  const std::int64_t year = floor_divide(months_since_year_0, 12);
  return days_of(year, months_since_year_0 - year * 12 + 1, 1);
}

// The first day of the unit that holds the day, moved by whole units.
std::int64_t first_day(Zone::Unit unit, std::int64_t day, std::int64_t steps) {
  const auto months = [&](std::int64_t length) {
    const auto [year, month] = month_of(day);
    return first_day_of_month((floor_divide(year * 12 + month - 1, length) + steps) * length);
  };
  switch (unit) {
    case Zone::Unit::day:
      return day + steps;
    case Zone::Unit::week: {
      // 1970-01-01 was a Thursday; -3 is the Monday before it.
      return floor_divide(day + 3, 7) * 7 - 3 + steps * 7;
    }
    case Zone::Unit::month:
      return months(1);
    case Zone::Unit::quarter:
      return months(3);
    case Zone::Unit::year:
      return months(12);
  }
  return day;
}

// What local clocks are ahead of UTC at the instant.
Millis offset_at(const icu::BasicTimeZone& zone, Time t) {
  std::int32_t raw = 0;
  std::int32_t saving = 0;
  UErrorCode status = U_ZERO_ERROR;
  zone.getOffset(static_cast<UDate>(t.ms), 0, raw, saving, status);
  TR_ASSERT(U_SUCCESS(status));
  return {raw + saving};
}

}  // namespace

Result<Zone> Zone::named(const std::string& name) {
  std::unique_ptr<icu::TimeZone> zone(icu::TimeZone::createTimeZone(icu::UnicodeString::fromUTF8(name)));
  // ICU answers an unknown name with Etc/Unknown, and takes abbreviations and "GMT+1" for names.
  const bool offset_form = name.starts_with("GMT") && name.size() > 3;
  auto* basic = dynamic_cast<icu::BasicTimeZone*>(zone.get());
  if (name.empty() || offset_form || basic == nullptr || *zone == icu::TimeZone::getUnknown())
    return invalid(fmt::format("unknown time zone `{}`; write an IANA name like Europe/London or UTC", name));
  std::ignore = zone.release();
  return Zone(name, std::make_shared<const Body>(Body{std::unique_ptr<icu::BasicTimeZone>(basic)}));
}

Zone Zone::utc() {
  auto zone = named("UTC");
  TR_ASSERT(zone.has_value());
  return *std::move(zone);
}

Time Zone::from_local(Time local) const {
  std::int32_t raw = 0;
  std::int32_t saving = 0;
  UErrorCode status = U_ZERO_ERROR;
  // "Former" reads the wall clock with the offset before a change: of a fold that is the first reading.
  body_->zone->getOffsetFromLocal(static_cast<UDate>(local.ms), UCAL_TZ_LOCAL_FORMER, UCAL_TZ_LOCAL_FORMER,
                                  raw, saving, status);
  TR_ASSERT(U_SUCCESS(status));
  const Time instant = local - Millis{raw + saving};
  if (instant + offset_at(*body_->zone, instant) == local) return instant;
  // In a gap: no clock showed it, so the gap's end stands for all of it.
  icu::TimeZoneTransition change;
  const bool found = body_->zone->getPreviousTransition(static_cast<UDate>(instant.ms), true, change) != 0;
  return found ? Time{static_cast<std::int64_t>(change.getTime())} : instant;
}

Time Zone::to_local(Time t) const { return t + offset_at(*body_->zone, t); }

Time Zone::start_of(Unit unit, Time t, int steps) const {
  const Time local = to_local(t);
  const std::int64_t today = floor_divide(local.ms, kDay.count);
  return from_local(Time{first_day(unit, today, steps) * kDay.count});
}

}  // namespace tailrace
