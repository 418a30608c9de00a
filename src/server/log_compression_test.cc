#include "server/log_compression.h"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "log/compressed_file.h"
#include "model/record.h"
#include "support/memory_disk.h"

namespace tailrace::server {
namespace {

using testing::MemoryDisk;

constexpr const char* kDirectory = "log";

// As many as fill some files.
void append_records(log::Log& log) {
  const std::string payload(1000, 'x');
  RecordView view;
  view.kind = RecordKind::track;
  view.event = "order";
  view.payload = payload;
  std::string record;
  ASSERT_TRUE(encode_record(view, record));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(log.append(record, Time{1'772'366'400'000}));
  ASSERT_TRUE(log.commit());
}

std::ptrdiff_t compressed_files(MemoryDisk& disk) {
  const auto names = *disk.list(kDirectory);
  return std::ranges::count_if(names, [&](const std::string& name) {
    const auto file = log::open_log_file(disk, std::string(kDirectory) + "/" + name);
    return file && file->compressed;
  });
}

TEST(LogCompression, compresses_sealed_files_those_of_before_and_those_that_follow) {
  MemoryDisk disk;
  const auto log = *log::Log::open(disk, kDirectory, {.file_bytes = 4096, .preallocate_bytes = 1024});
  append_records(*log);
  const LogCompression compression(*log);
  while (compressed_files(disk) < 3) std::this_thread::yield();
  append_records(*log);
  while (compressed_files(disk) < 5) std::this_thread::yield();
  const auto reader = *log->read_from(log->begin());
  log::Frame frame;
  int records = 0;
  while (*reader->next(frame)) ++records;
  EXPECT_EQ(records, 20);
}

}  // namespace
}  // namespace tailrace::server
