// An engine that a scenario is played on: inputs become records, deltas become changes. What the engine must
// never do, whatever the scenario, is thrown as a Finding.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "property/scenario.h"
#include "support/memory_records.h"

namespace tailrace::testing {

using Membership = std::set<std::pair<std::uint32_t, PersonId>>;               // by segment
using Changes = std::vector<std::tuple<Time, PersonId, std::uint32_t, bool>>;  // true: entered

// Checked, and such as an engine takes up; nothing if it is not.
std::optional<workspace::Workspace> usable(const workspace::Workspace& workspace);

// The record an input becomes; not of sync_entry, which is none. The view is valid during `use`.
void with_record(const Input& input, Time received_at, const std::function<void(const RecordView&)>& use);

class Play {
 public:
  Play();

  engine::Engine& engine() { return *engine_; }
  const engine::Engine& engine() const { return *engine_; }
  // The live one.
  const workspace::Workspace& workspace() const { return *engine_->workspace(); }

  void take_up(const workspace::Workspace& workspace, Time at);
  void receive(const Input& input, Time received_at);
  void receive(const Input& input) { receive(input, input.received_at); }
  void advance(Time t) { engine_->advance(t, output_); }
  void work();      // a slice
  void work_all();  // until none is pending
  void restart();   // only while no work is pending

  // What was told since the last time, audiences left out.
  Changes take_changes();
  // In segments, as the engine has it now.
  Membership members() const;
  std::vector<PersonId> members_at(const workspace::Named& segment, Time t);
  // Person, name and time of every record that the engine says was admitted as an event.
  std::multiset<std::tuple<PersonId, std::string, Time>> admitted();
  // As changes of segment 0.
  Changes transitions(const workspace::Named& segment, Time from, Time to);
  // From now on deletions leave tombstones in the log, and pins.
  void redact_deletions() { redacts_ = true; }
  std::unique_ptr<Play> replayed();  // the log once more, from its beginning

 private:
  void apply(const RecordView& record);
  void redact();

  MemoryRecords records_;
  std::unique_ptr<engine::Engine> engine_;
  engine::Output output_;
  bool redacts_ = false;
};

}  // namespace tailrace::testing
