// Customer.io: the Track API's /api/v2/batch and manual segments of v1, the App API's manual
// segments under /app, and the Pipelines API under /cdp.
#pragma once

#include <expected>
#include <string>

#include "sandbox/event_tool.h"

namespace tailrace::sandbox {

class Customerio : public EventTool {
 public:
  explicit Customerio(const Options& options) : EventTool(options, kDay * 365) {}
  HttpResponse handle(const Call& call) override;

 protected:
  HttpResponse error(int status, const std::string& message) const override;

 private:
  HttpResponse take_batch(const Call& call);
  HttpResponse take_pipeline(const Call& call);
  HttpResponse create_segment(const Call& call);
  HttpResponse change_segment(const Call& call);
  void take(const Value& item, Time now);

  std::int64_t segments_ = 0;
};

}  // namespace tailrace::sandbox
