// A small map per person, from dense keys (streams, segments) to plain values: (person, key) -> value. All of
// a person's entries stand in one block, keys before values, so that a record about a person touches a few
// neighbouring cache lines, whatever it asks about. A look-up compares all keys, several at a time: for the
// tens of entries a person has that is faster than a tree or a hash. A person without entries costs 8 bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include <malloc.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/bytes.h"
#include "base/chunked.h"
#include "base/id.h"
#include "base/memory_use.h"

namespace tailrace {

template <class Value>
class PersonMap {
  static_assert(std::is_trivially_copyable_v<Value> && std::is_trivially_destructible_v<Value>);
  static_assert(alignof(Value) <= 8);

 public:
  using Key = std::uint32_t;  // all but the largest

  const Value* find(PersonId person, Key key) const {
    const Block* block = block_of(person);
    if (block == nullptr) return nullptr;
    const std::uint32_t place = block->place_of(key);
    return place == kNowhere ? nullptr : &block->values()[place];
  }
  Value* find(PersonId person, Key key) {
    return const_cast<Value*>(static_cast<const PersonMap*>(this)->find(person, key));
  }

  // The entry, added with Value{} if there is none. May move the person's other entries.
  Value& entry(PersonId person, Key key) {
    if (Value* known = find(person, key)) return *known;
    reserve(person);
    BlockPtr& block = blocks_[person.value];
    if (!block || block->count == block->capacity) grow(block);
    block->keys()[block->count] = key;
    return *new (&block->values()[block->count++]) Value{};
  }

  // The last entry takes its place.
  void erase(PersonId person, Key key) {
    Value* value = find(person, key);
    if (value == nullptr) return;
    Block& block = *blocks_[person.value];
    const std::uint32_t last = --block.count;
    block.keys()[value - block.values()] = block.keys()[last];
    *value = block.values()[last];
    block.keys()[last] = kNoKey;
  }

  // Gives back the room of a block that is at most half full.
  void trim(PersonId person) {
    if (person.value >= blocks_.size() || !blocks_[person.value]) return;
    BlockPtr& block = blocks_[person.value];
    if (block->count == 0) return clear(person);
    const std::uint32_t needed = (block->count + kStep - 1) / kStep * kStep;
    if (2 * needed <= block->capacity) resize(block, needed);
  }

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

  // All of a person's entries, in no meaningful order.
  std::span<const Key> keys(PersonId person) const {
    const Block* block = block_of(person);
    return block == nullptr ? std::span<const Key>() : std::span(block->keys(), block->count);
  }
  std::span<const Value> values(PersonId person) const {
    const Block* block = block_of(person);
    return block == nullptr ? std::span<const Value>() : std::span(block->values(), block->count);
  }

  void reserve(PersonId person) {
    if (person.value >= blocks_.size()) blocks_.grow_to(person.value + std::size_t{1});
  }
  std::size_t person_limit() const { return blocks_.size(); }  // people below this may have entries

  // Hints that this person is wanted soon: first the one, some hundred nanoseconds later the other.
  void prefetch(PersonId person) const {
    if (person.value < blocks_.size()) __builtin_prefetch(blocks_.address(person.value));
  }
  void prefetch_entries(PersonId person) const {
    const Block* block = block_of(person);
    if (block == nullptr) return;
    const char* bytes = reinterpret_cast<const char*>(block);
    for (std::size_t line = 0; line < kUsualBytes; line += 64) __builtin_prefetch(bytes + line);
  }

  // The line in which find() begins to look a key up; up to 14 of them stand in it.
  void prefetch_keys(PersonId person) const {
    const Block* block = block_of(person);
    if (block == nullptr) return;
    __builtin_prefetch(block);
  }

