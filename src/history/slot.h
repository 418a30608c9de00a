// A person's rows of one stream: a range of its columns, which has room for as many rows as its class says.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace tailrace::history {

struct Slot {
  static constexpr std::uint32_t kNoRange = 63;
  std::uint32_t begin = 0;
  std::uint32_t count : 26 = 0;
  std::uint32_t size_class : 6 = kNoRange;
  Time last;  // of the newest row
  bool empty() const { return count == 0; }
};

// Ranges of 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ..., 256 rows, then of 384, 512, 768, ... As count
// has 26 bits, the largest holds 2^25 * 1.5.
constexpr std::uint32_t kFineClass = 27;  // the last that is a quarter larger
constexpr std::uint32_t kLargestClass = 62;
constexpr std::uint32_t capacity_of(std::uint32_t size_class) {
  if (size_class < 3) return size_class + 1;
  if (size_class <= kFineClass) {
    const std::uint32_t step = size_class - 3;
    return (4 + step % 4) << step / 4;
  }
  const std::uint32_t step = size_class - kFineClass;
  return (2 + step % 2) << (7 + step / 2);
}
static_assert(capacity_of(2) == 3 && capacity_of(3) == 4 && capacity_of(4) == 5 && capacity_of(7) == 8);
static_assert(capacity_of(8) == 10 && capacity_of(kFineClass) == 256 && capacity_of(kFineClass + 1) == 384);
static_assert(capacity_of(kLargestClass) == 3U << 24 && kLargestClass < Slot::kNoRange);

}  // namespace tailrace::history
