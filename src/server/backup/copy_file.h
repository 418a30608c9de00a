// Copies of files with their checksums.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace tailrace::server {

// SHA-256 of the first `bytes` bytes, in hex. Errors: io; corrupt, when the file is shorter.
Result<std::string> sum_of_file(const File& file, std::uint64_t bytes);
// Writes them to `path`, which is on disk on return but for its name, and gives their SHA-256.
Result<std::string> copy_file(Disk& disk, const File& from, std::uint64_t bytes, const std::string& path);
// Errors: corrupt, naming the file and what is wrong with it (also when it is missing); io.
Result<void> check_file(Disk& disk, const std::string& path, std::uint64_t bytes, const std::string& sha256);

}  // namespace tailrace::server
