// What `status` and `plan` say of syncs that are past their expiry.
#pragma once

#include <string>

#include "base/calendar.h"
#include "engine/engine.h"
#include "workspace/workspace.h"

namespace tailrace::cli {

// One sentence, with the number of people it is about; "" where nothing was passed. expired: how many people
// workspace::expired_expression holds for at `now`.
std::string expiry_in_words(const workspace::SyncConfig& sync, const Zone& zone, std::uint64_t expired,
                            Time now);

// A line for each sync of the live workspace that is past it. The engine is at `now`.
std::string expiries_in_words(const engine::Engine& engine, Time now);

}  // namespace tailrace::cli
