// What commands say of sources that are asked, and do with them.
#pragma once

#include <string>

#include "cli/command.h"

namespace tailrace::cli {

// For `status`: a table of them, or nothing where there are none.
Result<std::string> source_status(const Run& run, const workspace::Workspace& workspace);
// Pauses or resumes run.command.sync, which is one.
Result<std::string> pause_source(const Run& run, const workspace::Workspace& workspace, bool paused);

}  // namespace tailrace::cli
