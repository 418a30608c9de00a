#include <algorithm>
#include <array>

#include "sources/source.h"

namespace tailrace::sources {

// Each is defined in <folder>/<folder>.cc; the build makes the list of the folders' names, in their order.
#define TAILRACE_SOURCE(name) const HttpSource& name();
#include "sources_registry.inc"
#undef TAILRACE_SOURCE

std::span<const HttpSource* const> registry() {
#define TAILRACE_SOURCE(name) &name(),
  static const std::array kSources{
#include "sources_registry.inc"
  };
#undef TAILRACE_SOURCE
  return kSources;
}

const HttpSource* find_source(std::string_view type) {
  const auto found = std::ranges::find(registry(), type, [](const HttpSource* each) { return each->type(); });
  return found == registry().end() ? nullptr : *found;
}

}  // namespace tailrace::sources
