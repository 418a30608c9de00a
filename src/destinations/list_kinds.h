// Platforms where a setting says what an audience holds (e-mails, or advertising ids): of the identifiers a
// destination can match on, an audience takes those of its kind only. Such a destination derives from
// HoldsOneKind too.
//
// Thread-safe.
#pragma once

#include <string_view>
#include <vector>

#include "destinations/audience_destination.h"

namespace tailrace::destinations {

class HoldsOneKind {
 public:
  virtual ~HoldsOneKind() = default;

  // Why an audience so configured takes no identifiers of this kind, one of identifiers(), and what to write
  // instead: a sentence of one line. Empty: it takes them.
  virtual std::string_view misfit(IdentifierKind kind, const Config& config) const = 0;
};

// Empty as well where audiences hold all that their destination can match on.
std::string_view misfit(const AudienceDestination& destination, IdentifierKind kind, const Config& config);

// Those of identifiers() that an audience so configured takes, in their order.
std::vector<IdentifierKind> held_kinds(const AudienceDestination& destination, const Config& config);

}  // namespace tailrace::destinations
