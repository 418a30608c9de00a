// Whom ads may still reach though they should not: protective changes (removals from a target audience,
// additions to a suppression) that the platform has not acknowledged.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace tailrace::delivery {

struct SyncRun;

struct Unprotected {
  std::uint64_t people = 0;
  // When the oldest of these changes was received. Of what was pending when delivery started, that start.
  // Missing: there is none.
  std::optional<Time> since;
};

// Looks at every change that waits.
Unprotected unprotected(const SyncRun& run);

}  // namespace tailrace::delivery
