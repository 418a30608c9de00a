// Any bytes as the last file of a log: opening, reading and verifying them must end in records or in an
// error, and what opens must take more and open again.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "log/frame.h"
#include "log/log.h"
#include "model/record.h"
#include "support/memory_disk.h"

namespace tailrace::log {
namespace {

constexpr const char* kDirectory = "log";
constexpr Options kOptions{.file_bytes = 65536, .preallocate_bytes = 1024};

std::uint64_t read_all(const Log& log) {
  auto reader = log.read_from(Position{});
  TR_ASSERT(reader.has_value());
  Frame frame;
  std::uint64_t records = 0;
  for (;;) {
    const auto more = (*reader)->next(frame);
    TR_ASSERT(more.has_value());
    if (!*more) return records;
    (void)decode_record(frame.record);
    ++records;
  }
}

void open_and_go_on(Disk& disk) {
  const auto verified = verify(disk, kDirectory);
  const auto log = Log::open(disk, kDirectory, kOptions);
  if (!log) return;
  TR_ASSERT(verified.has_value());
  const std::uint64_t records = read_all(**log);
  TR_ASSERT((*log)->append(std::string(kRecordBytesMin, '\1'), Time{}).has_value());
  TR_ASSERT((*log)->commit().has_value());
  const auto again = Log::open(disk, kDirectory, kOptions);
  TR_ASSERT(again.has_value());
  TR_ASSERT(read_all(**again) == records + 1);
}

}  // namespace
}  // namespace tailrace::log

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // Once as a whole file, once behind a good header, which a fuzzer would hardly guess.
  for (const std::string& prefix : {std::string(), log::encode_file_header({})}) {
    testing::MemoryDisk disk;
    (void)disk.make_directories(log::kDirectory);
    disk.set_contents(std::string(log::kDirectory) + "/" + log::file_name(Position{}),
                      prefix + std::string(bytes));
    log::open_and_go_on(disk);
  }
  return 0;
}
