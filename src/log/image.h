// What a copy of a log consists of: its files up to a position, each read whole, every frame checked.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"

namespace tailrace::log {

// A record that became a tombstone: where it stands, and what of it never changes. It says nothing of whose
// it was, so a list of these may be kept for as long as there are copies from before.
struct Tombstone {
  Position position;
  Time received_at;
  std::uint32_t length = 0;  // of the record
  bool created_person = false;

  auto operator<=>(const Tombstone&) const = default;
};

struct FileImage {
  Position first;
  // Of a plain file header and frames, without the space allocated ahead; of a compressed one all.
  std::uint64_t bytes = 0;
  std::string sha256;  // of those, in hex
};

struct Image {
  std::vector<FileImage> files;       // ascending
  std::vector<Tombstone> tombstones;  // ascending
  std::uint64_t records = 0;
  // Of the first record, which stays what it is when its person is deleted: tells one log from another. Zeros
  // in a log without records.
  Time first_received_at;
  std::uint32_t first_length = 0;
};

// Of a log that may be written meanwhile, but in which no record becomes a tombstone meanwhile, and whose
// files stay (Log::keep_files). end: what is committed. `gone`: asked now and then; true ends it with
// `unavailable`. Errors: corrupt, with file and offset; unavailable (a deletion is half carried out); io.
Result<Image> image_of(Disk& disk, const std::string& directory, Position end,
                       const std::function<bool()>& gone = {});

}  // namespace tailrace::log
