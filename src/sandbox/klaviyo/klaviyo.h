// Klaviyo: POST /api/event-bulk-create-jobs and /api/profile-bulk-import-jobs.
#pragma once

#include "sandbox/event_tool.h"

namespace tailrace::sandbox {

class Klaviyo : public EventTool {
 public:
  explicit Klaviyo(const Options& options) : EventTool(options, kDay * 365) {}
  HttpResponse handle(const Call& call) override;

 protected:
  HttpResponse error(int status, const std::string& message) const override;

 private:
  HttpResponse take_events(const Value& data, Time now);
  HttpResponse take_profiles(const Value& data, Time now);
  HttpResponse points_at(const std::string& pointer) const;
};

}  // namespace tailrace::sandbox
