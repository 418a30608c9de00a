#include "log/frame_scanner.h"

#include <algorithm>

namespace tailrace::log {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

}  // namespace

Result<bool> FrameScanner::read(std::uint64_t offset, std::uint64_t limit, ScannedFrame& frame) {
  const Position position{first_.value + offset};
  const std::string_view head = TRY(view(offset, kFrameHeaderBytes, limit));
  if (head.empty()) return false;
  const auto header = read_frame_header(head.data(), position);
  if (!header) return false;
  const std::string_view raw = TRY(view(offset, frame_bytes(header->length), limit));
  if (raw.empty()) return false;
  if (!payload_is_whole(*header, position, raw.substr(kFrameHeaderBytes))) return false;
  frame.raw = raw;
  frame.record = raw.substr(kFrameHeaderBytes, header->length);
  frame.back = header->back;
  return true;
}

Result<std::string_view> FrameScanner::view(std::uint64_t offset, std::size_t bytes, std::uint64_t limit) {
  if (offset > limit || bytes > limit - offset) return std::string_view{};
  if (offset < buffer_offset_ || offset + bytes > buffer_offset_ + buffered_) {
    const std::uint64_t wanted =
        std::max<std::uint64_t>(bytes, std::min<std::uint64_t>(kReadBytes, limit - offset));
    if (buffer_.size() < wanted) buffer_.resize(wanted);
    buffered_ = 0;
    buffered_ = TRY(file_->read_at(offset, std::span(buffer_.data(), wanted)));
    buffer_offset_ = offset;
    if (buffered_ < bytes) return std::string_view{};
  }
  return std::string_view(buffer_.data() + (offset - buffer_offset_), bytes);
}

}  // namespace tailrace::log
