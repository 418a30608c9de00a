// Turning records into tombstones: file by file, by a copy. Of a compressed file only the blocks with such
// records are undone.
// What is to be done is written down first (DIR/redaction), and done again from there when the log is opened
// after a crash: a log of which some files are redacted and others not would give other people other ids when
// it is replayed.
//
//   redaction := magic:8 checksum:u64 positions creators pins      arrays, their count before them, of u64; a
//                                                                  pin is a u64 and a u8
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/id.h"
#include "base/result.h"
#include "model/record.h"

namespace tailrace::log {

constexpr const char* kRedactionName = "redaction";

struct Rewrite {
  std::string path;
  Position first;
  std::uint64_t frames_end = 0;  // offset behind the last frame
  std::uint64_t size = 0;        // of the copy, space allocated ahead included
};

struct Redaction {
  std::vector<Position> positions;  // ascending
  std::vector<Position> creators;   // ascending; those of them that made a person known
  std::vector<Pin> pins;            // ascending by position, each once; of records that stay

  bool empty() const { return positions.empty() && pins.empty(); }
};
// On disk on return.
Result<void> write_down(Disk& disk, const std::string& directory, const Redaction& redaction);
// What was written down and not crossed out. Errors: corrupt.
Result<std::optional<Redaction>> find_written_down(Disk& disk, const std::string& directory);
Result<void> cross_out(Disk& disk, const std::string& directory);

std::string temporary_path(const std::string& path);
bool is_tombstone(std::string_view record);
// Or it is a tombstone.
bool is_pinned(std::string_view record, const Pin& pin);

// Writes the copy to temporary_path(path) and syncs it; it is then ready to be renamed. part: positions and
// pins of whole records of this file; creators of any. The copy, opened; nullptr: it is compressed, as the
// file is. On an error it is removed as far as possible.
Result<std::unique_ptr<File>> write_redacted(Disk& disk, const Rewrite& rewrite, const Redaction& part);

}  // namespace tailrace::log
