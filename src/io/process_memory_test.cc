#include "io/process_memory.h"

#include <cstring>
#include <memory>

#include <gtest/gtest.h>

namespace tailrace::io {
namespace {

TEST(ProcessMemory, grows_by_what_is_written_to) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const std::uint64_t before = resident_bytes();
  EXPECT_GT(before, 0u);
  const std::unique_ptr<char[]> memory(new char[kBytes]);
  std::memset(memory.get(), 1, kBytes);
  EXPECT_EQ(memory[kBytes / 2], 1);
  EXPECT_GE(resident_bytes() + kBytes / 4, before + kBytes);
}

}  // namespace
}  // namespace tailrace::io
