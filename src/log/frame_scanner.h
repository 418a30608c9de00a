// Reads the frames of one file, in big reads and without copying them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/id.h"
#include "base/result.h"
#include "log/frame.h"

namespace tailrace::log {

// Views into the scanner's buffer, valid until its next read.
struct ScannedFrame {
  std::string_view record;
  std::string_view raw;  // header, record, padding
  std::uint32_t back = 0;
};

class FrameScanner {
 public:
  // The file must outlive the scanner. first: the file's first position.
  FrameScanner(const File& file, Position first) : file_(&file), first_(first) {}

  // The whole frame at `offset` that ends at or before `limit` (an offset too; bytes up to it do not change
  // while the scanner lives). False: there is none, be it for damage, a torn write, or zeros. Errors: io.
  Result<bool> read(std::uint64_t offset, std::uint64_t limit, ScannedFrame& frame);

 private:
  // Empty when the bytes are not there before limit.
  Result<std::string_view> view(std::uint64_t offset, std::size_t bytes, std::uint64_t limit);

  const File* file_;
  Position first_;
  std::vector<char> buffer_;
  std::uint64_t buffer_offset_ = 0;
  std::size_t buffered_ = 0;
};

}  // namespace tailrace::log
