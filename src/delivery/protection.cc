#include "delivery/protection.h"

#include <algorithm>

#include "delivery/sync_run.h"

namespace tailrace::delivery {

Unprotected unprotected(const SyncRun& run) {
  Unprotected result{.people = run.plan.protective(run.protective), .since = std::nullopt};
  if (result.people == 0) return result;
  std::uint64_t dated = 0;
  const auto note = [&](Time received_at) {
    ++dated;
    result.since = std::min(result.since.value_or(received_at), received_at);
  };
  for (const auto& [person, cause] : run.causes) {
    if (run.plan.is_pending_protective(person, run.protective)) note(cause.received_at);
  }
  for (const auto& batch : run.active) {
    if (batch->direction != run.protective) continue;
    for (const Item& item : batch->items) {
      const bool counts = item.kind == Item::Kind::whole && !run.causes.contains(item.person) &&
                          run.plan.is_pending_protective(item.person, run.protective);
      if (counts) note(item.membership.received_at);
    }
  }
  if (dated < result.people) note(run.desired_at);
  return result;
}

}  // namespace tailrace::delivery
