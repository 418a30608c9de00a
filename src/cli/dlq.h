// Dead letters as they are listed: of delivery, and of ingest under the name `quarantine`.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/masked.h"
#include "cli/table.h"
#include "delivery/dead_letters.h"

namespace tailrace::cli {

constexpr std::string_view kQuarantine = "quarantine";

struct Letter {
  std::string sync;  // or kQuarantine
  std::string what;  // "addition", "removal", "identifiers"; of the quarantine, the kind of call or the event
  std::string person;  // masked
  std::string reason;
  Time at;
  bool dropped = false;
};

// Which letters a command is about.
struct Choice {
  std::string reason;  // part of theirs; "": any
  Time from = kTimeMin, to = kTimeMax;
  bool takes(std::string_view of, Time at) const {
    return from <= at && at <= to && of.find(reason) != std::string_view::npos;
  }
};

std::string_view to_string(delivery::DeadLetter::Of of);

// Counts by sync, kind and reason, the most first; the dropped ones are counted apart.
Table letters_by_reason(std::span<const Letter> letters);
Table letters_one_by_one(std::span<const Letter> letters);

}  // namespace tailrace::cli
