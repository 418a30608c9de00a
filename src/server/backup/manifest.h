// What a backup holds, in TARGET/BACKUP: text, one thing a line, its own checksum last. A backup without a
// whole one is none.
//
//   manifest := "tailrace backup 3" made log snapshot? ledger file* sum      of "1" the snapshot is one file
//   made     := "made" time
//   log      := "log" format end records first_received_at first_length    numbers; see log/image.h
//   snapshot := "snapshot" position
//   ledger   := "ledger" format
//   file     := "file" sha256 bytes place name     where it belongs in the store; where it is in the backup
//   sum      := "sum" sha256                       of all lines before it
//
// The list of deletions, in TARGET/deletions and wherever it was copied to, is of the same kind:
//
//   deletions := "tailrace deletions 1" first tombstone* sum
//   first     := "first" first_received_at first_length                    of the log's first record
//   tombstone := position received_at length created                       created: 0 or 1
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "log/image.h"

namespace tailrace::server {

// Tells the log of one store from that of another. A log without records is nobody's.
struct LogIdentity {
  Time first_received_at;
  std::uint32_t first_length = 0;

  bool known() const { return first_length > 0; }
  // Could both be the same store's?
  bool fits(const LogIdentity& other) const { return !known() || !other.known() || *this == other; }
  bool operator==(const LogIdentity&) const = default;
};

struct BackupFile {
  std::string sha256;
  std::uint64_t bytes = 0;
  std::string place;  // "log/00000000000000000000.log", "ledger/000012.sst", "snapshot", "snapshot.000001"
  std::string name;

  bool operator==(const BackupFile&) const = default;
};

struct Manifest {
  Time made;
  std::uint32_t log_format = 0;
  Position log_end;
  std::uint64_t records = 0;
  LogIdentity log;
  std::optional<Position> snapshot;
  std::uint32_t ledger_format = 0;
  std::vector<BackupFile> files;

  bool operator==(const Manifest&) const = default;
};
std::string to_text(const Manifest& manifest);
// The folders in a store of sources that are asked, of which it has files: "sources/crm".
std::vector<std::string> source_folders(const Manifest& manifest);
// Errors: corrupt (not whole, or a place outside of a store), unsupported (of a newer version).
Result<Manifest> parse_manifest(std::string_view text);

struct Deletions {
  LogIdentity log;
  std::vector<log::Tombstone> tombstones;  // ascending

  bool operator==(const Deletions&) const = default;
};
std::string to_text(const Deletions& deletions);
// Errors: as above.
Result<Deletions> parse_deletions(std::string_view text);

}  // namespace tailrace::server
