// Small files that are read and written whole.
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"

namespace tailrace {

Result<std::string> read_whole(Disk& disk, const std::string& path);

// directory/name holds `bytes` and then `more`, on disk on return; whatever happens on the way it holds them
// all, or what it held before. The file is written beside, as directory/name + suffix, which a crash may
// leave there.
struct WholeFile {
  std::string_view name;
  std::string_view suffix = ".new";
};
Result<void> write_whole(Disk& disk, const std::string& directory, const WholeFile& file,
                         std::string_view bytes, std::string_view more = {});

}  // namespace tailrace
