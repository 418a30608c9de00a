// A person as the rest of Tailrace sees one: identifiers, attributes and consent as of an instant.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "model/value.h"

namespace tailrace {

enum class IdentifierKind : unsigned char {
  external_id,
  anonymous_id,
  email,
  phone,
  idfa,  // advertising id of an iOS device
  aaid,  // advertising id of an Android device
};
inline constexpr IdentifierKind kLastIdentifierKind = IdentifierKind::aaid;
constexpr std::string_view to_string(IdentifierKind kind) {
  switch (kind) {
    case IdentifierKind::external_id:
      return "external_id";
    case IdentifierKind::anonymous_id:
      return "anonymous_id";
    case IdentifierKind::email:
      return "email";
    case IdentifierKind::phone:
      return "phone";
    case IdentifierKind::idfa:
      return "idfa";
    case IdentifierKind::aaid:
      return "aaid";
  }
  return "?";
}

struct Identifier {
  IdentifierKind kind = IdentifierKind::external_id;
  std::string value;  // as it came, trimmed; normalised only where a platform asks, by its own rule
  Time since;         // event time of the first record that said so

  bool operator==(const Identifier&) const = default;
};

struct PersonProfile {
  PersonId id;
  std::string
      golden_id;  // the identifier that names the person outwards; an anonymous id where there is none
  std::vector<Identifier> identifiers;
  Value traits;  // object; the latest value per trait
  // Computed attributes by name, as of now; where audience syncs carry some. Times as texts; missing: there
  // is none.
  std::vector<std::pair<std::string, Value>> attributes = {};
  std::vector<std::pair<std::string, bool>> consent;  // purpose -> granted; a purpose not listed is unknown
  bool deleted = false;
};

}  // namespace tailrace
