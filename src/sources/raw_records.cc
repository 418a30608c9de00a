#include "sources/raw_records.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace tailrace::sources {

std::string_view cut(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t size = bytes_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

std::string RecordList::message_id() const {
  return fmt::format("auto-{:016x}-{}", entropy_, out_.ends.size());
}

Result<void> RecordList::add(RecordView record) {
  const std::string generated = record.message_id.empty() ? message_id() : std::string();
  if (record.message_id.empty()) record.message_id = generated;
  record.source = source_;
  TRY(encode_record(record, out_.bytes));
  out_.ends.push_back(static_cast<std::uint32_t>(out_.bytes.size()));
  return {};
}

void RecordList::reject(const RecordView& read, std::string_view message, std::string reason) {
  RecordView record;
  record.kind = RecordKind::rejected;
  record.time = now_;
  record.message_id = read.message_id;
  record.user_id = read.user_id;
  record.anonymous_id = read.anonymous_id;
  record.payload = cut(message, kRejectedPayloadBytesMax);
  record.reason = reason;
  const auto added = add(record);
  TR_ASSERT(added.has_value());
  ++out_.rejected;
  out_.reasons.push_back(std::move(reason));
}

}  // namespace tailrace::sources
