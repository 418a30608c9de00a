// What happened last between one person and one sync: when it was decided, sent and acknowledged, and what is
// still to be done. Of the ledger where it is over, of the run where it is not.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "delivery/ledger.h"
#include "destinations/audience_destination.h"

namespace tailrace::delivery {

struct SyncRun;

struct Receipt {
  bool desired = false;                            // belongs into the audience now
  std::optional<Membership> membership;            // as the ledger has it; missing: nothing was ever sent
  std::optional<destinations::BatchKind> pending;  // still to be sent, or without an answer
  bool compared = false;   // pending is of a member whose identifiers changed, not of the membership
  bool in_flight = false;  // a request about them is under way, or waits to go again
  bool refused = false;    // by the platform, or for want of identifiers; membership->reason says why
  // Of what is pending and was not begun: when the segment said so, and the receipt of what caused it.
  // Missing: it was pending when delivery started.
  std::optional<Time> changed_at, received_at;
  std::string waiting;  // why it is pending; "" where nothing is
};

// Without `waiting`. Errors: of the ledger.
Result<Receipt> receipt_of(const SyncRun& run, Ledger& ledger, PersonId person);

}  // namespace tailrace::delivery
