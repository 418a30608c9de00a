// The log: every record, in order, on disk before it is acknowledged. Format: frame.h.
//
//   auto log = TRY(Log::open(disk, "DIR/log", options));  // cuts a torn tail; reports damage elsewhere, with
//   place Position p = TRY(log->append(bytes, now));            // buffered; stamps received_at = max(now,
//   last) TRY(log->commit());                                   // one write and one fsync for all: now
//   acknowledge
//
// append, commit and redact belong to one thread at a time (GroupCommit wraps them for many). Readers (each
// on one thread), read, committed, begin and compress_file may run beside it, on committed positions. The
// disk must outlive the log, and the log its readers.
//
// After a failed write or sync nobody knows what reached the disk, so the log takes nothing more: every later
// append, commit and redact fails and names the first error. Committed records can still be read, and opening
// the log again mends it. What was appended but not committed may or may not be there then, without gaps.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "model/record.h"

namespace tailrace::log {

enum class Durability : std::uint8_t {
  every_commit,      // fdatasync before commit returns (default)
  operating_system,  // leave it to the kernel: survives kill -9, not a power cut. For tests and throw-away
                     // imports
};

struct Options {
  // A file is sealed when the next frame does not fit. 4 KiB to 1 GiB. A longer record has a file of its own.
  std::uint64_t file_bytes = 256ull << 20;
  // The open file grows in such steps, so that commits overwrite. 0: it grows with every commit.
  std::uint64_t preallocate_bytes = 16ull << 20;
  Durability durability = Durability::every_commit;
};

struct Recovery {
  std::uint64_t records = 0;    // in the whole log
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
  // The next frame. False, and frame.record empty, at the end of what is committed: call again after more
  // commits. Errors: corrupt, with file and offset; io.
  virtual Result<bool> next(Frame& frame) = 0;
};

class Log {
 public:
  // Cuts a torn tail and removes unfinished rewrites; says so in recovery(). Reads the headers of all files
  // and the frames of the last one; verify() reads everything. Errors: corrupt (damage before the tail: file,
  // offset), unsupported (a newer format), both without changing anything; invalid_argument (options); io.
  static Result<std::unique_ptr<Log>> open(Disk& disk, std::string directory, Options options);
  virtual ~Log() = default;

  // Buffers one encoded record; its received_at becomes max(now, the last one's). The position is final.
  // Errors: invalid_argument (length not in [kRecordBytesMin, kRecordBytesMax]; nothing is appended); io, as
  // a full file is sealed on the way.
  virtual Result<Position> append(std::string_view record, Time now) = 0;
  // On return everything appended is durable as Options says. After an io error the log takes nothing more.
  virtual Result<void> commit() = 0;

  virtual Position begin() const = 0;
  // Where the next frame goes, buffered ones included; when that begins a file, the frame is a header
  // further.
  virtual Position end() const = 0;
  virtual Position committed() const = 0;     // thread-safe
  virtual Time last_received_at() const = 0;  // buffered ones included; kForeverAgo when there is none
  virtual const Recovery& recovery() const = 0;

  // position: of a committed record, or where the next goes, such as a Frame's next, begin() or 0. Errors:
  // invalid_argument when it is beyond the end of what is committed.
  virtual Result<std::unique_ptr<Reader>> read_from(Position position) const = 0;
  // One record by its position (committed). A view into `bytes`, which holds a copy. Errors: not_found
  // (outside of what is committed), corrupt (no whole record begins there), io.
  virtual Result<std::string_view> read(Position position, std::string& bytes) const = 0;

  // Where the first committed record lies that was received at t or later; committed(), where there is none.
  // Reads the heads of all files, and half a file. Errors: corrupt, io.
  virtual Result<Position> received_since(Time t) const = 0;

  // Deletion: turns the records at these positions into tombstones of the same length, on disk on return.
  // Commits what is buffered. A file is rewritten beside and renamed; what a crash interrupts is finished
  // when the log is opened. Idempotent. Readers that run beside it see a record either whole or as a
  // tombstone. Errors: not_found (a position outside of what is committed), corrupt (no whole record there),
  // both without changing anything; io. `creators`: those of them that made a person known. `pins`: of other
  // records, which stay and are pinned.
  virtual Result<void> redact(std::vector<Position> positions, std::vector<Position> creators = {},
                              std::vector<Pin> pins = {}) = 0;

  // Compresses the oldest sealed file that is plain (compressed_file.h), and puts it at its place. False:
  // there is none that is committed whole, or keep_files() holds it off. Thread-safe, beside everything else:
  // a deletion cuts it off, as `stop` does when it is true, and what was written is thrown away. Errors:
  // unavailable (cut off); corrupt (the file is damaged and stays), io: readers find the file as it was, or
  // compressed.
  virtual Result<bool> compress_file(const std::function<bool()>& stop = {}) = 0;
  // While it is held, no file is compressed: what is read of one by its name is of one file. Thread-safe.
  virtual std::shared_lock<std::shared_mutex> keep_files() const = 0;
};

// The full check: reads every byte of every file and changes nothing. For a log that nobody writes.
struct Verification {
  std::uint64_t files = 0;
  std::uint64_t records = 0;     // whole ones
  std::uint64_t torn_bytes = 0;  // a torn tail, which open would cut
  std::vector<std::string>
      damage;  // one sentence per damaged place, with file and offset; empty: all is well
};
// Errors: corrupt where the files do not even fit together, unsupported (a newer format), io.
Result<Verification> verify(Disk& disk, const std::string& directory);

}  // namespace tailrace::log
