// What a sync's audience was like at an instant, for the history of its match rate. Three figures that are
// never computed from one another: people, what was uploaded for them, and what the platform says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"

namespace tailrace::delivery {

struct MatchPoint {
  Time at;
  std::uint64_t people = 0;          // in the audience
  std::uint64_t usable = 0;          // of these, with an identifier that can be uploaded
  std::uint64_t members = 0;         // of these, acknowledged by the platform
  std::uint64_t identifiers = 0;     // of the members, that it has accepted
  std::optional<std::int64_t> size;  // as the platform says
  std::optional<double> match_rate;  // 0..1, the platform's own estimate
  Time measured_at;                  // when it said so; zero: never
  std::string configuration;         // what decides about matching, in words: where two points differ in it,
                                     // something was configured otherwise

  bool operator==(const MatchPoint&) const = default;
};

// A point at least so often, and not oftener unless something was configured otherwise.
constexpr Millis kMatchPointEvery = kHour * 6;
constexpr Millis kMatchPointNotBefore = kMinute * 10;

}  // namespace tailrace::delivery
