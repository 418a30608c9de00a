#include "base/time.h"

#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace tailrace {
namespace {

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, and back: Howard Hinnant,
// "chrono-Compatible Low-Level Date Algorithms".
constexpr std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(year - era * 400);
  const unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + static_cast<std::int64_t>(day_of_era) - 719'468;
}

struct Civil {
  std::int64_t year;
  unsigned month, day;
};
constexpr Civil civil_from_days(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146'097);
  const unsigned year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted_month = (5 * day_of_year + 2) / 153;
  const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2), month,
          day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

unsigned days_in_month(std::int64_t year, unsigned month) {
  constexpr std::array<unsigned, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

struct Scanner {
  std::string_view text;
  std::size_t at = 0;

  bool done() const { return at == text.size(); }
  bool take(char c) {
    if (done() || text[at] != c) return false;
    ++at;
    return true;
  }
  bool digits(int count, unsigned& value) {
    value = 0;
    for (int i = 0; i < count; ++i, ++at) {
      if (done() || text[at] < '0' || text[at] > '9') return false;
      value = value * 10 + static_cast<unsigned>(text[at] - '0');
    }
    return true;
  }
};

}  // namespace

namespace {

constexpr std::string_view kUsualTime = "0000-00-00T00:00:00.000Z";

// Is it digits where kUsualTime has a 0, and the same elsewhere? Same length.
bool has_usual_shape(std::string_view text) {
#ifdef __SSE2__
  // Two blocks that overlap. A byte less that of the shape is at most 9 for a digit, and 0 for the others.
  bool usual = true;
  for (const std::size_t at : {std::size_t{0}, kUsualTime.size() - 16}) {
    const auto load = [at](std::string_view from) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from.data() + at));
    };
    const __m128i shape = load(kUsualTime);
    const __m128i is_digit = _mm_cmpeq_epi8(shape, _mm_set1_epi8('0'));
    const __m128i limit = _mm_and_si128(is_digit, _mm_set1_epi8(9));
    const __m128i above = _mm_subs_epu8(_mm_sub_epi8(load(text), shape), limit);
    usual = usual && _mm_movemask_epi8(_mm_cmpeq_epi8(above, _mm_setzero_si128())) == 0xffff;
  }
  return usual;
#else
  for (std::size_t i = 0; i < kUsualTime.size(); ++i) {
    const auto digit = static_cast<unsigned char>(text[i] - '0');
    if (kUsualTime[i] == '0' ? digit > 9 : text[i] != kUsualTime[i]) return false;
  }
  return true;
#endif
}

// What nearly every sender writes: "2026-03-01T10:00:00.000Z". Missing: it is something else, or wrong.
std::optional<Time> parse_usual_time(std::string_view text) {
  if (text.size() != kUsualTime.size() || !has_usual_shape(text)) return std::nullopt;
  const auto two = [&](std::size_t at) {
    return static_cast<unsigned>((text[at] - '0') * 10 + (text[at + 1] - '0'));
  };
  const unsigned year = two(0) * 100 + two(2), month = two(5), day = two(8);
  const unsigned hour = two(11), minute = two(14), second = two(17);
  const unsigned millis = two(20) * 10 + static_cast<unsigned>(text[22] - '0');
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
      minute > 59 || second > 59) {
    return std::nullopt;
  }
  const std::int64_t seconds = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
  return Time{seconds * 1000 + millis};
}

}  // namespace

Result<Time> parse_time(std::string_view text) {
  if (const auto usual = parse_usual_time(text)) return *usual;
  const auto bad = [&] {
    return invalid(fmt::format("`{}` is not a time; write it like 2026-03-01T10:00:00Z or 2026-03-01",
                               text.substr(0, 64)));
  };
  Scanner scan{text};
  unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, millis = 0;
  if (!scan.digits(4, year) || !scan.take('-') || !scan.digits(2, month) || !scan.take('-') ||
      !scan.digits(2, day))
    return bad();
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return bad();
  std::int64_t offset_minutes = 0;
  if (!scan.done()) {
    if (!scan.take('T') && !scan.take('t') && !scan.take(' ')) return bad();
    if (!scan.digits(2, hour) || !scan.take(':') || !scan.digits(2, minute)) return bad();
    if (scan.take(':')) {
      if (!scan.digits(2, second)) return bad();
      if (scan.take('.') || scan.take(',')) {
        int places = 0;
        for (; !scan.done() && text[scan.at] >= '0' && text[scan.at] <= '9'; ++scan.at, ++places) {
          if (places < 3) millis = millis * 10 + static_cast<unsigned>(text[scan.at] - '0');
        }
        if (places == 0) return bad();
        for (; places < 3; ++places) millis *= 10;
      }
    }
    if (second == 60) second = 59;  // a leap second counts as the one before
    if (hour > 23 || minute > 59 || second > 59) return bad();
    if (!scan.done() && !scan.take('Z') && !scan.take('z')) {
      const bool west = text[scan.at] == '-';
      if (!scan.take('+') && !scan.take('-')) return bad();
      unsigned offset_hour = 0, offset_minute = 0;
      if (!scan.digits(2, offset_hour)) return bad();
      scan.take(':');
      if (!scan.done() && !scan.digits(2, offset_minute)) return bad();
      if (offset_hour > 23 || offset_minute > 59) return bad();
      offset_minutes = static_cast<std::int64_t>(offset_hour) * 60 + offset_minute;
      if (west) offset_minutes = -offset_minutes;
    }
    if (!scan.done()) return bad();
  }
  const std::int64_t seconds =
      ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset_minutes) * 60 + second;
  const Time time{seconds * 1000 + millis};
  if (time < kTimeMin || time > kTimeMax) return bad();
  return time;
}

std::string format_time(Time time) {
  if (time >= kNever) return "never";
  if (time <= kForeverAgo) return "-infinity";
  std::int64_t days = time.ms / kDay.count;
  std::int64_t rest = time.ms % kDay.count;
  if (rest < 0) {
    rest += kDay.count;
    --days;
  }
  const Civil civil = civil_from_days(days);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", civil.year, civil.month, civil.day,
                     rest / 3'600'000, rest / 60'000 % 60, rest / 1000 % 60, rest % 1000);
}

namespace {
constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> kUnits{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000}}};
}

Result<Millis> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return invalid(
        fmt::format("`{}` is not a duration; write it like 30m, 2h, 7d or 2w", text.substr(0, 64)));
  };
  std::int64_t count = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    if (at == 12) return bad();
    count = count * 10 + (text[at] - '0');
  }
  if (at == 0) return bad();
  for (const auto& [unit, millis] : kUnits) {
    if (text.substr(at) != unit) continue;
    Millis duration;
    // Longer than the years that can be written would overflow instants.
    if (__builtin_mul_overflow(count, millis, &duration.count) || duration > kTimeMax - kTimeMin)
      return bad();
    return duration;
  }
  return bad();
}

std::string format_duration(Millis duration) {
  if (duration.count == 0) return "0ms";
  for (const auto& [unit, millis] : {kUnits[4], kUnits[3], kUnits[2], kUnits[1]}) {
    if (duration.count % millis == 0) return fmt::format("{}{}", duration.count / millis, unit);
  }
  return fmt::format("{}ms", duration.count);
}

}  // namespace tailrace
