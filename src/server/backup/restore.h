// A store from a backup.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "server/backup/manifest.h"

namespace tailrace::server {

struct RestoreReport {
  Manifest manifest;
  std::uint64_t bytes = 0;
  std::uint64_t deleted_records = 0;  // which the backup still had
  std::string note;                   // what was left out
};

// Puts the backup into `directory`, which must not exist or be empty. Every file is checked against its
// SHA-256. All is made beside, in directory.restoring, and renamed: whatever happens, `directory` is as it
// was, or the whole store. Deletions are carried out on the way: those beside the backup and those given, of
// which each must be of this store's log. ledger: called with the directory of the restored ledger, before it
// is put into place. Errors: of read_manifest; conflict (the directory is not empty; deletions of another
// store), corrupt (naming the file), unsupported, io.
Result<RestoreReport> restore_backup(Disk& disk, const std::string& backup, const std::string& directory,
                                     const std::vector<Deletions>& deletions,
                                     const std::function<Result<void>(const std::string&)>& ledger);

}  // namespace tailrace::server
