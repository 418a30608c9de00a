// The one place that reads the wall clock.
#pragma once

#include <chrono>

#include "base/time.h"

namespace tailrace::io {

inline Time system_now() {
  return {std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

}  // namespace tailrace::io
