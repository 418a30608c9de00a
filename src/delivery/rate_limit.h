// When the next request may go to a platform. Three things slow us down, the slowest counts: the quota we
// were configured with (never more than so many within any minute), what the platform says of its budget, and
// what it did when we were too fast: after a refusal for that reason the rate is halved, and grows by a tenth
// with every minute in which none came, until it is no limit any more (additive increase, multiplicative
// decrease, as TCP has it; the increase is relative because quotas of platforms differ by factors of a
// thousand).
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
    Time at = std::max(paused_until_, last_ == kForeverAgo ? kForeverAgo : last_ + std::max(gap_, own_gap()));
    if (per_minute_ > 0 && sent_.size() >= per_minute_)
      at = std::max(at, sent_[sent_.size() - per_minute_] + kMinute);
    return at;
  }
  void on_send(Time now) {
    last_ = now;
    sent_.push_back(now);
    while (sent_.size() > std::max<std::size_t>(per_minute_, 1) && sent_.front() + kMinute <= now)
      sent_.pop_front();
    while (sent_.size() > std::max<std::size_t>(per_minute_, kSeenMax)) sent_.pop_front();
  }
  // From kSpreadFrom on requests are spread: one a second at 80 %, one a minute at 100 %, linear in between.
  void on_usage(double percent) {
    const double used = std::clamp((percent - kSpreadFrom) / (100 - kSpreadFrom), 0.0, 1.0);
    gap_ = percent < kSpreadFrom ? Millis{0} : Millis{static_cast<std::int64_t>(1000 + used * 59'000)};
  }
  // The platform said that we are too fast, and to come back at `until` (kForeverAgo: it did not say).
  void on_throttled(Time now, Time until) {
    paused_until_ = std::max(paused_until_, until);
    if (own_rate_ > 0 && now < lowered_at_ + kOncePer) return;  // the others of the same moment say the same
    const auto within_a_minute = static_cast<double>(
        std::count_if(sent_.begin(), sent_.end(), [&](Time at) { return at + kMinute > now; }));
    const double was = own_rate_ > 0 ? std::min(own_rate_, within_a_minute) : within_a_minute;
    if (own_rate_ == 0) no_limit_from_ = 4 * std::max(within_a_minute, 1.0);
    own_rate_ = std::max(was / 2, kRateLeast);
    lowered_at_ = raised_at_ = now;
  }
  // A request went through.
  void on_accepted(Time now) {
    while (own_rate_ > 0 && raised_at_ + kMinute <= now) {
      raised_at_ = raised_at_ + kMinute;
      own_rate_ *= kGrowth;
      if (own_rate_ >= (per_minute_ > 0 ? per_minute_ : no_limit_from_)) own_rate_ = 0;
    }
  }
  Time paused_until() const { return paused_until_; }
  // Requests a minute we allow ourselves since we were refused for being too fast; 0: there is no such limit.
  double own_rate() const { return own_rate_; }

 private:
  static constexpr double kSpreadFrom = 80;
  static constexpr double kRateLeast = 6;  // a minute; slower than that, what the platform asks for decides
  static constexpr double kGrowth = 1.1;
  static constexpr Millis kOncePer{5'000};
  static constexpr std::size_t kSeenMax = 6'000;

  Millis own_gap() const {
    return own_rate_ > 0 ? Millis{static_cast<std::int64_t>(60'000 / own_rate_)} : Millis{0};
  }

  std::uint32_t per_minute_;
  std::deque<Time> sent_;  // of the last minute
  Time last_ = kForeverAgo;
  Millis gap_;
  Time paused_until_ = kForeverAgo;
  double own_rate_ = 0;
  double no_limit_from_ = 0;
  Time lowered_at_ = kForeverAgo;
  Time raised_at_ = kForeverAgo;
};

}  // namespace tailrace::delivery
