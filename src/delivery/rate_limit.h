// When the next request may go to a platform: never more than so many within any minute, and spread out once
// the platform says that its own budget runs low.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/time.h"

namespace tailrace::delivery {

class RateLimit {
 public:
  explicit RateLimit(std::uint32_t requests_per_minute = 0) : per_minute_(requests_per_minute) {}  // 0: none

  // The earliest instant for one more request.
  Time next_at() const {
    Time at = last_ == kForeverAgo ? kForeverAgo : last_ + gap_;
    if (per_minute_ > 0 && sent_.size() >= per_minute_) at = std::max(at, sent_.front() + kMinute);
    return at;
  }
  void on_send(Time now) {
    last_ = now;
    if (per_minute_ == 0) return;
    sent_.push_back(now);
    if (sent_.size() > per_minute_) sent_.pop_front();
  }
  // From kSpreadFrom on requests are spread: one a second at 80 %, one a minute at 100 %, linear in between.
  void on_usage(double percent) {
    const double used = std::clamp((percent - kSpreadFrom) / (100 - kSpreadFrom), 0.0, 1.0);
    gap_ = percent < kSpreadFrom ? Millis{0} : Millis{static_cast<std::int64_t>(1000 + used * 59'000)};
  }

 private:
  static constexpr double kSpreadFrom = 80;

  std::uint32_t per_minute_;
  std::deque<Time> sent_;  // the last per_minute_ of them
  Time last_ = kForeverAgo;
  Millis gap_;
};

}  // namespace tailrace::delivery