  // Within a part that was begun, by ranges of people.
  void save(ByteWriter& out) const {
    out.put<std::uint64_t>(blocks_.size());
    for (std::uint32_t person = 0; person < blocks_.size(); ++person) {
      if (begins_range(PersonId(person))) out.begin_range(1 + range_of(PersonId(person)));
      const auto all_keys = keys(PersonId(person));
      const auto all_values = values(PersonId(person));
      out.put(static_cast<std::uint32_t>(all_keys.size()));
      for (const Key key : all_keys) out.put(key);
      for (const Value& value : all_values) out.put(value);
    }
  }
  Result<void> restore(ByteReader& in) {
    const auto people = TRY(in.get_count(4));
    blocks_ = {};
    block_bytes_ = 0;
    blocks_.grow_to(people);
    for (std::uint32_t person = 0; person < people; ++person) {
      const auto count = TRY(in.get<std::uint32_t>());
      if (count == 0) continue;
      if (in.left() / (sizeof(Key) + sizeof(Value)) < count)
        return fail(Error::Code::corrupt, "more entries than bytes");
      BlockPtr made = make((count + kStep - 1) / kStep * kStep);
      Block& block = *made;
      block.count = count;
      TRY(in.get_bytes(reinterpret_cast<char*>(block.keys()), count * sizeof(Key)));
      if (std::find(block.keys(), block.keys() + count, kNoKey) != block.keys() + count)
        return fail(Error::Code::corrupt, "an entry without a key");
      TRY(in.get_bytes(reinterpret_cast<char*>(block.values()), count * sizeof(Value)));
      put(blocks_[person], std::move(made));
    }
    return {};
  }

 private:
  static constexpr Key kNoKey = UINT32_MAX;
  static constexpr std::uint32_t kNowhere = UINT32_MAX;
  static constexpr std::size_t kUsualBytes = 448;  // of a block
  static constexpr std::uint32_t kStep = 4;        // capacities are multiples of this

  // Followed by the keys, of which those from `count` on are kNoKey, then the values.
  struct Block {
    std::uint32_t count = 0;
    std::uint32_t capacity = 0;
    Key* keys() { return reinterpret_cast<Key*>(this + 1); }
    const Key* keys() const { return reinterpret_cast<const Key*>(this + 1); }
    Value* values() { return reinterpret_cast<Value*>(keys() + capacity); }
    const Value* values() const { return reinterpret_cast<const Value*>(keys() + capacity); }

    std::uint32_t place_of(Key key) const {
#ifdef __SSE2__
      const __m128i wanted = _mm_set1_epi32(static_cast<int>(key));
      for (std::uint32_t i = 0; i < count; i += kStep) {
        const __m128i some = _mm_loadu_si128(reinterpret_cast<const __m128i*>(keys() + i));
        const int hits = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(some, wanted)));
        if (hits != 0) return i + static_cast<std::uint32_t>(__builtin_ctz(static_cast<unsigned>(hits)));
      }
#else
      for (std::uint32_t i = 0; i < count; ++i) {
        if (keys()[i] == key) return i;
      }
#endif
      return kNowhere;
    }
  };
  struct Free {
    void operator()(Block* block) const { std::free(block); }
  };
  using BlockPtr = std::unique_ptr<Block, Free>;

  const Block* block_of(PersonId person) const {
    return person.value < blocks_.size() ? blocks_[person.value].get() : nullptr;
  }
  static std::size_t bytes_of(const BlockPtr& block) { return block ? ::malloc_usable_size(block.get()) : 0; }
  // By half.
  void grow(BlockPtr& owner) {
    const std::uint32_t count = owner ? owner->count : 0;
    resize(owner, (count + count / 2 + kStep) / kStep * kStep);
  }
  void resize(BlockPtr& owner, std::uint32_t capacity) {
    BlockPtr other = make(capacity);
    if (owner) {
      const std::uint32_t count = owner->count;
      other->count = count;
      std::memcpy(other->keys(), owner->keys(), count * sizeof(Key));
      std::memcpy(static_cast<void*>(other->values()), owner->values(), count * sizeof(Value));
    }
    put(owner, std::move(other));
  }
  // Without entries.
  static BlockPtr make(std::uint32_t capacity) {
    void* bytes = std::malloc(sizeof(Block) + capacity * (sizeof(Value) + sizeof(Key)));
    if (bytes == nullptr) throw std::bad_alloc();
    BlockPtr block(new (bytes) Block{.count = 0, .capacity = capacity});
    std::memset(block->keys(), 0xff, capacity * sizeof(Key));
    return block;
  }
  void put(BlockPtr& owner, BlockPtr block) {
    block_bytes_ += bytes_of(block) - bytes_of(owner);
    owner = std::move(block);
  }

  Chunked<BlockPtr> blocks_;  // by person
  std::size_t block_bytes_ = 0;
};

}  // namespace tailrace
