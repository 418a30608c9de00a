// A backup of a store that is open, and may be serving.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "server/backup/backup.h"
#include "server/core.h"

namespace tailrace::server {

// Records go on meanwhile; deletions that are pending are carried out first, and later ones wait until it is
// done. Errors: of write_backup, and of the ledger. Not from the threads of the core or the courier.
Result<BackupReport> back_up(Core& core, const std::string& target, const std::function<bool()>& gone);

}  // namespace tailrace::server
