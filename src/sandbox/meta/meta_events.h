// Meta's Conversions API: what it asks of an event, and the events it was sent.
#pragma once

#include <optional>
#include <string>

#include "base/http.h"
#include "base/time.h"
#include "model/value.h"
#include "sandbox/event_store.h"
#include "sandbox/meta/meta_error.h"
#include "sandbox/wire.h"

namespace tailrace::sandbox {

class MetaEvents {
 public:
  static constexpr int kParameter = 2804019;  // the subcode of an event that is not right

  // POST /{dataset}/events. All or nothing: one event that is not right fails the request, and the answer
  // does not say which.
  MetaResult<Value> receive(const std::string& dataset, const Value& params, Time now);
  // GET events, test_events. Missing: there is no such control.
  std::optional<HttpResponse> control(const Call& call) const;

 private:
  EventStore events_;
  EventStore test_events_;  // of requests with a test_event_code
  std::uint64_t traces_ = 0;
};

}  // namespace tailrace::sandbox
