// Who stays in an audience at its platform when its sync goes away: nobody adds or removes people there any
// more, and the platform goes on showing ads by it, or stopping them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "delivery/ledger.h"
#include "workspace/workspace.h"

namespace tailrace::cli {

struct Leftover {
  std::string sync;
  std::string destination;
  std::string audience_id;  // empty: the destination has none
  workspace::Effect effect = workspace::Effect::target;
  bool is_retired = false;   // it is being emptied
  std::uint64_t people = 0;  // of whom something may stand at the platform
};

// Reads the sync's whole ledger. Errors: of the ledger.
Result<Leftover> leftover_of(const workspace::SyncConfig& sync, delivery::Ledger& ledger);

// A sentence for `plan` and `apply`, with what to do. There is somebody.
std::string leftover_in_words(const Leftover& leftover);

}  // namespace tailrace::cli
