// One destination that does not answer, whatever is asked of it: after some failures in a row its breaker
// opens and nothing is sent to it but one request at a time, after waits that grow, until one is answered.
// Whatever a platform answers, be it an error of ours, closes it: somebody is there.
#pragma once

#include <cstdint>

#include "base/random.h"
#include "base/time.h"
#include "delivery/backoff.h"

namespace tailrace::delivery {

class Breaker {
 public:
  static constexpr std::uint32_t kFailuresToOpen = 5;

  // When the next request may go: kForeverAgo while closed, kNever while one is out to try.
  Time next_at() const {
    if (state_ == State::closed) return kForeverAgo;
    return state_ == State::open ? until_ : kNever;
  }
  bool is_closed() const { return state_ == State::closed; }
  std::uint32_t failures() const { return failures_; }  // in a row

  void on_send() {
    if (state_ == State::open) state_ = State::trying;
  }
  // True: it was open until now.
  bool on_answer() {
    const bool was_open = state_ != State::closed;
    state_ = State::closed;
    failures_ = 0;
    return was_open;
  }
  // No answer, or the platform said that it does not work at all.
  void on_silence(Time now, const Backoff& backoff, Random& random) {
    if (state_ == State::open) return;  // sent before it opened
    if (++failures_ < kFailuresToOpen) return;
    state_ = State::open;
    // Not at once, as full jitter might say: a closed door is not knocked at again in the same second.
    const Millis half{backoff.ceiling(failures_ - kFailuresToOpen + 2).count / 2};
    until_ = now + half +
             Millis{static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(half.count) + 1))};
  }

 private:
  enum class State : unsigned char { closed, open, trying };
  State state_ = State::closed;
  std::uint32_t failures_ = 0;
  Time until_ = kForeverAgo;
};

}  // namespace tailrace::delivery
