#include "destinations/probe.h"

namespace tailrace::destinations {

const Probed* probed(const Destination& destination) { return dynamic_cast<const Probed*>(&destination); }

std::expected<std::string, Refused> test_event(const EventDestination& destination, EventDestination::At at) {
  if (destination.events().empty()) return std::unexpected(Refused{"event", "it has no events of its own"});
  Conversion event;
  event.person = "tailrace-check";
  event.event = destination.events().front().event;
  event.name = destination.events().front().name;
  event.id = event.message_id = "tailrace-check";
  event.at = at.now;
  event.url = "https://example.com/";
  event.value = Number::integer(1);
  event.currency = "EUR";
  event.order_id = "tailrace-check";
  event.user = {{Field::email, "nobody@example.com"},
                {Field::ip_address, "192.0.2.1"},
                {Field::user_agent, "tailrace check"}};
  event.properties = event.context = event.traits = Value::with(Value::Kind::object);
  return to_event(destination, event, at);
}

}  // namespace tailrace::destinations
