#include "cli/warehouse.h"

#include <fmt/format.h>

#include "cli/table.h"
#include "server/warehouse/warehouses.h"

namespace tailrace::cli {
Result<std::string> warehouse_status(const Run& run, const workspace::Workspace& workspace) {
  if (workspace.warehouses.empty()) return std::string();
  auto* running = run.core.warehouses();
  const auto all = running != nullptr ? TRY(running->status()) : TRY(server::resting_status(run.core, workspace));
  Table table({"tables to", "destination", "packs", "rows", "bytes", "behind bytes", "last pack", "state"});
  for (const server::WarehouseStatus& one : all) {
    table.add({Value::of(one.sync), Value::of(one.destination), number(one.state.packs),
               number(one.state.rows), number(one.state.bytes), number(one.behind_bytes),
               one.state.loaded_at.ms == 0 ? Value() : Value::of(format_time(one.state.loaded_at)),
               Value::of(one.doing)});
  }
  return table.print(run.command.format);
}

Result<std::string> pause_warehouse(const Run& run, const workspace::Workspace& workspace, bool paused) {
  const std::string& sync = run.command.sync;
  if (auto* running = run.core.warehouses()) {
    TRY(running->set_paused(sync, paused));
  } else {
    TRY(run.core.with_ledger([&](delivery::Ledger& ledger) -> Result<void> {
      auto state = TRY(ledger.warehouse_state(workspace.find_warehouse(sync)->name));
      state.paused = paused;
      if (!paused) state.stopped_reason.clear();
      return ledger.write_warehouse(sync, state);
    }));
  }
  return paused ? fmt::format("\"{}\" is paused; what comes in waits in the log.\n", sync)
                : fmt::format("\"{}\" goes on.\n", sync);
}

}  // namespace tailrace::cli
