// Mixpanel's ingestion: POST /import and POST /engage, strict.
#pragma once

#include "sandbox/event_tool.h"

namespace tailrace::sandbox {

class Mixpanel : public EventTool {
 public:
  // It never forgets an $insert_id; a year is long enough to see one come twice.
  explicit Mixpanel(const Options& options) : EventTool(options, kDay * 365) {}
  HttpResponse handle(const Call& call) override;

 protected:
  HttpResponse error(int status, const std::string& message) const override;

 private:
  HttpResponse import(const Call& call);
  HttpResponse engage(const Call& call);
};

}  // namespace tailrace::sandbox
