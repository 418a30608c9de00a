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
  Millis cap{5 * 60 * 1000};

  // The longest wait after this many failures (1: the first): min(cap, base * 2^(failures - 1)).
  Millis ceiling(std::uint32_t failures) const {
    Millis wait = base;
    for (std::uint32_t i = 1; i < failures && wait < cap; ++i) wait = wait * 2;
    return std::min(wait, cap);
  }
  // What the platform asked for is honoured to the millisecond; else full jitter over [0, ceiling], so that
  // many clients who failed together do not come back together.
  Millis wait(std::uint32_t failures, std::optional<Millis> retry_after, Random& random) const {
    if (retry_after) return std::max(*retry_after, Millis{0});
    const auto bound = static_cast<std::uint64_t>(ceiling(failures).count) + 1;
    return Millis{static_cast<std::int64_t>(random.below(bound))};
  }
};

}  // namespace tailrace::delivery
