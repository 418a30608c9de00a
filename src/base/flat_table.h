// A hash table from 64-bit hashes to plain values, for tables that grow to hundreds of millions of entries
// while records flow: it is split into shards by the hash's high bits, and a shard that is full grows alone,
// so that no record waits for all of it to move. Open addressing, linear probing, at most 3/4 full. Entries
// are never removed. The key 0 stands for an empty place.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/memory_use.h"

namespace tailrace {

template <class Value>
class FlatTable {
 public:
  static constexpr std::size_t kShards = 256;
  struct Entry {
    std::uint64_t key = 0;
    Value value{};
  };

  FlatTable() : shards_(kShards) {}

  const Value* find(std::uint64_t key) const {
    const Shard& shard = shards_[key >> kShift];
    if (shard.entries.empty()) return nullptr;
    const Entry& entry = shard.entries[shard.place_of(key)];
    return entry.key == key ? &entry.value : nullptr;
  }
  Value* find(std::uint64_t key) {
    return const_cast<Value*>(static_cast<const FlatTable*>(this)->find(key));
  }
  // False: the key is there, and stays what it was.
  bool add(std::uint64_t key, const Value& value) {
    TR_ASSERT(key != 0);
    Shard& shard = shards_[key >> kShift];
    if ((shard.count + 1) * 4 > shard.entries.size() * 3) shard.grow();
    Entry& entry = shard.entries[shard.place_of(key)];
    if (entry.key != 0) return false;
    entry = {key, value};
    ++shard.count;
    ++size_;
    return true;
  }
  std::size_t size() const { return size_; }

  MemoryUse memory() const {
    MemoryUse use = memory_of(shards_);
    for (const Shard& shard : shards_) {
      const std::size_t places = shard.entries.size();
      use += {places * sizeof(Entry), (places - shard.count) * sizeof(Entry)};
    }
    return use;
  }

  // Where the key stands or would stand.
  void prefetch(std::uint64_t key) const {
    const Shard& shard = shards_[key >> kShift];
    if (!shard.entries.empty()) __builtin_prefetch(&shard.entries[key & (shard.entries.size() - 1)]);
  }

  // Of one shard after the other: a key stays in its shard.
  template <class F>
  void each_in(std::size_t shard, F f) const {
    for (const Entry& entry : shards_[shard].entries) {
      if (entry.key != 0) f(entry.key, entry.value);
    }
  }

 private:
  static constexpr int kShift = 64 - std::countr_zero(kShards);

  struct Shard {
    std::vector<Entry> entries;  // a power of two of them
    std::size_t count = 0;

    std::size_t place_of(std::uint64_t key) const {
      const std::size_t mask = entries.size() - 1;
      std::size_t place = key & mask;
      while (entries[place].key != 0 && entries[place].key != key) place = (place + 1) & mask;
      return place;
    }
    void grow() {
      std::vector<Entry> before(entries.empty() ? 8 : entries.size() * 2);
      std::swap(before, entries);
      for (const Entry& entry : before) {
        if (entry.key != 0) entries[place_of(entry.key)] = entry;
      }
    }
  };
  std::vector<Shard> shards_;
  std::size_t size_ = 0;
};

}  // namespace tailrace
