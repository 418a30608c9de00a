// The warehouse syncs of a running store, each on a thread of its own, so that one that is down slows no
// other: when its cadence says so, or somebody asks, a sync loads all there is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "delivery/warehouse_state.h"
#include "io/http_client.h"
#include "server/connections.h"
#include "server/warehouse/run.h"
#include "server/warehouse_transport.h"
#include "server/workspace_follower.h"

namespace tailrace::server {

struct WarehouseStatus {
  std::string sync;
  std::string destination;
  std::string type;
  delivery::WarehouseState state;
  std::uint64_t behind_bytes = 0;  // of the log
  std::string doing;               // "idle", "loading", "waiting for 12s: ...", "paused", "stopped: ..."
};

class Warehouses {
 public:
  struct Options {
    std::string directory;  // packs under way
    std::string folder;     // what `file:` references and locations are relative to
  };
  // core, disk: outlive it. Follows the live workspace.
  static Result<std::unique_ptr<Warehouses>> start(Core& core, Disk& disk, Options options);
  ~Warehouses();  // stops

  // Gives up what is under way; it goes on after the next start.
  void stop();
  Result<std::vector<WarehouseStatus>> status();
  // Waits until all that was applied before is loaded, or an attempt failed. Errors: of the attempt;
  // not_found (no such sync); conflict (paused).
  Result<void> load_now(const std::string& sync);
  Result<void> set_paused(const std::string& sync, bool paused);

 private:
  struct Worker;
  Warehouses(Core& core, Disk& disk, Options options);
  void take_up(const workspace::Workspace& workspace);
  void work(Worker& worker);
  void end_workers();
  void drop_deliveries();
  Result<std::shared_ptr<Worker>> find(const std::string& sync);

  Core& core_;
  Disk& disk_;
  Options options_;
  std::unique_ptr<io::HttpClient> client_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Worker>> workers_;  // guarded by mutex_
  WorkspaceFollower follower_;
};

// DIR/warehouse: packs under way.
std::string packs_directory(const Core& core);

// Of a store that no `serve` runs on: the sync loads all there is, on this thread.
Result<void> load_resting(Core& core, const workspace::Workspace& workspace, const std::string& sync,
                          const std::string& folder);
// The status of a store that no `serve` runs on.
Result<std::vector<WarehouseStatus>> resting_status(Core& core, const workspace::Workspace& workspace);

}  // namespace tailrace::server
