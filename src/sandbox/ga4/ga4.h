// The Measurement Protocol of Google Analytics 4: /mp/collect, which says nothing, and its validation server,
// /debug/mp/collect.
#pragma once

#include "sandbox/event_tool.h"

namespace tailrace::sandbox {

class Ga4 : public EventTool {
 public:
  explicit Ga4(const Options& options) : EventTool(options, kDay * 365) {}
  HttpResponse handle(const Call& call) override;

 protected:
  HttpResponse error(int status, const std::string& message) const override;
};

}  // namespace tailrace::sandbox
