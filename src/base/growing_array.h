// A contiguous array of plain values that grows to gigabytes without ever copying them: large ones are
// mappings of their own, which the kernel moves by their page tables. A std::vector of 100 million rows that
// doubles would hold up all records for some hundred milliseconds. New elements are zero bytes.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include <sys/mman.h>

#include "base/memory_use.h"

namespace tailrace {

template <class T>
class GrowingArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  GrowingArray() = default;
  ~GrowingArray() { release(); }
  GrowingArray(GrowingArray&& other) noexcept { swap(other); }
  GrowingArray& operator=(GrowingArray&& other) noexcept {
    swap(other);
    return *this;
  }

  std::size_t size() const { return size_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  std::span<const T> view() const { return {data_, size_}; }

  // What a mapping has beyond its elements is address space, and takes memory when it is used.
  MemoryUse memory() const {
    const std::size_t held = mapped_ ? size_ : capacity_;
    return {held * sizeof(T), (held - size_) * sizeof(T)};
  }

  // It never shrinks.
  void grow_to(std::size_t size) {
    if (size > capacity_) reserve(size);
    if (size > size_) size_ = size;
  }

 private:
  static constexpr std::size_t kMapped = std::size_t{1} << 20;  // bytes from which on it is a mapping

  void reserve(std::size_t size) {
    std::size_t bytes = capacity_ == 0 ? 64 : capacity_ * sizeof(T);
    while (bytes < size * sizeof(T)) bytes *= 2;
    const std::size_t before = mapped_ ? capacity_ * sizeof(T) : 0;
    void* larger = nullptr;
    if (mapped_) {
      larger = ::mremap(data_, before, bytes, MREMAP_MAYMOVE);
    } else if (bytes >= kMapped) {
      larger = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    } else {
      larger = std::calloc(1, bytes);
    }
    if (larger == nullptr || larger == MAP_FAILED) throw std::bad_alloc();
    if (!mapped_) {
      if (size_ > 0) std::memcpy(larger, static_cast<const void*>(data_), size_ * sizeof(T));
      std::free(data_);
      mapped_ = bytes >= kMapped;
    }
    // Looked up in no order: small pages would cost more than the look-up.
    if (mapped_) ::madvise(larger, bytes, MADV_HUGEPAGE);
    data_ = static_cast<T*>(larger);
    capacity_ = bytes / sizeof(T);
  }
  void release() {
    if (mapped_) {
      ::munmap(data_, capacity_ * sizeof(T));
    } else {
      std::free(data_);
    }
  }
  void swap(GrowingArray& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(mapped_, other.mapped_);
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  bool mapped_ = false;
};

}  // namespace tailrace
