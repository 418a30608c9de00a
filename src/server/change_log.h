// What the engine said while records were applied: who entered and left which segment and when, whose profile
// changed, who was deleted. Kept for warehouses, which tell the past as it was believed at the time; kept
// only while the workspace has warehouse syncs. A log of its own (log/log.h) below the store, of what could
// be computed again from the other one:
//
//   frame   := kind:u8 clock:i64 body           clock: the engine's, stamped by the log
//   names   (kind 1) := count:u32 {kind:u8 length:u32 name meaning:u64}     by SegmentId; meaning: a hash of
//   the
//                       definition
//   changes (kind 2) := names:u64 count:u32 {change:u8 at:i64 cause:i64 segment:u32 person:u32}
//                       names: position of the frame that names these segments
//
// It is on disk before a snapshot is, so that whatever a crash takes from its end is said again when the log
// is replayed from the snapshot; what it has already is then left out. Little-endian. One thread, but for
// read().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "engine/engine.h"
#include "log/log.h"

namespace tailrace::server {

struct ChangeEntry {
  enum class Change : unsigned char {
    entered,
    left,
    present,  // of a segment that is new: was a member then
    profile,  // something else of the person changed
    deleted,
    entered_before,  // of a segment that is new: by its timeline
    left_before,
  };
  std::uint64_t id = 0;  // unique, in order
  Change change = Change::entered;
  Time at;
  Time cause;
  bool of_audience = false;  // of a sync; else of a segment
  std::string_view name;     // the segment's or the sync's; empty for profile and deleted
  PersonId person;
};

class ChangeLog {
 public:
  // With so many events at most, a new segment's past is told by its timeline; with more, who is in it.
  static constexpr std::uint64_t kTimelineEventsMax = 5'000'000;

  // Errors: of the log.
  static Result<std::unique_ptr<ChangeLog>> open(Disk& disk, const std::string& directory);
  virtual ~ChangeLog() = default;

  // To be called whenever the engine may have a new live workspace, before anything is applied to that.
  // Segments that are new, or mean something else, begin with their past. Errors: of the engine, of the log.
  virtual Result<void> look(engine::Engine& engine) = 0;
  // What records and time changed since the last call. Where the log fails, commit() says so from then on,
  // and no snapshot is written: after a restart all is said again.
  virtual void note(const engine::Output& output, const engine::Engine& engine) = 0;
  // On disk on return, against a power cut too. Errors: of the log.
  virtual Result<void> commit() = 0;
  virtual Position begin() const = 0;
  virtual Position end() const = 0;  // of what is committed

  // Entries of frames in [from, to), which are committed, in order; at most about `entries_max` of them.
  // Gives where it ended. From any thread.
  virtual Result<Position> read(Position from, Position to, std::size_t entries_max,
                                const std::function<Result<void>(const ChangeEntry&)>& visit) const = 0;
};

}  // namespace tailrace::server
