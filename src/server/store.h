// A store on disk: the log, the engine's state over it, and snapshots of that state. One process owns it,
// under a lock.
//
//   DIR/FORMAT        "tailrace store 1"
//   DIR/lock          held while open
//   DIR/log/          the log: the truth of what came in
//   DIR/changes/      while there are warehouse syncs: what the engine said of it (change_log.h)
//   DIR/ledger/       the delivery ledger: the truth of what went out
//   DIR/snapshot      the engine's state at a position, with the files DIR/snapshot.000001 and so on that it
//                     names: derived, may be deleted at any time
//   DIR/admin.sock    where a running `tailrace serve` takes commands
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "engine/engine.h"
#include "log/log.h"
#include "server/change_log.h"
#include "server/snapshot/writer.h"

namespace tailrace::server {

class Store final : public engine::Records {
 public:
  struct Options {
    std::string directory;
    log::Options log;
    bool reads_ahead = true;  // of the snapshot, at opening, by a thread of its own
  };
  // How recovery went: for the log line, and for tests.
  struct Opened {
    bool from_snapshot = false;
    std::uint64_t replayed = 0;  // records after the snapshot
    std::string note;            // a torn tail that was cut, a snapshot that could not be used
  };
  // Errors: conflict (another process owns it), unsupported (written by a newer version), corrupt, io.
  static Result<std::unique_ptr<Store>> open(Disk& disk, const Options& options);

  log::Log& log() { return *log_; }
  engine::Engine& engine() { return engine_; }
  // nullptr: no warehouse sync was ever live.
  ChangeLog* changes() { return changes_.get(); }
  // To be called when the engine may have a new live workspace. Errors: of the log of changes, of the engine.
  Result<void> look_at_changes();
  // Deletions found in the log whose records are still there: a finished one leaves none.
  std::vector<engine::Deletion> take_deletions() { return std::exchange(deletions_, {}); }
  const Opened& opened() const { return opened_; }
  const std::string& directory() const { return options_.directory; }

  Result<RecordView> record(Position position, std::string& bytes) override;

  // Forgets the snapshot, on disk on return: the log alone says what is.
  Result<void> drop_snapshot();
  // Writes the engine's state as of this position (all before it applied), atomically. What the log of
  // changes lacks on disk goes there first (commit_changes: before a copy of this process writes).
  Result<SnapshotWritten> save_snapshot(Position position);
  Result<void> commit_changes();

 private:
  Store(Disk& disk, Options options);
  Result<void> lock();
  Result<void> check_format();
  Result<void> recover();
  Result<Position> load_snapshot();

  Disk& disk_;
  Options options_;
  std::unique_ptr<DiskLock> lock_;
  std::unique_ptr<log::Log> log_;
  engine::Engine engine_;
  std::unique_ptr<ChangeLog> changes_;
  Opened opened_;
  std::vector<engine::Deletion> deletions_;
};

}  // namespace tailrace::server
