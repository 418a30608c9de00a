// A copy of a store in a folder of its own, made beside the running store, from which it can be restored.
//
//   TARGET/BACKUP        what is in it (manifest.h); renamed into place last, so that there is always the
//                        backup before or the new one, whole
//   TARGET/deletions     which records of the log have become tombstones, and nothing of what they were
//   TARGET/log/, TARGET/changes/, TARGET/ledger/, TARGET/sources/, TARGET/snapshot.*
//                        files, each named by its place in the store and the beginning of its SHA-256
//   TARGET/unfinished    a first backup has begun and is not done
//
// A file that is there already is not copied again: sealed files of the log never change, but where somebody
// was deleted. Files the new manifest does not name are removed, so that nothing of a deleted person stays.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "server/backup/manifest.h"
#include "server/snapshot/reader.h"

namespace tailrace::server {

// What a store is at one instant. In the log no record becomes a tombstone while a backup is written.
struct BackupSource {
  std::string log;   // the directory
  Position log_end;  // committed, and not before what snapshot and ledger know of
  // As it was then, though another may take its place; or nullptr, or why it is not to be used.
  Result<std::unique_ptr<SnapshotReader>> snapshot = nullptr;
  std::string ledger;  // a directory that nobody changes
  // The log of changes (server/change_log.h), up to where it is committed: not behind snapshot and ledger,
  // and not ahead of log_end. Empty: there is none.
  std::string changes = {};
  Position changes_end = {};
  // Of sources that are asked: open, so that they stay; not ahead of the log.
  struct Standing {
    std::string place;
    std::unique_ptr<File> file;
  };
  std::vector<Standing> sources = {};
};

struct BackupReport {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t copied_files = 0;
  std::uint64_t copied_bytes = 0;
  std::uint64_t removed_files = 0;
  std::uint64_t records = 0;
  std::uint64_t tombstones = 0;
  std::string note;  // a snapshot that was left out
};

// On disk on return. gone: asked now and then; true ends it with `unavailable`, as if it had crashed. Errors:
// conflict (the target holds something else, a newer backup, another store's, or is being written), corrupt
// (the store is damaged: the backup before stays), io.
Result<BackupReport> write_backup(Disk& disk, const BackupSource& source, const std::string& target, Time now,
                                  const std::function<bool()>& gone = {});

// Errors: not_found (no backup there), corrupt (a first one was never finished; damage), unsupported.
Result<Manifest> read_manifest(Disk& disk, const std::string& target);

// Reads all of a backup. One sentence per file that is missing or not what the manifest says. Errors: of
// read_manifest.
Result<std::vector<std::string>> verify_backup(Disk& disk, const std::string& target);

// The list in a file, or in the folder of a backup. Errors: not_found, corrupt, unsupported, each naming it.
Result<Deletions> read_deletions(Disk& disk, const std::string& path);

}  // namespace tailrace::server
