// When to look at whom next. Entries of the near future stand in a heap; those further off wait unsorted in
// buckets of about a minute, so that scheduling ten million window ends costs an append each and only what is
// due soon is ordered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <tuple>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/id.h"
#include "base/time.h"

namespace tailrace::segments {

class TimerQueue {
 public:
  struct Entry {
    Time at;
    PersonId person;
  };

  void push(Time at, PersonId person) {
    if (at < horizon_) {
      near_.push_back({at, person});
      std::push_heap(near_.begin(), near_.end(), later);
    } else {
      const auto [bucket, added] = far_.try_emplace(bucket_of(at));
      bucket->second.push_back({at, person});
      if (added) far_order_.push(bucket->first);
    }
  }
  // The earliest entry's time; kNever without entries.
  Time next() {
    refill();
    return near_.empty() ? kNever : near_.front().at;
  }
  // Takes the earliest entry, by (time, person). There must be one.
  Entry pop() {
    refill();
    std::pop_heap(near_.begin(), near_.end(), later);
    const Entry entry = near_.back();
    near_.pop_back();
    return entry;
  }

 private:
  static constexpr int kBucketBits = 16;  // 65.5 seconds
  static std::int64_t bucket_of(Time at) { return at.ms >> kBucketBits; }
  static bool later(const Entry& a, const Entry& b) {
    return std::tie(a.at, a.person) > std::tie(b.at, b.person);
  }

  void refill() {
    if (!near_.empty() || far_.empty()) return;
    const std::int64_t first = far_order_.top();
    far_order_.pop();
    const auto bucket = far_.find(first);
    horizon_ = {(first + 1) << kBucketBits};
    near_ = std::move(bucket->second);
    std::make_heap(near_.begin(), near_.end(), later);
    far_.erase(bucket);
  }

  std::vector<Entry> near_;  // all entries before horizon_
  // Tens of thousands of buckets: an ordered map would miss the cache at every level of its tree, at every
  // push.
  boost::unordered_flat_map<std::int64_t, std::vector<Entry>> far_;
  std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>> far_order_;  // keys of far_
  Time horizon_ = kForeverAgo;
};

}  // namespace tailrace::segments
