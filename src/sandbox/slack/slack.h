// An incoming webhook of Slack: POST /services/TEAM/HOOK/SECRET.
#pragma once

#include "sandbox/event_tool.h"

namespace tailrace::sandbox {

class Slack : public EventTool {
 public:
  Slack(const Options& options, const tailrace::sandbox::Limits& limits)
      : EventTool(options, kDay), limits_(limits) {}
  HttpResponse handle(const Call& call) override;
  std::vector<Limit> limits() const override { return {{"slack_messages_per_minute", 60}}; }

 protected:
  HttpResponse error(int status, const std::string& message) const override;

 private:
  const tailrace::sandbox::Limits& limits_;
  FixedWindow calls_{kMinute};
};

}  // namespace tailrace::sandbox
