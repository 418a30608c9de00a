#include <algorithm>
#include <array>

#include "destinations/audience_destination.h"
#include "destinations/event_destination.h"
#include "destinations/warehouse_destination.h"

namespace tailrace::destinations {

// Each is defined in <folder>/<folder>.cc; the build makes the list of the folders' names, in their order. It
// is explicit because a self-registering static inside a static library is dropped by the linker.
#define TAILRACE_DESTINATION(name) const Destination& name();
#include "destinations_registry.inc"
#undef TAILRACE_DESTINATION

std::span<const Destination* const> registry() {
#define TAILRACE_DESTINATION(name) &name(),
  static const std::array kDestinations{
#include "destinations_registry.inc"
  };
#undef TAILRACE_DESTINATION
  return kDestinations;
}

const Destination* find(std::string_view type) {
  const auto found =
      std::ranges::find(registry(), type, [](const Destination* each) { return each->type(); });
  return found == registry().end() ? nullptr : *found;
}

std::vector<const AudienceDestination*> audience_destinations() {
  std::vector<const AudienceDestination*> all;
  for (const Destination* each : registry()) {
    if (const auto* audience = each->as_audience()) all.push_back(audience);
  }
  return all;
}

std::vector<const EventDestination*> event_destinations() {
  std::vector<const EventDestination*> all;
  for (const Destination* each : registry()) {
    if (const auto* events = each->as_events()) all.push_back(events);
  }
  return all;
}

std::vector<const WarehouseDestination*> warehouse_destinations() {
  std::vector<const WarehouseDestination*> all;
  for (const Destination* each : registry()) {
    if (const auto* warehouse = each->as_warehouse()) all.push_back(warehouse);
  }
  return all;
}

const AudienceDestination* find_audience_destination(std::string_view type) {
  const Destination* found = find(type);
  return found == nullptr ? nullptr : found->as_audience();
}

const EventDestination* find_event_destination(std::string_view type) {
  const Destination* found = find(type);
  return found == nullptr ? nullptr : found->as_events();
}

const WarehouseDestination* find_warehouse_destination(std::string_view type) {
  const Destination* found = find(type);
  return found == nullptr ? nullptr : found->as_warehouse();
}

const WarehouseTable* Pack::find_table(std::string_view name) const {
  const auto found = std::ranges::find(tables, name, &WarehouseTable::name);
  return found == tables.end() ? nullptr : &*found;
}

}  // namespace tailrace::destinations
