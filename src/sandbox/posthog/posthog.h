// PostHog's capture: POST /batch/.
#pragma once

#include "sandbox/event_tool.h"

namespace tailrace::sandbox {

class Posthog : public EventTool {
 public:
  explicit Posthog(const Options& options) : EventTool(options, kDay * 365) {}
  HttpResponse handle(const Call& call) override;

 protected:
  HttpResponse error(int status, const std::string& message) const override;
};

}  // namespace tailrace::sandbox
