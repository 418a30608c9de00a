// Encoding of a record, version 1. Little-endian.
//
//   record   := kind:u8 received_at:i64 body       the upper four bits of kind are those of `pinned`
//   body     := time:i64 field{8}        fields in the order source, message_id, user_id, anonymous_id,
//                                        previous_id, event (group_id for group, reason for rejected),
//                                        payload, context
//   field    := length:varint bytes
//   varint   := LEB128, at most 5 bytes
//   tombstone: in place of the body created_person:u8 message_hash:u64 source:field, then zero bytes up to
//              the old length, so that positions stay. It fits: any body has a time, the source and seven
//              more fields.
#include "model/record.h"

#include <array>
#include <cstring>

#include "base/assert.h"
#include "base/hash.h"

namespace tailrace {
namespace {

constexpr std::size_t kHeaderBytes = kRecordBytesMin;  // kind, received_at
constexpr std::size_t kTombstoneBytes = 1 + 8;         // flag and hash
constexpr std::uint8_t kKindBits = 0x0f;
constexpr int kPinShift = 4;
constexpr std::uint8_t kKindMax = static_cast<std::uint8_t>(RecordKind::rejected);

char* put_i64(char* at, std::int64_t value) {
  std::memcpy(at, &value, sizeof value);
  return at + sizeof value;
}

std::int64_t load_i64(const char* bytes) {
  std::int64_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

constexpr std::size_t kLengthBytesMax = 5;

// at: room for kLengthBytesMax and the field. Returns what is behind it.
char* put_field(char* at, std::string_view field) {
  auto length = static_cast<std::uint32_t>(field.size());
  for (; length >= 0x80; length >>= 7) *at++ = static_cast<char>((length & 0x7f) | 0x80);
  *at++ = static_cast<char>(length);
  if (!field.empty()) std::memcpy(at, field.data(), field.size());
  return at + field.size();
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
  for (const auto field : fields) bytes += field.size() + kLengthBytesMax;
  if (bytes > kRecordBytesMax) return invalid("a record is longer than 4 MiB; send less in one message");
  const std::size_t before = out.size();
  out.resize_and_overwrite(before + bytes, [&](char* begin, std::size_t) {
    char* at = begin + before;
    *at++ = static_cast<char>(static_cast<unsigned>(record.kind) | static_cast<unsigned>(record.pinned)
                                                                       << kPinShift);
    at = put_i64(at, record.received_at.ms);
    at = put_i64(at, record.time.ms);
    for (const auto field : fields) at = put_field(at, field);
    return at - begin;
  });
  return {};
}

Result<RecordView> decode_record(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return corrupt();
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const auto kind = static_cast<std::uint8_t>(first & kKindBits);
  if (kind > kKindMax) return corrupt();
  RecordView record;
  record.pinned = first >> kPinShift;
  if (record.pinned != 0 && kind == static_cast<std::uint8_t>(RecordKind::tombstone)) return corrupt();
  record.kind = static_cast<RecordKind>(kind);
  record.received_at = {load_i64(bytes.data() + 1)};
  if (record.kind == RecordKind::tombstone) {
    if (bytes.size() < kHeaderBytes + kTombstoneBytes) return record;
    record.created_person = bytes[kHeaderBytes] != 0;
    std::memcpy(&record.message_hash, bytes.data() + kHeaderBytes + 1, sizeof record.message_hash);
    std::string_view rest = bytes.substr(kHeaderBytes + kTombstoneBytes);
    if (!rest.empty() && !take_field(rest, record.source)) return corrupt();
    return record;
  }
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

void pin(std::string& encoded, std::size_t offset, std::uint8_t kinds) {
  TR_ASSERT(offset + kHeaderBytes <= encoded.size() && kinds <= kKindBits);
  if (encoded[offset] == static_cast<char>(RecordKind::tombstone)) return;
  encoded[offset] = static_cast<char>(static_cast<unsigned char>(encoded[offset]) | kinds << kPinShift);
}

void stamp_received_at(std::string& encoded, std::size_t offset, Time received_at) {
  TR_ASSERT(offset + kHeaderBytes <= encoded.size());
  std::memcpy(encoded.data() + offset + 1, &received_at.ms, sizeof received_at.ms);
}

Time received_at_of(std::string_view encoded) {
  TR_ASSERT(encoded.size() >= kHeaderBytes);
  return {load_i64(encoded.data() + 1)};
}

std::uint64_t message_hash(std::string_view source, std::string_view message_id) {
  return hash64(message_id, hash64(message_scope(source)));
}

void make_tombstone(std::string& encoded, std::size_t offset, std::size_t length, bool created_person) {
  TR_ASSERT(length >= kHeaderBytes && offset + length <= encoded.size());
  if (encoded[offset] == static_cast<char>(RecordKind::tombstone)) return;
  std::string tail;
  if (const auto record = decode_record(std::string_view(encoded).substr(offset, length))) {
    const std::uint64_t message = message_hash(record->source, record->message_id);
    tail += static_cast<char>(created_person);
    tail.append(reinterpret_cast<const char*>(&message), sizeof message);
    std::string source(record->source.size() + kLengthBytesMax, '\0');
    tail.append(source.data(), put_field(source.data(), record->source));
  }
  TR_ASSERT(kHeaderBytes + tail.size() <= length);
  tail.resize(length - kHeaderBytes, '\0');
  encoded[offset] = static_cast<char>(RecordKind::tombstone);
  encoded.replace(offset + kHeaderBytes, tail.size(), tail);
}

void shift_time(std::string& encoded, std::size_t offset, Millis by) {
  TR_ASSERT(offset + kHeaderBytes + 8 <= encoded.size());
  const Time moved = Time{load_i64(encoded.data() + offset + kHeaderBytes)} + by;
  std::memcpy(encoded.data() + offset + kHeaderBytes, &moved.ms, sizeof moved.ms);
}

}  // namespace tailrace
