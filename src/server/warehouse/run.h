// One warehouse sync: cuts packs of what happened, and loads them, one after another. Blocking, and without a
// thread of its own: `serve` gives each sync one (warehouses.h), a command runs it until nothing is left.
//
//   while (TRY(run.step())) {}
//
// A step is: rows of a range of the log and of what the engine and the platforms said meanwhile become files
// below the store; the ledger notes that this pack is under way; it is loaded; the ledger notes that it is.
// So after a crash at any point the same pack is loaded again, and destinations make that once
// (destinations/warehouse_destination.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "delivery/warehouse_state.h"
#include "server/connections.h"
#include "server/core.h"
#include "warehouse/pack_writer.h"

namespace tailrace::server {

class WarehouseRun {
 public:
  struct Options {
    std::string directory;                               // packs under way lie below
    std::uint64_t records_max = 2'000'000;               // of the log, in a pack
    std::uint64_t bytes_max = std::uint64_t{768} << 20;  // likewise
    std::uint64_t entries_max = 4'000'000;               // of the log of changes, and of deliveries
    std::size_t records_per_slice = 4'000;               // judged on the core thread at a time
    std::size_t people_per_slice = 500;
  };
  // core, transport: outlive it.
  WarehouseRun(Core& core, workspace::Workspace workspace, WarehouseConnection connection,
               destinations::Transport& transport, Options options);

  // One pack. False: nothing was left to load. Errors: unavailable (to be tried again), of the destination,
  // the log, the ledger, the disk; where it is for somebody to mend, the ledger has the reason too.
  Result<bool> step();

  const workspace::WarehouseConfig& sync() const { return connection_.sync; }
  Result<delivery::WarehouseState> state();
  Result<void> set_paused(bool paused);

 private:
  struct Range {
    Position log_begin, log_end;
    Position changes_begin, changes_end;
    std::uint64_t deliveries_begin = 0, deliveries_end = 0;
    Time at;
  };
  Result<void> begin(delivery::WarehouseState& state);
  Result<std::optional<Range>> next_range(const delivery::WarehouseState& state);
  Result<destinations::Pack> build(const delivery::WarehouseState& state, Range& range);
  Result<void> write_events(warehouse::PackWriter& writer, const Range& range, std::vector<bool>& touched);
  Result<void> write_changes(warehouse::PackWriter& writer, Range& range, std::vector<bool>& touched);
  Result<void> write_deliveries(warehouse::PackWriter& writer, Range& range);
  Result<void> write_people(warehouse::PackWriter& writer, const std::vector<bool>& touched);
  std::string pack_directory(std::uint64_t sequence) const;
  Result<void> write(const delivery::WarehouseState& state);

  Core& core_;
  workspace::Workspace workspace_;
  WarehouseConnection connection_;
  destinations::Transport& transport_;
  Options options_;
};

}  // namespace tailrace::server
