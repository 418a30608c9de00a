// Encoding of a record, version 1. Little-endian.
//
//   record   := kind:u8 received_at:i64 body
//   body     := time:i64 field{8}        fields in the order source, message_id, user_id, anonymous_id,
//                                        previous_id, event (group_id for group, reason for rejected),
//                                        payload, context
//   field    := length:varint bytes
//   varint   := LEB128, at most 5 bytes
//   tombstone: the body is gone; what follows received_at is zero bytes up to the old length, so that
//              positions stay.
#include "model/record.h"

#include <array>
#include <cstring>

#include "base/assert.h"

namespace tailrace {
namespace {

constexpr std::size_t kHeaderBytes = kRecordBytesMin;  // kind, received_at
constexpr std::uint8_t kKindMax = static_cast<std::uint8_t>(RecordKind::rejected);

void append_i64(std::string& out, std::int64_t value) {
  std::array<char, 8> bytes{};
  std::memcpy(bytes.data(), &value, bytes.size());
  out.append(bytes.data(), bytes.size());
}

std::int64_t load_i64(const char* bytes) {
  std::int64_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

void append_field(std::string& out, std::string_view field) {
  auto length = static_cast<std::uint32_t>(field.size());
  for (; length >= 0x80; length >>= 7) out += static_cast<char>((length & 0x7f) | 0x80);
  out += static_cast<char>(length);
  out += field;
}

bool take_field(std::string_view& rest, std::string_view& field) {
  std::uint32_t length = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (rest.empty() || shift > 28) return false;
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    length |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (length > rest.size()) return false;
  field = rest.substr(0, length);
  rest.remove_prefix(length);
  return true;
}

std::unexpected<Error> corrupt() {
  return fail(Error::Code::corrupt, "a record in the log does not follow its grammar");
}

}  // namespace

Result<void> encode_record(const RecordView& record, std::string& out) {
  const std::string_view sixth = record.kind == RecordKind::group      ? record.group_id
                                 : record.kind == RecordKind::rejected ? record.reason
                                                                       : record.event;
  const std::array fields{record.source,       record.message_id,  record.user_id,
                          record.anonymous_id, record.previous_id, sixth,
                          record.payload,      record.context};
  std::size_t bytes = kHeaderBytes + 8;
  for (const auto field : fields) bytes += field.size() + 5;
  if (bytes > kRecordBytesMax) return invalid("a record is longer than 4 MiB; send less in one message");
  out += static_cast<char>(record.kind);
  append_i64(out, record.received_at.ms);
  append_i64(out, record.time.ms);
  for (const auto field : fields) append_field(out, field);
  return {};
}

Result<RecordView> decode_record(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return corrupt();
  const auto kind = static_cast<std::uint8_t>(bytes[0]);
  if (kind > kKindMax) return corrupt();
  RecordView record;
  record.kind = static_cast<RecordKind>(kind);
  record.received_at = {load_i64(bytes.data() + 1)};
  if (record.kind == RecordKind::tombstone) return record;
  if (bytes.size() < kHeaderBytes + 8) return corrupt();
  record.time = {load_i64(bytes.data() + kHeaderBytes)};
  std::string_view rest = bytes.substr(kHeaderBytes + 8);
  std::string_view sixth;
  if (!take_field(rest, record.source) || !take_field(rest, record.message_id) ||
      !take_field(rest, record.user_id) || !take_field(rest, record.anonymous_id) ||
      !take_field(rest, record.previous_id) || !take_field(rest, sixth) ||
      !take_field(rest, record.payload) || !take_field(rest, record.context) || !rest.empty()) {
    return corrupt();
  }
  if (record.kind == RecordKind::group) {
    record.group_id = sixth;
  } else if (record.kind == RecordKind::rejected) {
    record.reason = sixth;
  } else {
    record.event = sixth;
  }
  return record;
}

void stamp_received_at(std::string& encoded, std::size_t offset, Time received_at) {
  TR_ASSERT(offset + kHeaderBytes <= encoded.size());
  std::memcpy(encoded.data() + offset + 1, &received_at.ms, sizeof received_at.ms);
}

Time received_at_of(std::string_view encoded) {
  TR_ASSERT(encoded.size() >= kHeaderBytes);
  return {load_i64(encoded.data() + 1)};
}

void make_tombstone(std::string& encoded, std::size_t offset, std::size_t length) {
  TR_ASSERT(length >= kHeaderBytes && offset + length <= encoded.size());
  encoded[offset] = static_cast<char>(RecordKind::tombstone);
  std::memset(encoded.data() + offset + kHeaderBytes, 0, length - kHeaderBytes);
}

void shift_time(std::string& encoded, std::size_t offset, Millis by) {
  TR_ASSERT(offset + kHeaderBytes + 8 <= encoded.size());
  const Time moved = Time{load_i64(encoded.data() + offset + kHeaderBytes)} + by;
  std::memcpy(encoded.data() + offset + kHeaderBytes, &moved.ms, sizeof moved.ms);
}

}  // namespace tailrace
