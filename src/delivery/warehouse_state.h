// What the ledger keeps of a warehouse sync: how far it has come, and the pack that is under way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/id.h"
#include "base/time.h"

namespace tailrace::delivery {

struct WarehouseState {
  // A pack lies on the local disk and may be in the warehouse, whole or in part: it is loaded until that is
  // known, and it is the same one every time.
  struct Pending {
    Position log_end;
    Position changes_end;
    std::uint64_t deliveries_end = 0;
    Time cut_at;
    bool operator==(const Pending&) const = default;
  };
  bool begun = false;
  std::uint64_t packs = 0;  // loaded; the sequence of the last
  // All before these is loaded: of the log, of the log of changes, of the ledger's deliveries.
  Position log;
  Position changes;
  std::uint64_t deliveries = 0;
  std::optional<Pending> pending;
  std::string schema;  // its tables as of the last pack, as JSON
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  Time loaded_at;  // the last pack
  bool paused = false;
  std::string stopped_reason;  // non-empty: not running until mended

  bool operator==(const WarehouseState&) const = default;
};

}  // namespace tailrace::delivery
