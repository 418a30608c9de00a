// When to look at whom next. Entries of the near future stand in a heap; those further off wait unsorted in
// buckets of about a minute, so that scheduling ten million window ends costs an append each and only what is
// due soon is ordered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

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
      far_[bucket_of(at)].push_back({at, person});
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
    const auto first = far_.begin();
    horizon_ = {(first->first + 1) << kBucketBits};
    near_ = std::move(first->second);
    std::make_heap(near_.begin(), near_.end(), later);
    far_.erase(first);
  }

  std::vector<Entry> near_;  // all entries before horizon_
  std::map<std::int64_t, std::vector<Entry>> far_;
  Time horizon_ = kForeverAgo;
};

}  // namespace tailrace::segments
