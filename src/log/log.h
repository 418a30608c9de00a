// The log: every record, in order, on disk before it is acknowledged. Format: frame.h.
//
//   auto log   = TRY(Log::open(disk, "DIR/log", options));   // cuts a torn tail; reports damage elsewhere
//   with its place Position p = TRY(log->append(bytes, now));               // buffered; stamps received_at =
//   max(now, last) TRY(log->commit());                                      // one write and one fsync for
//   all buffered: now acknowledge
//
// append and commit belong to one thread at a time (GroupCommit wraps them for many); Reader may run beside
// it on committed positions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"

namespace tailrace::log {

enum class Durability : std::uint8_t {
  every_commit,      // fdatasync before commit returns (default)
  operating_system,  // leave it to the kernel: survives kill -9, not a power cut. For tests and throw-away
                     // imports
};

struct Options {
  std::uint64_t file_bytes = 256ull << 20;  // a file is sealed when the next frame does not fit
  std::uint64_t preallocate_bytes = 16ull
                                    << 20;  // the open file grows in such steps, so that commits overwrite
  Durability durability = Durability::every_commit;
};

struct Recovery {
  std::uint64_t records = 0;
  std::uint64_t cut_bytes = 0;  // torn tail that was never acknowledged
  std::string note;             // for the log line, empty when nothing was cut
};

// A frame as read back. `record` is encoded as model/record.h says, and is valid until the next call.
struct Frame {
  Position position;
  Position next;
  std::string_view record;
};

// Reads committed frames from a position on.
class Reader {
 public:
  virtual ~Reader() = default;
  // The next frame; frame.record empty at the end of what is committed. Errors: corrupt, with file and
  // offset; io.
  virtual Result<bool> next(Frame& frame) = 0;  // false: nothing more for now; call again after more commits
};

class Log {
 public:
  // Errors: corrupt (damage before the tail: file, offset), unsupported (a newer format), io.
  static Result<std::unique_ptr<Log>> open(Disk& disk, std::string directory, Options options);
  virtual ~Log() = default;

  // Buffers one encoded record; its received_at becomes max(now, the last one's). The position is final.
  virtual Result<Position> append(std::string_view record, Time now) = 0;
  // On return everything appended is durable as Options says. After an io error the log takes nothing more.
  virtual Result<void> commit() = 0;

  virtual Position begin() const = 0;
  virtual Position end() const = 0;        // where the next frame goes, buffered ones included
  virtual Position committed() const = 0;  // thread-safe
  virtual Time last_received_at() const = 0;
  virtual const Recovery& recovery() const = 0;

  virtual Result<std::unique_ptr<Reader>> read_from(Position position) const = 0;
  // One record by its position (committed). Copies into `bytes`.
  virtual Result<std::string_view> read(Position position, std::string& bytes) const = 0;

  // Deletion: turns the records at these positions into tombstones of the same length, on disk on return.
  // Atomic per file (a sealed or open file is rewritten beside and renamed). Idempotent. Runs while nothing
  // else writes.
  virtual Result<void> redact(std::vector<Position> positions) = 0;
};

}  // namespace tailrace::log
