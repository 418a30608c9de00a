// When to look at whom next. Entries far off wait unsorted in buckets of about a minute, so that scheduling
// ten million window ends costs an append each. A bucket that is due is sorted, a big one slot by slot of a
// quarter of a second. What is pushed into the part that is open goes through a small heap.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <queue>
#include <tuple>
#include <vector>

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
      slots_[slot_of(at)].push_back(entry);
    } else {
      const auto [bucket, added] = far_.try_emplace(bucket_of(at));
      bucket->second.push_back(entry);
      if (added) far_order_.push(bucket->first);
    }
  }
  // The earliest entry's time; kNever without entries.
  Time next() {
    refill();
    const Entry* first = earliest();
    return first == nullptr ? kNever : first->at;
  }
  // Takes the earliest entry, by (time, person). There must be one.
  Entry pop() {
    refill();
    const Entry entry = *earliest();
    if (!late_.empty() && earliest() == &late_.front()) {
      std::pop_heap(late_.begin(), late_.end(), later);
      late_.pop_back();
    } else {
      ++done_;
    }
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
  const Entry* ahead(std::size_t count) const {
    return done_ + count < open_.size() ? &open_[done_ + count] : nullptr;
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
  static bool sooner(const Entry& a, const Entry& b) { return later(b, a); }

  const Entry* earliest() const {
    const Entry* sorted = done_ < open_.size() ? &open_[done_] : nullptr;
    if (late_.empty()) return sorted;
    return sorted == nullptr || later(*sorted, late_.front()) ? &late_.front() : sorted;
  }
  void refill() {
    while (done_ == open_.size() && late_.empty()) {
      if (next_slot_ == kSlots && !spread()) return;
      open_.clear();
      done_ = 0;
      std::swap(open_, slots_[next_slot_]);
      ++next_slot_;
      open_until_ = spread_until_ - Millis{static_cast<std::int64_t>(kSlots - next_slot_) << kSlotBits};
      std::sort(open_.begin(), open_.end(), sooner);
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
      for (const Entry& entry : bucket->second) slots_[slot_of(entry.at)].push_back(entry);
      next_slot_ = 0;
    }
    far_.erase(bucket);
    return true;
  }

  std::vector<Entry> open_;  // sorted; those before done_ are gone
  std::size_t done_ = 0;
  std::vector<Entry> late_;  // a heap: pushed before open_until_
  Time open_until_ = kForeverAgo;
  std::array<std::vector<Entry>, kSlots> slots_;  // of the bucket before spread_until_, from next_slot_ on
  std::size_t next_slot_ = kSlots;
  Time spread_until_ = kForeverAgo;
  // Tens of thousands of buckets: an ordered map would miss the cache at every level of its tree, at every
  // push.
  boost::unordered_flat_map<std::int64_t, std::vector<Entry>> far_;
  std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>> far_order_;  // keys of far_
};

}  // namespace tailrace::segments
