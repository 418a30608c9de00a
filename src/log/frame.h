// The log's format. Little-endian; every file and every frame begins at a multiple of 8. Version 1 is this; a
// file of version 2 holds the same, compressed (compressed_file.h), and stands for it.
//
//   log     := file+                 each file begins at the position where the one before ends
//   file    := header frame* zero*   name: the first position in 20 digits, ".log". The zeros are the space
//                                    allocated ahead; only the last file may have them
//   header  := "TRAILLOG" version:u32 reserved:u32 first:u64 records_before:u64 received_before:i64 check:u64
//   frame   := length:u32 back:u32 header_check:u32 payload_check:u32 payload zero{0..7}
//
//   check           XXH3 of the 40 bytes before it; it stays at this place in every later version, so that a
//                   newer file is told from a damaged one
//   records_before  how many records the files before hold, so that opening a log reads no sealed file
//   received_before the received_at of the last of them, for the same reason
//   length          bytes of the payload, which is a record (model/record.h)
//   back            bytes back to the first frame that was written by the same commit
//   header_check    low half of XXH3 of position:u64 length:u32 back:u32
//   payload_check   low half of (XXH3 of payload and padding) xor position
//
// A frame's position is its file's first position plus its offset in the file. Both checks hold the position,
// so bytes that are left over from another place, or copied to it, are no frame.
//
// `back` tells a torn write from damage. One commit is one write, and the disk may keep any of its sectors
// and lose the others; but a commit is only begun when the one before is on disk. So behind a bad frame,
// whole frames of the same commit prove nothing, while one whole frame of a later commit proves that the bad
// one had been on disk, perhaps acknowledged, and is damaged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/time.h"
#include "model/record.h"

namespace tailrace::log {

constexpr std::uint32_t kPlainVersion = 1;
constexpr std::uint32_t kCompressedVersion = 2;
constexpr std::uint32_t kFormatVersion = kCompressedVersion;  // the newest that is read
constexpr std::size_t kFileHeaderBytes = 48;
constexpr std::size_t kFrameHeaderBytes = 16;
constexpr std::size_t kAlignment = 8;

struct FileHeader {
  Position first;
  std::uint64_t records_before = 0;
  Time received_before = kForeverAgo;

  bool operator==(const FileHeader&) const = default;
};

enum class HeaderState { good, compressed, newer_version, damaged };

// Exactly kFileHeaderBytes.
std::string encode_file_header(const FileHeader& header, std::uint32_t version = kPlainVersion);
// Fills header when good or compressed; version when not damaged. bytes: the first kFileHeaderBytes of the
// file.
HeaderState decode_file_header(std::string_view bytes, FileHeader& header, std::uint32_t& version);

std::string file_name(Position first);
// Nothing when the name is not that of a log file.
std::optional<Position> parse_file_name(std::string_view name);

struct FrameHeader {
  std::uint32_t length = 0;
  std::uint32_t back = 0;
  std::uint32_t payload_check = 0;
};

constexpr std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
// The bytes a record of this length takes in the log.
constexpr std::size_t frame_bytes(std::size_t record_bytes) {
  return kFrameHeaderBytes + padded(record_bytes);
}

// Appends a frame for the record; it becomes valid with seal_frame, once the record's bytes are final.
void append_frame(std::string& out, std::string_view record);
// Writes the header of the frame at `offset` of `out`, whose record has `length` bytes.
void seal_frame(std::string& out, std::size_t offset, Position position, std::uint32_t length,
                std::uint32_t back);

// Reads the header at `bytes` (kFrameHeaderBytes of them). Nothing when it is not a header of this position.
std::optional<FrameHeader> read_frame_header(const char* bytes, Position position);
// padded_payload: padded(header.length) bytes.
bool payload_is_whole(const FrameHeader& header, Position position, std::string_view padded_payload);

}  // namespace tailrace::log
