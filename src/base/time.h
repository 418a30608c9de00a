// Instants and lengths of time, in whole milliseconds, UTC. `now` is always handed in; only io/ reads a
// clock.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tailrace {

// A length of time. May be negative as an intermediate value.
struct Millis {
  std::int64_t count = 0;
  constexpr auto operator<=>(const Millis&) const = default;
};
constexpr Millis operator+(Millis a, Millis b) { return {a.count + b.count}; }
constexpr Millis operator-(Millis a, Millis b) { return {a.count - b.count}; }
constexpr Millis operator*(Millis a, std::int64_t n) { return {a.count * n}; }

constexpr Millis kSecond{1000};
constexpr Millis kMinute{60'000};
constexpr Millis kHour{3'600'000};
constexpr Millis kDay{86'400'000};

// An instant: milliseconds since 1970-01-01T00:00:00Z.
struct Time {
  std::int64_t ms = 0;
  constexpr auto operator<=>(const Time&) const = default;
};
constexpr Time operator+(Time t, Millis d) { return {t.ms + d.count}; }
constexpr Time operator-(Time t, Millis d) { return {t.ms - d.count}; }
constexpr Millis operator-(Time a, Time b) { return {a.ms - b.ms}; }

// Before and after every instant that can be written. "Never" as a next change is kNever.
constexpr Time kForeverAgo{std::numeric_limits<std::int64_t>::min() / 4};
constexpr Time kNever{std::numeric_limits<std::int64_t>::max() / 4};
// The instants accepted from outside: years 0001 to 9999.
constexpr Time kTimeMin{-62'135'596'800'000};
constexpr Time kTimeMax{253'402'300'799'999};

// Reads ISO 8601: "2026-03-01", "2026-03-01T10:00:00Z", "...T10:00:00.123+02:00", a blank for the T; without
// an offset it is UTC. Digits of the second beyond milliseconds are cut off. Error: invalid_argument, which
// names the text.
Result<Time> parse_time(std::string_view text);

// "2026-03-01T10:00:00.000Z"; kForeverAgo prints "-infinity" and kNever "never".
std::string format_time(Time time);

// Reads "30m", "2h", "7d", "2w", "90s", "250ms". Error: invalid_argument.
Result<Millis> parse_duration(std::string_view text);

// The shortest exact form: "7d", "90m", "1500ms". 14 days print as "14d" (weeks are read, not written).
std::string format_duration(Millis duration);

}  // namespace tailrace
