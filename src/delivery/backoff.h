// How long to wait before the same request goes out again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/random.h"
#include "base/time.h"

namespace tailrace::delivery {

struct Backoff {
  Millis base{500};
  Millis cap = kMinute * 5;

  // The longest wait after this many failures (1: the first): min(cap, base * 2^(failures - 1)).
  Millis ceiling(std::uint32_t failures) const {
    Millis wait = base;
    for (std::uint32_t i = 1; i < failures && wait < cap; ++i) wait = wait * 2;
    return std::min(wait, cap);
  }
  // Full jitter over [0, ceiling], so that many clients who failed together do not come back together. What
  // the platform asked for is honoured to the millisecond; after kAskedTimes failures in a row it is the
  // least: one that asks for a second and is down for a day is not asked every second.
  Millis wait(std::uint32_t failures, std::optional<Millis> retry_after, Random& random) const {
    const Millis asked = std::max(retry_after.value_or(Millis{0}), Millis{0});
    if (retry_after && failures <= kAskedTimes) return asked;
    const auto bound = static_cast<std::uint64_t>(ceiling(failures).count) + 1;
    return std::max(asked, Millis{static_cast<std::int64_t>(random.below(bound))});
  }

  static constexpr std::uint32_t kAskedTimes = 3;
};

}  // namespace tailrace::delivery
