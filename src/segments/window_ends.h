// When each of a person's items (segments, ranks) may next change: (person, item) -> time, and the first of
// these times. All of a person's entries stand in one block.
//
// As long as they are few, every question is a pass over neighbouring cache lines, several entries at a time,
// and nothing has to be kept in order. Those of a person who waits for more than kFew are a heap by time,
// with an index by item: the first stands at the front, those that are due are found without a pass over the
// others, and a change costs O(log n). 10 bytes an entry, with the index 15 to 21; a person without entries
// costs 8 bytes.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <malloc.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/bytes.h"
#include "base/chunked.h"
#include "base/id.h"
#include "base/memory_use.h"
#include "base/time.h"

namespace tailrace::segments {

class WindowEnds {
 public:
  using Item = std::uint32_t;  // all but the largest

  // kNever: there is none.
  Time first(PersonId person) const {
    const Block* block = block_of(person);
    return block == nullptr ? kNever : block->first();
  }
  Time at(PersonId person, Item item) const {
    const Block* block = block_of(person);
    if (block == nullptr) return kNever;
    const std::uint32_t place = block->place_of(item);
    return place == kNowhere ? kNever : block->time(place);
  }
  // Notes that the item may change at `until` (kNever: that it will not), unless what is noted lies within
  // (t, until] already: an end that is early only asks once too often, moving it at every event would cost
  // more.
  void wait(PersonId person, Item item, Time until, Time t) {
    Block* block = block_of(person);
    const std::uint32_t place = block == nullptr ? kNowhere : block->place_of(item);
    if (place == kNowhere) {
      if (until == kNever) return;
      if (block == nullptr || block->count == block->capacity) block = &grow(person);
      block->add(item, until);
      return;
    }
    const Time noted = block->time(place);
    if (noted > t && noted <= until) return;
    if (until == kNever) {
      block->remove(place);
    } else {
      block->change(place, until);
    }
  }
  // Every item that may change at or before t, in no meaningful order.
  template <class Visit>
  void each_due(PersonId person, Time t, Visit visit) const {
    const Block* block = block_of(person);
    if (block != nullptr) block->each_due(t, visit);
  }
  // Every item that waits, and until when, in no meaningful order.
  template <class Visit>
  void each(PersonId person, Visit visit) const {
    const Block* block = block_of(person);
    for (std::uint32_t place = 0; block != nullptr && place < block->count; ++place)
      visit(block->items()[place], block->time(place));
  }
  std::uint32_t count(PersonId person) const {
    const Block* block = block_of(person);
    return block == nullptr ? 0 : block->count;
  }
  // Room for so many, of a person for whom nothing waits yet.
  void reserve(PersonId person, std::uint32_t count) {
    if (count == 0 || block_of(person) != nullptr) return;
    if (person.value >= blocks_.size()) blocks_.grow_to(person.value + std::size_t{1});
    put(blocks_[person.value], make((count + kStep - 1) / kStep * kStep));
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

  // Within a part that was begun, by ranges of people.
  void save(ByteWriter& out) const {
    out.put<std::uint64_t>(blocks_.size());
    for (std::uint32_t person = 0; person < blocks_.size(); ++person) {
      if (begins_range(PersonId(person))) out.begin_range(1 + range_of(PersonId(person)));
      const Block* block = block_of(PersonId(person));
      const std::uint32_t count = block == nullptr ? 0 : block->count;
      out.put(count);
      for (std::uint32_t i = 0; i < count; ++i) out.put(block->items()[i]);
      for (std::uint32_t i = 0; i < count; ++i) out.put(block->time(i));
    }
  }
  Result<void> restore(ByteReader& in) {
    const auto people = TRY(in.get_count(4));
    blocks_ = {};
    block_bytes_ = 0;
    blocks_.grow_to(people);
    // Whom each item was seen with last: none may stand there twice.
    std::vector<std::uint32_t> last_person;
    for (std::uint32_t person = 0; person < people; ++person) {
      const auto count = TRY(in.get<std::uint32_t>());
      if (count == 0) continue;
      if (in.left() / (sizeof(Item) + sizeof(Time)) < count)
        return fail(Error::Code::corrupt, "more ends of windows than bytes");
      BlockPtr made = make((count + kStep - 1) / kStep * kStep);
      Block& block = *made;
      TRY(in.get_bytes(reinterpret_cast<char*>(block.items()), count * sizeof(Item)));
      for (std::uint32_t i = 0; i < count; ++i) {
        const Item item = block.items()[i];
        if (item >= kItemsMax) return fail(Error::Code::corrupt, "a window's end without its segment");
        if (item >= last_person.size()) last_person.resize(item + std::size_t{1}, UINT32_MAX);
        if (std::exchange(last_person[item], person) == person)
          return fail(Error::Code::corrupt, "two ends of one window");
        block.set_time(i, TRY(in.get<Time>()));
      }
      block.count = count;
      if (block.ordered()) block.put_in_order();
      put(blocks_[person], std::move(made));
    }
    return {};
  }

 private:
  static constexpr Item kNoItem = UINT32_MAX;
  static constexpr Item kItemsMax = 1U << 24;
  static constexpr std::uint32_t kNowhere = UINT32_MAX;
  static constexpr std::size_t kUsualBytes = 448;  // of a block
  static constexpr std::uint32_t kStep = 4;        // capacities are multiples of this
  static constexpr std::size_t kTimeBytes = 6;
  static constexpr std::int64_t kFar = std::int64_t{1} << 47;
  static constexpr std::uint32_t kArity = 4;  // of the heap
  static constexpr std::uint32_t kRoot = 0;   // where its first stands
  static constexpr std::uint32_t kFew = 64;   // a larger capacity is kept in order

  // Followed by the items, of which those from `count` on are kNoItem, then the times, then the index: an
  // open-addressed table of places, a power of two of them.
  struct Block {
    std::uint32_t count = 0;
    std::uint32_t capacity = 0;
    Item* items() { return reinterpret_cast<Item*>(this + 1); }
    const Item* items() const { return reinterpret_cast<const Item*>(this + 1); }
    // As capacities are multiples of four, the times take whole words.
    std::uint32_t* index() {
      return reinterpret_cast<std::uint32_t*>(time_bytes() + std::size_t{capacity} * kTimeBytes);
    }
    const std::uint32_t* index() const {
      return reinterpret_cast<const std::uint32_t*>(time_bytes() + std::size_t{capacity} * kTimeBytes);
    }
    char* time_bytes() { return reinterpret_cast<char*>(items() + capacity); }
    const char* time_bytes() const { return reinterpret_cast<const char*>(items() + capacity); }
    // 48 bits of milliseconds, which end in the year 6429: what is later is looked at then. The two bytes
    // before are read with them, of another time or an item, and shifted out.
    Time time(std::uint32_t place) const { return {bits_at(first_bits() + place * kTimeBytes) >> 16}; }
    static std::int64_t bits_at(const char* bytes) {
      std::int64_t bits = 0;
      std::memcpy(&bits, bytes, sizeof bits);
      return bits;
    }
    const char* first_bits() const { return time_bytes() - (sizeof(std::int64_t) - kTimeBytes); }
    void set_time(std::uint32_t place, Time at) {
      const std::int64_t ms = std::clamp(at.ms, -kFar, kFar - 1);
      std::memcpy(time_bytes() + std::size_t{place} * kTimeBytes, &ms, kTimeBytes);
    }

    bool ordered() const { return capacity > kFew; }
    std::uint32_t slots() const { return slots_for(capacity); }
    // Items of one kind of segment are often a fixed step apart, so all bits take part.
    std::uint32_t home(Item item) const {
      return static_cast<std::uint32_t>((item * 0x9E3779B97F4A7C15ull) >> 32) & (slots() - 1);
    }
    std::uint32_t next(std::uint32_t slot) const { return (slot + 1) & (slots() - 1); }
    // Of an item that is there.
    std::uint32_t slot_of(Item item) const {
      std::uint32_t slot = home(item);
      while (items()[index()[slot]] != item) slot = next(slot);
      return slot;
    }

    std::uint32_t place_of(Item item) const {
      if (ordered()) {
        for (std::uint32_t slot = home(item); index()[slot] != kNowhere; slot = next(slot)) {
          if (items()[index()[slot]] == item) return index()[slot];
        }
        return kNowhere;
      }
#ifdef __SSE2__
      const __m128i wanted = _mm_set1_epi32(static_cast<int>(item));
      for (std::uint32_t i = 0; i < count; i += kStep) {
        const __m128i some = _mm_loadu_si128(reinterpret_cast<const __m128i*>(items() + i));
        const int hits = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(some, wanted)));
        if (hits != 0) return i + static_cast<std::uint32_t>(__builtin_ctz(static_cast<unsigned>(hits)));
      }
#else
      for (std::uint32_t i = 0; i < count; ++i) {
        if (items()[i] == item) return i;
      }
#endif
      return kNowhere;
    }

