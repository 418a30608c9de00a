// The one place that reads the clocks: that of the wall, and the one that measures how long something takes.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/time.h"

namespace tailrace::io {

inline Time system_now() {
  return {std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

// Never goes back; means nothing but by differences.
inline std::int64_t stopwatch_nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace tailrace::io
