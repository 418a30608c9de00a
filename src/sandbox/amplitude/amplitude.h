// Amplitude's event APIs (/batch, /2/httpapi), properties of users by them, and its behavioural cohorts
// (/api/3/cohorts).
#pragma once

#include <map>
#include <set>
#include <string>

#include "sandbox/event_tool.h"

namespace tailrace::sandbox {

class Amplitude : public EventTool {
 public:
  Amplitude(const Options& options, const tailrace::sandbox::Limits& limits)
      : EventTool(options, kDay * 7), limits_(limits) {}
  HttpResponse handle(const Call& call) override;
  // amplitude_user_events_per_second: of a user or device, in a request's second.
  std::vector<Limit> limits() const override { return {{"amplitude_user_events_per_second", 1000}}; }

 protected:
  HttpResponse error(int status, const std::string& message) const override;

 private:
  HttpResponse take(const Call& call);
  // What an event says of its user: $set and $unset.
  void identify(const Value& event, Time now);
  HttpResponse upload_cohort(const Value& body, Time now);
  HttpResponse change_cohort(const Value& body, Time now);
  // Indices of events of whoever sent too many within this second.
  std::set<std::size_t> throttled(const std::vector<Value>& events, Time now);

  const tailrace::sandbox::Limits& limits_;
  std::int64_t second_ = 0;
  std::map<std::string, std::int64_t> sent_;  // in this second, by user or device
  std::int64_t cohorts_ = 0;
};

}  // namespace tailrace::sandbox
