// Writes a copy of a log file in which some records are tombstones.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/id.h"
#include "base/result.h"

namespace tailrace::log {

struct Rewrite {
  std::string path;
  Position first;
  std::uint64_t frames_end = 0;  // offset behind the last frame
  std::uint64_t size = 0;        // of the copy, space allocated ahead included
};

std::string temporary_path(const std::string& path);
bool is_tombstone(std::string_view record);

// Writes the copy to temporary_path(path) and syncs it; it is then ready to be renamed. positions: ascending,
// each of a whole record of this file; creators: ascending. On an error the copy is removed as far as
// possible.
Result<std::unique_ptr<File>> write_redacted(Disk& disk, const Rewrite& rewrite,
                                             const std::vector<Position>& positions,
                                             const std::vector<Position>& creators);

}  // namespace tailrace::log
