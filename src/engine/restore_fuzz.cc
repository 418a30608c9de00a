// Any bytes as the state in a snapshot, behind a checksum that is right: the engine refuses it, or has it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/engine.h"
#include "support/memory_records.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tailrace::testing::MemoryRecords records;
  tailrace::engine::Engine engine(records);
  static_cast<void>(engine.restore({reinterpret_cast<const char*>(data), size}));
  return 0;
}
