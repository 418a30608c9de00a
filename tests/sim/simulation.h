// One run of everything under faults, and its judgement. The same seed gives the same run, step by step.
//
//   Outcome outcome = simulate({.seed = 7});
//   outcome.problems        // what was promised and not kept; empty: all was kept
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace tailrace::testing {

struct SimulationOptions {
  std::uint64_t seed = 0;
  bool faults = true;
  bool trace = false;  // each step to stdout
  // In the end one identifier vanishes from each platform: to see that the judge sees.
  bool tamper = false;
  // Only so many inputs, and no other faults than one: the disk fails at this operation, or the machine stops
  // behind it.
  std::size_t inputs_max = SIZE_MAX;
  std::optional<std::uint64_t> failing_operation;
  std::optional<std::uint64_t> last_operation;
};

struct Outcome {
  std::vector<std::string> problems;
  std::uint64_t digest = 0;  // of all steps
  Millis simulated;
  std::uint64_t inputs = 0;
  std::uint64_t requests = 0;
  std::uint64_t boots = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t disk_errors = 0;
  std::uint64_t disk_operations = 0;  // before rest
  std::uint64_t lost_messages = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t redactions = 0;
  std::uint64_t compressed_files = 0;  // of the log
  std::uint64_t releases = 0;          // of what guards held
  std::uint64_t drifted = 0;           // identifiers that platforms lost, and strangers they took up
  std::uint64_t reuploads = 0;
  std::uint64_t standing = 0;  // identifiers at the platforms in the end
  std::uint64_t timed = 0;     // changes and events whose latency was looked at
  std::uint64_t told = 0;      // events that platforms were told of
  std::uint64_t told_again = 0;
  std::uint64_t never_told = 0;    // for a reason
  std::uint64_t dead_letters = 0;  // of events, at rest
  std::uint64_t by_hand = 0;       // pauses, replays, resets, retries
  std::uint64_t members = 0;       // of segments in the end

  void add(const Outcome& other);
};

Outcome simulate(const SimulationOptions& options);

}  // namespace tailrace::testing
