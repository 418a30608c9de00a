// How many requests a second one sender may make: as many at once, and one more each time a share of the
// second has passed. Thread-safe, and without a lock.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace tailrace::server {

class RequestRate {
 public:
  explicit RequestRate(std::uint32_t per_second) : gap_(per_second == 0 ? 0 : kSecondNanos / per_second) {}
  RequestRate(RequestRate&& other) noexcept : gap_(other.gap_), used_until_(other.used_until_.load()) {}

  // Takes one more request at this instant, or refuses it. 0 a second: no limit. The clock never goes back.
  bool take(std::int64_t now_nanos) {
    if (gap_ == 0) return true;
    std::int64_t used = used_until_.load(std::memory_order_relaxed);
    while (true) {
      const std::int64_t next = std::max(used, now_nanos) + gap_;
      if (next > now_nanos + kSecondNanos) return false;
      if (used_until_.compare_exchange_weak(used, next, std::memory_order_relaxed)) return true;
    }
  }

 private:
  static constexpr std::int64_t kSecondNanos = 1'000'000'000;
  const std::int64_t gap_;
  // All that was taken is paid for at this instant.
  std::atomic<std::int64_t> used_until_{0};
};

}  // namespace tailrace::server