    void add(Item item, Time at) {
      const std::uint32_t place = count++;
      items()[place] = item;
      set_time(place, at);
      if (!ordered()) return;
      enter(place);
      rise(place);
    }
    // The last entry takes its place.
    void remove(std::uint32_t place) {
      if (ordered()) leave(slot_of(items()[place]));
      const std::uint32_t last = --count;
      if (place != last) {
        if (ordered()) index()[slot_of(items()[last])] = place;
        items()[place] = items()[last];
        set_time(place, time(last));
      }
      items()[last] = kNoItem;
      if (ordered() && place != last) settle(place);
    }
    void change(std::uint32_t place, Time at) {
      set_time(place, at);
      if (ordered()) settle(place);
    }
    Time first() const {
      if (ordered() && count > 0) return time(kRoot);
      if (count == 0) return kNever;
      const char* at = first_bits();
      const char* const end = at + count * kTimeBytes;
      std::int64_t first = bits_at(at);
      while ((at += kTimeBytes) != end) first = std::min(first, bits_at(at));
      return {first >> 16};
    }
    template <class Visit>
    void each_due(Time t, Visit& visit) const {
      if (ordered()) {
        each_due_below(0, t, visit);
        return;
      }
      // Whatever stands before a time that is due, it is at most this.
      const std::int64_t limit = std::clamp(t.ms, -kFar, kFar - 1) << 16 | 0xffff;
      const char* at = first_bits();
      for (const Item* item = items(); item != items() + count; ++item, at += kTimeBytes) {
        if (bits_at(at) <= limit) visit(*item);
      }
    }
    void put_in_order() {
      for (std::uint32_t place = 0; place < count; ++place) enter(place);
      for (std::uint32_t place = 0; place < count; ++place) rise(place);
    }

