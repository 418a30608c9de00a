// A small map per person, from dense keys (streams, segments) to plain values: (person, key) -> value. All of
// a person's entries stand in one block, so that a record about a person touches a few neighbouring cache
// lines, whatever it asks about. A block is an open-addressing table of a power of two, at most 3/4 full; as
// keys are small dense numbers, most stand at their own place. A person without entries costs 8 bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "base/bytes.h"
#include "base/chunked.h"
#include "base/id.h"

namespace tailrace {

template <class Value>
class PersonMap {
  static_assert(std::is_trivially_copyable_v<Value> && std::is_trivially_destructible_v<Value>);

 public:
  using Key = std::uint32_t;

  const Value* find(PersonId person, Key key) const {
    if (person.value >= blocks_.size()) return nullptr;
    const Block* block = blocks_[person.value].get();
    if (block == nullptr) return nullptr;
    const std::uint32_t mask = block->mask;
    const Key* keys = block->keys();
    for (std::uint32_t i = key & mask;; i = (i + 1) & mask) {
      if (keys[i] == key) return &block->values()[i];
      if (keys[i] == kNoKey) return nullptr;
    }
  }
  Value* find(PersonId person, Key key) {
    return const_cast<Value*>(static_cast<const PersonMap*>(this)->find(person, key));
  }

  // The entry, added with Value{} if there is none. Moves the person's other entries.
  Value& entry(PersonId person, Key key) {
    if (Value* known = find(person, key)) return *known;
    reserve(person);
    BlockPtr& owner = blocks_[person.value];
    const std::uint32_t capacity = owner ? owner->mask + 1 : 0;
    if (!owner || (owner->count + 1) * 4 > capacity * 3) resize(owner, capacity == 0 ? 4 : capacity * 2);
    Block& block = *owner;
    ++block.count;
    const std::uint32_t place = free_place(block, key);
    block.keys()[place] = key;
    return block.values()[place];
  }

  void erase(PersonId person, Key key) {
    Value* value = find(person, key);
    if (value == nullptr) return;
    Block& block = *blocks_[person.value];
    Key* keys = block.keys();
    Value* values = block.values();
    // What probed past the hole moves back into it.
    auto hole = static_cast<std::uint32_t>(value - values);
    for (std::uint32_t i = (hole + 1) & block.mask; keys[i] != kNoKey; i = (i + 1) & block.mask) {
      const std::uint32_t home = keys[i] & block.mask;
      const bool reachable = ((i - home) & block.mask) >= ((i - hole) & block.mask);
      if (!reachable) continue;
      keys[hole] = keys[i];
      values[hole] = values[i];
      hole = i;
    }
    keys[hole] = kNoKey;
    new (&values[hole]) Value{};
    --block.count;
  }

  void clear(PersonId person) {
    if (person.value < blocks_.size()) blocks_[person.value].reset();
  }

  // The values of all of a person's entries, in no meaningful order, among them Value{} for places without
  // one.
  std::span<const Value> values(PersonId person) const {
    if (person.value >= blocks_.size() || !blocks_[person.value]) return {};
    const Block& block = *blocks_[person.value];
    return {block.values(), block.mask + 1};
  }
  // Of an entry of values().
  Key key(PersonId person, std::size_t place) const { return blocks_[person.value]->keys()[place]; }

  void reserve(PersonId person) {
    if (person.value >= blocks_.size()) blocks_.grow_to(person.value + 1);
  }
  std::size_t person_limit() const { return blocks_.size(); }  // people below this may have entries

  // Hints that this person is wanted soon: first the one, some hundred nanoseconds later the other.
  void prefetch(PersonId person) const {
    if (person.value < blocks_.size()) __builtin_prefetch(blocks_.address(person.value));
  }
  void prefetch_entries(PersonId person) const {
    if (person.value >= blocks_.size()) return;
    const Block* block = blocks_[person.value].get();
    if (block == nullptr) return;
    const char* bytes = reinterpret_cast<const char*>(block);
    for (std::size_t line = 0; line < 6; ++line) __builtin_prefetch(bytes + line * 64);
  }

  void save(ByteWriter& out) const {
    out.put<std::uint64_t>(blocks_.size());
    for (std::size_t person = 0; person < blocks_.size(); ++person) {
      const Block* block = blocks_[person].get();
      out.put<std::uint32_t>(block == nullptr ? 0 : block->count);
      for (std::uint32_t i = 0; block != nullptr && i <= block->mask; ++i) {
        if (block->keys()[i] == kNoKey) continue;
        out.put(block->keys()[i]);
        out.put(block->values()[i]);
      }
    }
  }
  Result<void> restore(ByteReader& in) {
    const auto people = TRY(in.get_count(4));
    blocks_ = {};
    blocks_.grow_to(people);
    for (std::uint32_t person = 0; person < people; ++person) {
      const auto count = TRY(in.get<std::uint32_t>());
      if (count == 0) continue;
      std::uint32_t capacity = 4;
      while (count * 4ULL > capacity * 3ULL) capacity *= 2;
      for (std::uint32_t i = 0; i < count; ++i) {
        const auto key = TRY(in.get<Key>());
        const auto value = TRY(in.get<Value>());
        if (key == kNoKey) return fail(Error::Code::corrupt, "an entry without a key");
        if (i == 0) resize(blocks_[person], capacity);
        entry(PersonId(person), key) = value;
      }
    }
    return {};
  }

 private:
  static constexpr Key kNoKey = UINT32_MAX;

  // Followed by the values, then the keys.
  struct alignas(Value) alignas(8) Block {
    std::uint32_t count = 0;
    std::uint32_t mask = 0;
    Value* values() { return reinterpret_cast<Value*>(this + 1); }
    const Value* values() const { return reinterpret_cast<const Value*>(this + 1); }
    Key* keys() { return reinterpret_cast<Key*>(values() + mask + 1); }
    const Key* keys() const { return reinterpret_cast<const Key*>(values() + mask + 1); }
  };
  struct Free {
    void operator()(Block* block) const { std::free(block); }
  };
  using BlockPtr = std::unique_ptr<Block, Free>;

  static std::uint32_t free_place(Block& block, Key key) {
    std::uint32_t place = key & block.mask;
    while (block.keys()[place] != kNoKey) place = (place + 1) & block.mask;
    return place;
  }
  static void resize(BlockPtr& owner, std::uint32_t capacity) {
    void* bytes = std::malloc(sizeof(Block) + capacity * (sizeof(Value) + sizeof(Key)));
    if (bytes == nullptr) throw std::bad_alloc();
    BlockPtr larger(new (bytes) Block{.count = 0, .mask = capacity - 1});
    std::uninitialized_value_construct_n(larger->values(), capacity);
    std::memset(larger->keys(), 0xff, capacity * sizeof(Key));
    for (std::uint32_t i = 0; owner && i <= owner->mask; ++i) {
      const Key key = owner->keys()[i];
      if (key == kNoKey) continue;
      const std::uint32_t place = free_place(*larger, key);
      larger->keys()[place] = key;
      larger->values()[place] = owner->values()[i];
      ++larger->count;
    }
    owner = std::move(larger);
  }

  Chunked<BlockPtr> blocks_;  // by person
};

}  // namespace tailrace
