// libFuzzer entry: any bytes as the body of any call, and as gzip. What is taken must decode, and the JSON of
// what is stored must be readable.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "model/json.h"
#include "sources/segment.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tailrace;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  sources::SegmentRequest request;
  request.call = static_cast<sources::SegmentCall>(data[0] % 9);
  const auto records = sources::read_segment(body, request, {});
  if (records) {
    for (std::size_t i = 0; i < records->ends.size(); ++i) {
      const auto record = decode_record(records->at(i));
      TR_ASSERT(record.has_value());
      if (record->kind == RecordKind::rejected) continue;
      TR_ASSERT(record->payload.empty() || parse_json(record->payload).has_value());
      TR_ASSERT(record->context.empty() || parse_json(record->context).has_value());
    }
  }
  sources::write_key(body, body);
  const auto undone = sources::gunzip(body, 1u << 16);
  TR_ASSERT(!undone || undone->size() <= 1u << 16);
  return 0;
}
