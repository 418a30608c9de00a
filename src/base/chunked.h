// An array by dense id that grows without moving what it holds: growing costs one chunk, so that no record
// waits for a copy of everything, and references stay valid.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/memory_use.h"

namespace tailrace {

template <class T, std::size_t kChunkBits = 12>
class Chunked {
 public:
  std::size_t size() const { return size_; }
  // New elements are value-initialised. It never shrinks.
  void grow_to(std::size_t size) {
    if (size <= size_) return;
    while (chunks_.size() * kChunk < size) chunks_.push_back(std::make_unique<T[]>(kChunk));
    size_ = size;
  }
  T& operator[](std::size_t i) { return chunks_[i >> kChunkBits][i & (kChunk - 1)]; }
  const T& operator[](std::size_t i) const { return chunks_[i >> kChunkBits][i & (kChunk - 1)]; }
  const T* address(std::size_t i) const { return &(*this)[i]; }
  MemoryUse memory() const {
    MemoryUse use = memory_of(chunks_);
    return use += {chunks_.size() * kChunk * sizeof(T), (chunks_.size() * kChunk - size_) * sizeof(T)};
  }

 private:
  static constexpr std::size_t kChunk = std::size_t{1} << kChunkBits;
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace tailrace
