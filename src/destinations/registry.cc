#include <array>

#include "destinations/destination.h"

namespace tailrace::destinations {

// Each is defined in <folder>/<folder>.cc. The table is explicit: a self-registering static inside a static
// library is dropped by the linker.
const Destination& meta_custom_audiences();
const Destination& google_data_manager();
const Destination& webhook();

std::span<const Destination* const> registry() {
  static const std::array kDestinations{&meta_custom_audiences(), &google_data_manager(), &webhook()};
  return kDestinations;
}

const Destination* find(std::string_view type) {
  for (const Destination* destination : registry()) {
    if (destination->type() == type) return destination;
  }
  return nullptr;
}

}  // namespace tailrace::destinations
