#include "cli/latency.h"

#include <fmt/format.h>

#include "cli/deliveries.h"

namespace tailrace::cli {
Table latency_table(std::span<const delivery::SyncStatus> syncs, Time now) {
  Table table({"sync", "effect", "live changes", "p50 ms", "p95 ms", "p99 ms", "objective ms", "within it",
               "objective", "still targetable", "oldest ms"});
  for (const auto& sync : syncs) {
    Value within, kept;
    if (sync.latency_count > 0) {
      // Rounded down: 100 % is said of all.
      const std::uint64_t tenths = sync.latency_within * 1000 / sync.latency_count;
      within = Value::of(fmt::format("{}.{} %", tenths / 10, tenths % 10));
      kept = Value::of(sync.latency_within * 100 >= sync.latency_count * 99 ? "kept" : "missed");
    }
    std::optional<Millis> age;
    if (sync.unprotected.since) age = std::max(now - *sync.unprotected.since, Millis{0});
    table.add(
        {Value::of(sync.sync), Value::of(sync.effect == workspace::Effect::suppress ? "suppress" : "target"),
         number(sync.latency_count), millis_or_nothing(sync.latency_p50), millis_or_nothing(sync.latency_p95),
         millis_or_nothing(sync.latency_p99), millis_or_nothing(sync.objective), within, kept,
         number(sync.unprotected.people), millis_or_nothing(age)});
  }
  return table;
}

int run_latency(const Run& run) {
  const auto workspace = applied_workspace(run.core);
  if (!workspace) return run.fail(workspace.error());
  const auto syncs = with_delivery(
      run.core, *workspace, [](delivery::Delivery& delivery) -> Result<std::vector<delivery::SyncStatus>> {
        return delivery.status();
      });
  if (!syncs) return run.fail(syncs.error());
  run.console.out(latency_table(*syncs, run.core.now()).print(run.command.format));
  return kDone;
}

}  // namespace tailrace::cli
