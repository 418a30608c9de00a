// The events a platform was sent: the latest are kept, and repeats are told by the key the platform goes by.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/time.h"
#include "model/value.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {

class ReceivedEvents {
 public:
  explicit ReceivedEvents(Millis window) : window_(window) {}  // within which a repeat counts once

  // An empty key is told from every other. False: it repeats another and is not kept.
  bool add(const std::string& key, Value event, Time now) {
    if (!key.empty() && repeats(key, now)) {
      ++repeated_;
      return false;
    }
    ++count_;
    events_.push_back(std::move(event));
    if (events_.size() > kEventsKept) events_.pop_front();
    return true;
  }

  // {"count": taken, "repeated": taken for repeats, "events": [the latest, oldest first]}
  Value describe() const {
    return object({{"count", whole(count_)},
                   {"repeated", whole(repeated_)},
                   {"events", list_of({events_.begin(), events_.end()})}});
  }

 private:
  static constexpr std::size_t kEventsKept = 1000;
  static constexpr std::size_t kKeysKept = 100'000;

  bool repeats(const std::string& key, Time now) {
    const auto [place, fresh] = seen_.try_emplace(key, now);
    if (!fresh && now < place->second + window_) return true;
    place->second = now;
    if (fresh) order_.push_back(key);
    if (order_.size() > kKeysKept) {
      seen_.erase(order_.front());
      order_.pop_front();
    }
    return false;
  }

  Millis window_;
  std::deque<Value> events_;
  std::unordered_map<std::string, Time> seen_;
  std::deque<std::string> order_;
  std::int64_t count_ = 0;
  std::int64_t repeated_ = 0;
};

}  // namespace tailrace::sandbox
