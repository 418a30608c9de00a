// A string of bytes per person, each in a block of its own that grows by an eighth. A person without bytes
// costs 8.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include <malloc.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/chunked.h"
#include "base/id.h"
#include "base/memory_use.h"

namespace tailrace::profiles {

class PersonBytes {
 public:
  // Valid until the person's bytes change.
  std::string_view of(PersonId person) const {
    if (person.value >= blocks_.size() || !blocks_[person.value]) return {};
    const Block& block = *blocks_[person.value];
    return {block.bytes(), block.size};
  }
  // Hints that a person's bytes are wanted soon: first the one, some hundred nanoseconds later the other.
  void prefetch(PersonId person) const {
    if (person.value < blocks_.size()) __builtin_prefetch(blocks_.address(person.value));
  }
  void prefetch_bytes(PersonId person) const {
    if (person.value >= blocks_.size() || !blocks_[person.value]) return;
    const char* bytes = blocks_[person.value]->bytes();
    for (std::size_t line = 0; line < kUsualBytes; line += 64) __builtin_prefetch(bytes + line);
  }
  // Puts `bytes`, which are not among the person's, in the place of `length` of them from `at` on.
  void splice(PersonId person, std::size_t at, std::size_t length, std::string_view bytes) {
    const std::string_view old = of(person);
    TR_ASSERT(at + length <= old.size());
    const std::size_t size = old.size() - length + bytes.size();
    TR_ASSERT(size <= UINT32_MAX);
    const std::string_view behind = old.substr(at + length);
    if (person.value >= blocks_.size()) blocks_.grow_to(person.value + std::size_t{1});
    BlockPtr& owner = blocks_[person.value];
    if (owner && size <= capacity_of(*owner)) {
      std::memmove(owner->bytes() + at + bytes.size(), behind.data(), behind.size());
    } else {
      BlockPtr larger = allocate(owner ? size + size / 8 : size);
      if (at > 0) std::memcpy(larger->bytes(), old.data(), at);
      if (!behind.empty()) std::memcpy(larger->bytes() + at + bytes.size(), behind.data(), behind.size());
      block_bytes_ += bytes_of(larger) - bytes_of(owner);
      owner = std::move(larger);
    }
    if (!bytes.empty()) std::memcpy(owner->bytes() + at, bytes.data(), bytes.size());
    owner->size = static_cast<std::uint32_t>(size);
  }
  void append(PersonId person, std::string_view bytes) { splice(person, of(person).size(), 0, bytes); }
  void clear(PersonId person) {
    if (person.value >= blocks_.size()) return;
    block_bytes_ -= bytes_of(blocks_[person.value]);
    blocks_[person.value].reset();
  }

  // Room in blocks is not counted as unused.
  MemoryUse memory() const {
    MemoryUse use = blocks_.memory();
    return use += {block_bytes_, 0};
  }

 private:
  static constexpr std::size_t kUsualBytes = 256;  // of statements

  struct Block {
    std::uint32_t size = 0;
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  };
  struct Free {
    void operator()(Block* block) const { std::free(block); }
  };
  using BlockPtr = std::unique_ptr<Block, Free>;

  static std::size_t bytes_of(const BlockPtr& block) { return block ? ::malloc_usable_size(block.get()) : 0; }
  static std::size_t capacity_of(Block& block) { return ::malloc_usable_size(&block) - sizeof(Block); }
  static BlockPtr allocate(std::size_t size) {
    void* bytes = std::malloc(sizeof(Block) + size);
    if (bytes == nullptr) throw std::bad_alloc();
    return BlockPtr(new (bytes) Block);
  }

  Chunked<BlockPtr> blocks_;  // by person
  std::size_t block_bytes_ = 0;
};

}  // namespace tailrace::profiles
