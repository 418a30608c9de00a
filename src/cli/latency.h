// How long live changes took, against what each sync promises of them, and whom ads may still reach.
#pragma once

#include <span>

#include "cli/table.h"
#include "delivery/delivery.h"

namespace tailrace::cli {

// A row for each sync. An objective is kept where at least 99 of 100 live changes were acknowledged within
// it.
Table latency_table(std::span<const delivery::SyncStatus> syncs, Time now);

}  // namespace tailrace::cli
