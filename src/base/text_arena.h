// Texts one after another, which stay where they are: growing moves nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/memory_use.h"

namespace tailrace {

class TextArena {
 public:
  // Returns the text's offset.
  std::uint64_t add(std::string_view text) {
    if (end_ + text.size() > chunks_.size() * kChunk) {
      end_ = chunks_.size() * kChunk;  // a text stands in one piece
      append_chunks(std::max<std::size_t>(1, (text.size() + kChunk - 1) / kChunk));
    }
    const std::uint64_t offset = end_;
    if (!text.empty()) std::memcpy(at(offset), text.data(), text.size());
    end_ += text.size();
    return offset;
  }
  std::string_view view(std::uint64_t offset, std::size_t length) const { return {at(offset), length}; }
  void wipe(std::uint64_t offset, std::size_t length) { std::fill_n(at(offset), length, '\xff'); }
  void prefetch(std::uint64_t offset) const { __builtin_prefetch(at(offset)); }
  MemoryUse memory() const {
    MemoryUse use = memory_of(chunks_);
    return use += {chunks_.size() * kChunk, chunks_.size() * kChunk - end_};
  }
  // Does it lie within what was added? For offsets read from a file, right after restore().
  bool holds(std::uint64_t offset, std::size_t length) const {
    return offset < end_ && length <= end_ - offset;
  }

  void save(ByteWriter& out) const {
    out.put(end_);
    for (std::uint64_t begin = 0; begin < end_; begin += kChunk)
      out.put_string({chunks_[begin / kChunk], std::min<std::uint64_t>(kChunk, end_ - begin)});
  }
  Result<void> restore(ByteReader& in) {
    end_ = TRY(in.get<std::uint64_t>());
    chunks_.clear();
    owned_.clear();
    if (end_ > in.left()) return fail(Error::Code::corrupt, "the texts end too early");
    const std::uint64_t count = end_ / kChunk + (end_ % kChunk == 0 ? 0 : 1);
    if (count > 0) append_chunks(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t size = std::min<std::uint64_t>(kChunk, end_ - i * kChunk);
      if (TRY(in.get<std::uint64_t>()) != size)
        return fail(Error::Code::corrupt, "a part of the texts is missing");
      TRY(in.get_bytes(chunks_[i], size));
    }
    return {};
  }

 private:
  static constexpr std::size_t kChunk = std::size_t{1} << 20;

  char* at(std::uint64_t offset) const { return chunks_[offset / kChunk] + offset % kChunk; }
  // Next to each other in memory.
  void append_chunks(std::size_t count) {
    owned_.push_back(std::make_unique<char[]>(count * kChunk));
    for (std::size_t i = 0; i < count; ++i) chunks_.push_back(owned_.back().get() + i * kChunk);
  }

  std::vector<std::unique_ptr<char[]>> owned_;
  std::vector<char*> chunks_;
  std::uint64_t end_ = 0;
};

}  // namespace tailrace
