// The events a platform was told of: the latest of them to look at, and which came twice.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "base/http.h"
#include "base/time.h"
#include "model/value.h"

namespace tailrace::sandbox {

class EventStore {
 public:
  // Within `window` of the first one an event of the same key is the same event: it counts as a duplicate and
  // is not kept again. An empty key is never the same.
  void add(const std::string& key, Value event, Time now, Millis window);
  // {"count","duplicates","events":[newest first]}: the answer of GET /sandbox/<platform>/events.
  HttpResponse list() const;
  std::int64_t duplicates() const { return duplicates_; }

 private:
  std::deque<Value> latest_;
  std::map<std::string, Time> first_;  // by key
  std::int64_t count_ = 0;
  std::int64_t duplicates_ = 0;
};

}  // namespace tailrace::sandbox
