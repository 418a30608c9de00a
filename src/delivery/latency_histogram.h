// Latencies in buckets that grow with the value: eight per doubling, so a percentile is exact below 16 ms and
// at most an eighth too high above. Fixed size whatever is recorded.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace tailrace::delivery {

class LatencyHistogram {
 public:
  // A negative latency (a clock set back) counts as zero.
  void record(Millis latency) {
    ++counts_[bucket_of(latency.count < 0 ? 0 : static_cast<std::uint64_t>(latency.count))];
    ++count_;
  }
  std::uint64_t count() const { return count_; }

  // The smallest latency L such that at least this share of the recorded ones is <= L, as its bucket's upper
  // end. Missing when nothing was recorded. 0 < share <= 1.
  std::optional<Millis> percentile(double share) const {
    if (count_ == 0) return std::nullopt;
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      seen += counts_[bucket];
      if (static_cast<double>(seen) >= share * static_cast<double>(count_)) return Millis{upper_end(bucket)};
    }
    return Millis{upper_end(counts_.size() - 1)};
  }

 private:
  static constexpr std::size_t kBucketsPerDoubling = 8;
  static constexpr std::size_t kExact = 2 * kBucketsPerDoubling;
  static constexpr std::size_t kDoublings = 40;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kExact) return value;
    const auto width = static_cast<std::size_t>(std::bit_width(value));  // 5 for 16 to 31
    const std::size_t doubling = width - 5;
    const std::size_t step = (value >> (width - 4)) - kBucketsPerDoubling;
    const std::size_t bucket = kExact + doubling * kBucketsPerDoubling + step;
    return bucket < kExact + kDoublings * kBucketsPerDoubling ? bucket
                                                              : kExact + kDoublings * kBucketsPerDoubling - 1;
  }
  static std::int64_t upper_end(std::size_t bucket) {
    if (bucket < kExact) return static_cast<std::int64_t>(bucket);
    const std::size_t doubling = (bucket - kExact) / kBucketsPerDoubling;
    const std::size_t step = (bucket - kExact) % kBucketsPerDoubling;
    return (static_cast<std::int64_t>(kBucketsPerDoubling + step + 1) << (doubling + 1)) - 1;
  }

  std::array<std::uint64_t, kExact + kDoublings * kBucketsPerDoubling> counts_{};
  std::uint64_t count_ = 0;
};

}  // namespace tailrace::delivery
