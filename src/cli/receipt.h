// The receipt of one person and one sync, as it is shown.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/time.h"
#include "cli/table.h"
#include "delivery/receipt.h"
#include "destinations/audience_destination.h"
#include "workspace/workspace.h"

namespace tailrace::cli {

struct ReceiptLine {
  std::string sync, destination;
  workspace::Effect effect = workspace::Effect::target;
  bool held_out = false;
  std::string change;    // "addition", "removal", "exchange of identifiers"; "" where nothing ever happened
  std::string standing;  // "acknowledged", "pending: ...", "refused: ...", "not in the audience"
  // Each where it is known and has happened.
  std::string event;  // its name and message id
  std::optional<Time> event_at, received_at, changed_at, sent_at, acknowledged_at;
  std::optional<destinations::ProcessingTime> processing;  // of the platform, in none of the times
};

// All but what only the engine and the destination know.
ReceiptLine receipt_line(const workspace::SyncConfig& sync, const delivery::Receipt& receipt);

// A paragraph for each sync: its steps in order, each with the time since the one before.
std::string receipt_text(std::span<const ReceiptLine> lines);
Table receipt_table(std::span<const ReceiptLine> lines);

}  // namespace tailrace::cli
