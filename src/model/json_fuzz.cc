// Any bytes as JSON, and as a record of the log: what is read is written so that it is read the same again.
// (A double is written with 17 digits, which are read as an exact decimal: from then on nothing changes any
// more.)
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "model/json.h"
#include "model/json_scanner.h"
#include "model/record.h"

namespace {

using namespace tailrace;

void read_json(std::string_view text) {
  const auto value = parse_json(text);
  JsonScanner scanner(text);
  JsonSlice whole;
  static_cast<void>(scanner.value(whole));  // never beyond the text
  if (!value) return;
  const std::string written = to_json(*value);
  const auto again = parse_json(written);
  TR_ASSERT(again.has_value());
  const std::string settled = to_json(*again);
  const auto third = parse_json(settled);
  TR_ASSERT(third && to_json(*third) == settled);
}

void read_record(std::string_view bytes) {
  const auto record = decode_record(bytes);
  if (!record || record->kind == RecordKind::tombstone) return;
  std::string written;
  if (!encode_record(*record, written)) return;
  const auto again = decode_record(written);
  TR_ASSERT(again && again->payload == record->payload && again->user_id == record->user_id &&
            again->time == record->time && again->received_at == record->received_at);
  std::string tombstone(bytes);
  make_tombstone(tombstone, 0, tombstone.size());
  TR_ASSERT(decode_record(tombstone).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_json(bytes);
  read_record(bytes);
  return 0;
}
