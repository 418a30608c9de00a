#include "destinations/analytics/plain_event.h"

#include "destinations/analytics/event_json.h"

namespace tailrace::destinations::analytics {

void add_plain_event(Value& to, const EventDestination& destination, const Conversion& conversion,
                     const Config& config) {
  add_missing(to, user_object(destination, conversion, config, [](const FieldRule&) { return false; }));
  to.members.emplace_back("properties", conversion.properties.kind == Value::Kind::object
                                            ? conversion.properties
                                            : empty_object());
  if (config.setting(std::string(kContextSetting.name)) == "true")
    to.members.emplace_back("context", conversion.context);
}

}  // namespace tailrace::destinations::analytics
