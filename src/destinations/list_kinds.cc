#include "destinations/list_kinds.h"

namespace tailrace::destinations {

std::string_view misfit(const AudienceDestination& destination, IdentifierKind kind, const Config& config) {
  const auto* of_one_kind = dynamic_cast<const HoldsOneKind*>(&destination);
  return of_one_kind == nullptr ? std::string_view() : of_one_kind->misfit(kind, config);
}

std::vector<IdentifierKind> held_kinds(const AudienceDestination& destination, const Config& config) {
  std::vector<IdentifierKind> kinds;
  for (const IdentifierKind kind : destination.identifiers()) {
    if (misfit(destination, kind, config).empty()) kinds.push_back(kind);
  }
  return kinds;
}

}  // namespace tailrace::destinations
