#include "delivery/coverage.h"

#include <algorithm>

#include <fmt/format.h>

#include "delivery/identifiers.h"
#include "destinations/list_kinds.h"

namespace tailrace::delivery {

Coverage::Coverage(const Connection& connection) : connection_(connection) {
  const auto& used = connection.sync.identifiers;
  for (const IdentifierKind kind : used) kinds_.push_back({.kind = kind, .used = true});
  for (const IdentifierKind kind : destinations::held_kinds(*connection.destination, connection.config)) {
    if (std::ranges::find(used, kind) == used.end()) kinds_.push_back({.kind = kind});
  }
}

void Coverage::add(const PersonProfile& profile) {
  ++people_;
  bool is_usable = false;
  for (Kind& kind : kinds_) {
    std::vector<destinations::UploadIdentifier> found;
    for (const Identifier& identifier : profile.identifiers) {
      if (identifier.kind != kind.kind) continue;
      auto normalised =
          connection_.destination->normalise(identifier.kind, identifier.value, connection_.config);
      if (!normalised) {
        if (kind.used) ++unusable_[normalised.error().message];
      } else if (!contains(found, normalised->upload)) {
        found.push_back(std::move(normalised->upload));
      }
    }
    if (found.empty()) continue;
    ++kind.people;
    kind.identifiers += found.size();
    if (kind.used) {
      is_usable = true;
    } else {
      ++(is_usable ? kind.more_of_people : kind.more_people);
    }
  }
  usable_ += is_usable;
}

}  // namespace tailrace::delivery