   private:
    // Moves an entry, whose time is new, to where the heap has it.
    void settle(std::uint32_t place) { sink(rise(place)); }
    std::uint32_t rise(std::uint32_t place) {
      const std::uint32_t slot = slot_of(items()[place]);
      while (place > 0 && time(place) < time((place - 1) / kArity)) {
        exchange(place, (place - 1) / kArity, slot);
        place = (place - 1) / kArity;
      }
      return place;
    }
    void sink(std::uint32_t place) {
      const std::uint32_t slot = slot_of(items()[place]);
      for (std::uint32_t begin = place * kArity + 1; begin < count; begin = place * kArity + 1) {
        std::uint32_t child = begin;
        for (std::uint32_t other = begin + 1; other < std::min(begin + kArity, count); ++other) {
          if (time(other) < time(child)) child = other;
        }
        if (time(place) <= time(child)) return;
        exchange(place, child, slot);
        place = child;
      }
    }
    // slot: of the entry at `place`.
    void exchange(std::uint32_t place, std::uint32_t other, std::uint32_t slot) {
      index()[slot_of(items()[other])] = place;
      index()[slot] = other;
      std::swap(items()[place], items()[other]);
      const Time moved = time(place);
      set_time(place, time(other));
      set_time(other, moved);
    }
    template <class Visit>
    void each_due_below(std::uint32_t place, Time t, Visit& visit) const {
      if (place >= count || time(place) > t) return;
      visit(items()[place]);
      for (std::uint32_t child = 1; child <= kArity; ++child)
        each_due_below(place * kArity + child, t, visit);
    }

