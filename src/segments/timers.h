// When to look at whom next. Entries far off wait unsorted in buckets of about a minute, so that scheduling
// ten million window ends costs an append each. A bucket that is due is sorted, a big one slot by slot of a
// quarter of a second. What is pushed into the part that is open goes through a small heap.
//
// Within its bucket an entry is one number of eight bytes: when, then whom.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <tuple>
#include <vector>

#include <boost/sort/pdqsort/pdqsort.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include "base/id.h"
#include "base/memory_use.h"
#include "base/time.h"

namespace tailrace::segments {

class TimerQueue {
 public:
  struct Entry {
    Time at;
    PersonId person;
  };

  void push(Time at, PersonId person) {
    const Entry entry{at, person};
    if (at < open_until_) {
      late_.push_back(entry);
      std::push_heap(late_.begin(), late_.end(), later);
    } else if (at < spread_until_) {
      slots_[slot_of(at)].push_back(packed(entry));
    } else {
      const auto [bucket, added] = far_.try_emplace(bucket_of(at));
      bucket->second.push_back(packed(entry));
      if (added) far_order_.push(bucket->first);
    }
  }
  // The earliest entry's time; kNever without entries.
  Time next() {
    refill();
    if (late_.empty()) return done_ < open_.size() ? unpacked(open_[done_]).at : kNever;
    return is_late_first() ? late_.front().at : unpacked(open_[done_]).at;
  }
  // Takes the earliest entry, by (time, person). There must be one.
  Entry pop() {
    refill();
    if (!is_late_first()) return unpacked(open_[done_++]);
    const Entry entry = late_.front();
    std::pop_heap(late_.begin(), late_.end(), later);
    late_.pop_back();
    return entry;
  }
  MemoryUse memory() const {
    MemoryUse use = memory_of_table(far_);
    for (const auto& [bucket, entries] : far_) use += memory_of(entries);
    for (const auto& entries : slots_) use += memory_of(entries);
    use += memory_of(open_);
    use += memory_of(late_);
    return use += {far_order_.size() * sizeof(std::int64_t), 0};
  }
  // An entry about so many pops away, if one is known yet: a hint for prefetching.
  std::optional<PersonId> ahead(std::size_t count) const {
    return done_ + count < open_.size() ? std::optional(unpacked(open_[done_ + count]).person) : std::nullopt;
  }

 private:
  static constexpr int kBucketBits = 16;  // 65.5 seconds
  static constexpr int kSlotBits = 8;     // 256 ms
  static constexpr std::size_t kFew = 4096;
  static constexpr std::size_t kSlots = std::size_t{1} << (kBucketBits - kSlotBits);

  static std::int64_t bucket_of(Time at) { return at.ms >> kBucketBits; }
  static std::size_t slot_of(Time at) { return static_cast<std::size_t>(at.ms >> kSlotBits) % kSlots; }
  static bool later(const Entry& a, const Entry& b) {
    return std::tie(a.at, a.person) > std::tie(b.at, b.person);
  }
  using Packed = std::uint64_t;  // ordered as entries of one bucket are
  static Packed packed(const Entry& entry) {
    constexpr std::int64_t kWithin = (std::int64_t{1} << kBucketBits) - 1;
    return static_cast<std::uint64_t>(entry.at.ms & kWithin) << 32 | entry.person.value;
  }
  // Of the bucket that is open.
  Entry unpacked(Packed entry) const {
    return {spread_until_ - Millis{std::int64_t{1} << kBucketBits} +
                Millis{static_cast<std::int64_t>(entry >> 32)},
            PersonId(static_cast<std::uint32_t>(entry))};
  }

  bool is_late_first() const {
    return !late_.empty() && (done_ == open_.size() || later(unpacked(open_[done_]), late_.front()));
  }
  void refill() {
    while (done_ == open_.size() && late_.empty()) {
      if (next_slot_ == kSlots && !spread()) return;
      open_.clear();
      done_ = 0;
      std::swap(open_, slots_[next_slot_]);
      ++next_slot_;
      open_until_ = spread_until_ - Millis{static_cast<std::int64_t>(kSlots - next_slot_) << kSlotBits};
      boost::sort::pdqsort_branchless(open_.begin(), open_.end());
    }
  }
  // Opens the next bucket; false: there is none.
  bool spread() {
    if (far_order_.empty()) return false;
    const std::int64_t first = far_order_.top();
    far_order_.pop();
    const auto bucket = far_.find(first);
    spread_until_ = {(first + 1) << kBucketBits};
    if (bucket->second.size() < kFew) {
      // The whole bucket as its last slot.
      std::swap(slots_[kSlots - 1], bucket->second);
      next_slot_ = kSlots - 1;
    } else {
      for (const Packed entry : bucket->second) slots_[entry >> (32 + kSlotBits)].push_back(entry);
      next_slot_ = 0;
    }
    far_.erase(bucket);
    return true;
  }

  std::vector<Packed> open_;  // sorted; those before done_ are gone
  std::size_t done_ = 0;
  std::vector<Entry> late_;  // a heap: pushed before open_until_
  Time open_until_ = kForeverAgo;
  std::array<std::vector<Packed>, kSlots> slots_;  // of the bucket before spread_until_, from next_slot_ on
  std::size_t next_slot_ = kSlots;
  Time spread_until_ = kForeverAgo;
  // Tens of thousands of buckets: an ordered map would miss the cache at every level of its tree, at every
  // push.
  boost::unordered_flat_map<std::int64_t, std::vector<Packed>> far_;
  std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>> far_order_;  // keys of far_
};

}  // namespace tailrace::segments
