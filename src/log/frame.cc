#include "log/frame.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/hash.h"

namespace tailrace::log {
namespace {

constexpr std::string_view kMagic = "TRAILLOG";
constexpr std::string_view kSuffix = ".log";
constexpr std::size_t kNameDigits = 20;
constexpr std::size_t kCheckOffset = kFileHeaderBytes - 8;

template <class T>
void append_number(std::string& out, T value) {
  std::array<char, sizeof value> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  out.append(bytes.data(), bytes.size());
}

template <class T>
T load_number(const char* bytes) {
  T value{};
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

std::uint32_t header_check(Position position, std::uint32_t length, std::uint32_t back) {
  std::array<char, 16> bytes{};
  std::memcpy(bytes.data(), &position.value, 8);
  std::memcpy(bytes.data() + 8, &length, 4);
  std::memcpy(bytes.data() + 12, &back, 4);
  return static_cast<std::uint32_t>(hash64({bytes.data(), bytes.size()}));
}

std::uint32_t payload_check(Position position, std::string_view padded_payload) {
  return static_cast<std::uint32_t>(hash64(padded_payload) ^ position.value);
}

}  // namespace

std::string encode_file_header(const FileHeader& header, std::uint32_t version) {
  std::string bytes(kMagic);
  append_number(bytes, version);
  append_number(bytes, std::uint32_t{0});
  append_number(bytes, header.first.value);
  append_number(bytes, header.records_before);
  append_number(bytes, header.received_before.ms);
  append_number(bytes, hash64(bytes));
  TR_ASSERT(bytes.size() == kFileHeaderBytes);
  return bytes;
}

HeaderState decode_file_header(std::string_view bytes, FileHeader& header, std::uint32_t& version) {
  if (bytes.size() < kFileHeaderBytes || !bytes.starts_with(kMagic)) return HeaderState::damaged;
  if (load_number<std::uint64_t>(bytes.data() + kCheckOffset) != hash64(bytes.substr(0, kCheckOffset))) {
    return HeaderState::damaged;
  }
  version = load_number<std::uint32_t>(bytes.data() + 8);
  if (version != kPlainVersion && version != kCompressedVersion) return HeaderState::newer_version;
  header.first = Position{load_number<std::uint64_t>(bytes.data() + 16)};
  header.records_before = load_number<std::uint64_t>(bytes.data() + 24);
  header.received_before = {load_number<std::int64_t>(bytes.data() + 32)};
  return version == kPlainVersion ? HeaderState::good : HeaderState::compressed;
}

std::string file_name(Position first) { return fmt::format("{:020}{}", first.value, kSuffix); }

std::optional<Position> parse_file_name(std::string_view name) {
  if (name.size() != kNameDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t first = 0;
  const char* const digits_end = name.data() + kNameDigits;
  const auto [end, error] = std::from_chars(name.data(), digits_end, first);
  if (error != std::errc{} || end != digits_end) return std::nullopt;
  return Position{first};
}

void append_frame(std::string& out, std::string_view record) {
  const std::size_t offset = out.size();
  const std::size_t bytes = frame_bytes(record.size());
  // Not the size it is called with: libstdc++ 12 hands over the capacity when it has grown.
  out.resize_and_overwrite(offset + bytes, [&](char* begin, std::size_t) {
    char* const at = begin + offset;
    std::memset(at, 0, kFrameHeaderBytes);
    std::memset(at + bytes - kAlignment, 0, kAlignment);  // the padding, and what the record covers
    std::memcpy(at + kFrameHeaderBytes, record.data(), record.size());
    return offset + bytes;
  });
}

void seal_frame(std::string& out, std::size_t offset, Position position, std::uint32_t length,
                std::uint32_t back) {
  TR_ASSERT(offset + frame_bytes(length) <= out.size());
  const std::string_view payload = std::string_view(out).substr(offset + kFrameHeaderBytes, padded(length));
  const std::array<std::uint32_t, 4> header{length, back, header_check(position, length, back),
                                            payload_check(position, payload)};
  std::memcpy(out.data() + offset, header.data(), kFrameHeaderBytes);
}

std::optional<FrameHeader> read_frame_header(const char* bytes, Position position) {
  const FrameHeader header{load_number<std::uint32_t>(bytes), load_number<std::uint32_t>(bytes + 4),
                           load_number<std::uint32_t>(bytes + 12)};
  if (header.length < kRecordBytesMin || header.length > kRecordBytesMax) return std::nullopt;
  if (load_number<std::uint32_t>(bytes + 8) != header_check(position, header.length, header.back)) {
    return std::nullopt;
  }
  return header;
}

bool payload_is_whole(const FrameHeader& header, Position position, std::string_view padded_payload) {
  return header.payload_check == payload_check(position, padded_payload);
}

}  // namespace tailrace::log
