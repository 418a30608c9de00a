// What a sync promises: how soon after its event was received a live change is acknowledged.
#pragma once

#include <algorithm>
#include <optional>

#include "base/calendar.h"
#include "base/time.h"
#include "delivery/cron.h"
#include "workspace/workspace.h"

namespace tailrace::delivery {

// The sync's own `objective`; else a minute for a realtime one, and the time between two runs of the others:
// of a cron the longest among its first kRunsLookedAt in 2026. cron: that of the sync, where it has one.
inline Millis objective_of(const workspace::SyncConfig& sync, const std::optional<Cron>& cron,
                           const Zone& zone) {
  constexpr int kRunsLookedAt = 64;
  constexpr Time kStartOf2026{1'767'225'600'000};
  if (sync.objective) return *sync.objective;
  if (sync.cadence.kind == workspace::Cadence::Kind::realtime) return kMinute;
  if (!cron) return sync.cadence.every;
  Millis longest;
  Time run = cron->next_after(kStartOf2026, zone);
  for (int i = 1; i < kRunsLookedAt; ++i) {
    const Time next = cron->next_after(run, zone);
    longest = std::max(longest, next - run);
    run = next;
  }
  return longest;
}

}  // namespace tailrace::delivery
