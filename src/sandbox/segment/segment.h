// Segment's HTTP API, POST /v1/batch, which says 200 to almost anything; and who speaks it strictly.
#pragma once

#include "sandbox/event_tool.h"

namespace tailrace::sandbox {

// The problem of a request; "" where it is as it must be.
std::string problem_of_segment_batch(const Value& body, std::size_t bytes);
// The problem of a message; "" where it is as it must be.
std::string problem_of_segment_message(const Value& message);

class Segment : public EventTool {
 public:
  explicit Segment(const Options& options) : EventTool(options, kDay) {}
  HttpResponse handle(const Call& call) override;

 protected:
  HttpResponse error(int status, const std::string& message) const override;
};

}  // namespace tailrace::sandbox
