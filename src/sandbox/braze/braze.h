// Braze's POST /users/track: events that are never taken for copies, and attributes.
#pragma once

#include "sandbox/event_tool.h"

namespace tailrace::sandbox {

class Braze : public EventTool {
 public:
  explicit Braze(const Options& options) : EventTool(options, kDay) {}
  HttpResponse handle(const Call& call) override;

 protected:
  HttpResponse error(int status, const std::string& message) const override;
};

}  // namespace tailrace::sandbox