    void enter(std::uint32_t place) {
      std::uint32_t slot = home(items()[place]);
      while (index()[slot] != kNowhere) slot = next(slot);
      index()[slot] = place;
    }
    // Those behind it move up, so that no look-up stops before it has found what is there.
    void leave(std::uint32_t slot) {
      const auto distance = [&](std::uint32_t from, std::uint32_t to) { return (to - from) & (slots() - 1); };
      for (std::uint32_t later = next(slot); index()[later] != kNowhere; later = next(later)) {
        if (distance(home(items()[index()[later]]), later) < distance(slot, later)) continue;
        index()[slot] = index()[later];
        slot = later;
      }
      index()[slot] = kNowhere;
    }
  };
  struct Free {
    void operator()(Block* block) const { std::free(block); }
  };
  using BlockPtr = std::unique_ptr<Block, Free>;

  static std::uint32_t slots_for(std::uint32_t capacity) {
    return capacity > kFew ? std::bit_ceil(capacity + capacity / 3) : 0;
  }
  const Block* block_of(PersonId person) const {
    return person.value < blocks_.size() ? blocks_[person.value].get() : nullptr;
  }
  Block* block_of(PersonId person) {
    return const_cast<Block*>(static_cast<const WindowEnds*>(this)->block_of(person));
  }
  static std::size_t bytes_of(const BlockPtr& block) { return block ? ::malloc_usable_size(block.get()) : 0; }
  // By half, by a quarter where they are many.
  Block& grow(PersonId person) {
    if (person.value >= blocks_.size()) blocks_.grow_to(person.value + std::size_t{1});
    BlockPtr& owner = blocks_[person.value];
    const std::uint32_t count = owner ? owner->count : 0;
    BlockPtr larger = make((count + count / (count < 16 ? 2 : 4) + kStep) / kStep * kStep);
    if (owner) {
      larger->count = count;
      std::memcpy(larger->items(), owner->items(), count * sizeof(Item));
      std::memcpy(larger->time_bytes(), owner->time_bytes(), count * kTimeBytes);
      if (larger->ordered()) larger->put_in_order();
    }
    put(owner, std::move(larger));
    return *owner;
  }
  // Without entries.
  static BlockPtr make(std::uint32_t capacity) {
    const std::size_t slots = slots_for(capacity);
    void* bytes =
        std::malloc(sizeof(Block) + capacity * (kTimeBytes + sizeof(Item)) + slots * sizeof(std::uint32_t));
    if (bytes == nullptr) throw std::bad_alloc();
    BlockPtr block(new (bytes) Block{.count = 0, .capacity = capacity});
    std::memset(block->items(), 0xff, capacity * sizeof(Item));
    if (slots > 0) std::memset(block->index(), 0xff, slots * sizeof(std::uint32_t));
    return block;
  }
  void put(BlockPtr& owner, BlockPtr block) {
    block_bytes_ += bytes_of(block) - bytes_of(owner);
    owner = std::move(block);
  }

  Chunked<BlockPtr> blocks_;  // by person
  std::size_t block_bytes_ = 0;
};

}  // namespace tailrace::segments
