// Any bytes as a compressed file of a log, and any bytes in the place of a block of one: opening and reading
// it must end in the bytes it says it has, or in an error.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/hash.h"
#include "log/compressed_file.h"
#include "log/frame.h"
#include "log/log.h"
#include "support/memory_disk.h"

namespace tailrace::log {
namespace {

constexpr const char* kPath = "log/00000000000000000000.log";
constexpr std::uint64_t kReadBytesMax = 4 * kBlockBytes;

void read(std::string bytes) {
  testing::MemoryDisk disk;
  (void)disk.make_directories("log");
  disk.set_contents(kPath, std::move(bytes));
  const auto opened = open_log_file(disk, kPath);
  if (!opened) return;
  const std::uint64_t size = *opened->file->size();
  std::string all(std::min<std::uint64_t>(size, kReadBytesMax), '\0');
  const std::size_t got = *opened->file->read_at(0, all);
  TR_ASSERT(got == all.size());
  std::string part(100, '\0');
  for (std::uint64_t offset = 0; offset < got; offset += got / 7 + 1) {
    const std::size_t there = *opened->file->read_at(offset, part);
    const std::size_t compared = std::min<std::size_t>(there, got - offset);
    TR_ASSERT(part.compare(0, compared, all, offset, compared) == 0);
  }
  (void)verify(disk, "log");
}

template <class T>
std::string number(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// A file whose checks are right and whose only block, of so many bytes it says, is these.
std::string around(std::string_view block, std::uint32_t plain_bytes) {
  const std::string header = encode_file_header({}, kCompressedVersion);
  const std::string index = number(plain_bytes) + number(static_cast<std::uint32_t>(block.size())) +
                            number(hash64(block) ^ kFileHeaderBytes);
  const std::string end = number(std::uint64_t{kFileHeaderBytes + plain_bytes}) + number(std::uint64_t{1});
  return header + std::string(block) + index + end + number(hash64(end, hash64(index, hash64(header))));
}

}  // namespace
}  // namespace tailrace::log

// The first two bytes say how long the block claims to be, where the rest is one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  log::read(std::string(bytes));
  log::read(log::encode_file_header({}, log::kCompressedVersion) + std::string(bytes));
  if (size < 2) return 0;
  const auto claimed =
      static_cast<std::uint32_t>((data[0] | data[1] << 8) * static_cast<int>(log::kAlignment));
  log::read(log::around(bytes.substr(2), claimed));
  return 0;
}
