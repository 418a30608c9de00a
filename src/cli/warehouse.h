// Warehouse syncs for commands that ask about them or act on them, whether `serve` runs or not.
#pragma once

#include <string>

#include "cli/command.h"

namespace tailrace::cli {

// For `status`: a table. Nothing where there are no warehouse syncs. Errors: of the ledger.
Result<std::string> warehouse_status(const Run& run, const workspace::Workspace& workspace);
// `pause` and `resume` of one.
Result<std::string> pause_warehouse(const Run& run, const workspace::Workspace& workspace, bool paused);

}  // namespace tailrace::cli
