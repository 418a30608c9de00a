// Any bytes as a value of the ledger: they are refused, or are what they are written as again.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "delivery/ledger_format.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace::delivery::ledger_format;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  // What older formats wrote is shorter than what it is written as again, and means the same.
  if (data[0] % 8 == 4) {
    if (const auto stream = decode_stream(bytes)) {
      TR_ASSERT(decode_stream(encode_stream(*stream)) == stream);
    }
  } else if (data[0] % 8 == 6) {
    if (const auto letter = decode_dead_letter({}, bytes)) TR_ASSERT(encode_dead_letter(*letter) == bytes);
    if (const auto point = decode_match_point({}, bytes)) TR_ASSERT(encode_match_point(*point) == bytes);
    if (const auto refusals = decode_refusals("", bytes)) TR_ASSERT(encode_refusals(*refusals) == bytes);
  } else if (data[0] % 2 == 0) {
    if (const auto membership = decode_membership(bytes)) {
      const std::string again = encode_membership(*membership);
      TR_ASSERT(again.starts_with(bytes));
      TR_ASSERT(decode_membership(again) == membership);
    }
  } else if (const auto state = decode_state(bytes)) {
    const std::string again = encode_state(*state);
    const auto read = decode_state(again);
    TR_ASSERT(read.has_value() && encode_state(*read) == again);
  }
  return 0;
}
