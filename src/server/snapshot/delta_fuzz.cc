// Any bytes as a delta, and any two strings as what a delta is made of. The first byte says where the older
// string ends.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "server/snapshot/delta.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  if (size == 0) return 0;
  constexpr std::size_t kBytesMax = 4096;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t length = std::min<std::size_t>(bytes.size(), data[0]);
  const std::string_view before = bytes.substr(0, length);
  const std::string_view after = bytes.substr(length);
  const auto damaged = server::apply_delta(before, after, kBytesMax);
  TR_ASSERT(!damaged || damaged->size() <= kBytesMax);
  const auto applied = server::apply_delta(before, server::delta_of(before, after), after.size());
  TR_ASSERT(applied && *applied == after);
  return 0;
}
