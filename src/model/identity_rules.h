// What a workspace says of who is who: which kinds of identifier may make two people one, and what holds that
// back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/person.h"

namespace tailrace {

struct IdentityRules {
  struct OfKind {
    // A value of this kind that belongs to somebody else makes the two one. Of external_id: an alias of two
    // user ids; of anonymous_id: identify and alias of somebody who was anonymous so far.
    bool merges = false;
    std::optional<std::uint32_t> people_max;  // that one value ever makes one; 2 and more
    std::optional<std::uint32_t> values_max;  // of one person; 1 and more
    // Values that are nobody's, `*` for any run of characters.
    std::vector<std::string> blocked;

    bool operator==(const OfKind&) const = default;
  };
  static constexpr std::size_t kKinds = static_cast<std::size_t>(kLastIdentifierKind) + 1;
  std::array<OfKind, kKinds> kinds;
  // "null", "undefined", an advertising id of zeros and their like are nobody's.
  bool blocks_placeholders = false;

  IdentityRules() {
    of(IdentifierKind::external_id).merges = true;
    of(IdentifierKind::anonymous_id).merges = true;
  }
  OfKind& of(IdentifierKind kind) { return kinds[static_cast<std::size_t>(kind)]; }
  const OfKind& of(IdentifierKind kind) const { return kinds[static_cast<std::size_t>(kind)]; }
  bool operator==(const IdentityRules&) const = default;
};

// Why a value did not become a person's, or two people did not become one.
enum class Refusal : unsigned char {
  blocked,              // the value is nobody's
  too_many_values,      // the person has as many of the kind as one may have
  too_many_people,      // as many became one through the value as may
  too_many_together,    // one person would have more of some kind than one may have
  kind_does_not_merge,  // an alias, where the rules let no identifier of that kind merge
  somebody_elses,       // an anonymous id that belongs to somebody with a user id
  decided,              // one of these, and who was in the way has been deleted since
};
inline constexpr Refusal kLastRefusal = Refusal::decided;
inline constexpr std::size_t kRefusals = static_cast<std::size_t>(kLastRefusal) + 1;
constexpr std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::blocked:
      return "the value is blocked";
    case Refusal::too_many_values:
      return "the person has as many of this kind as one may have";
    case Refusal::too_many_people:
      return "as many people became one through the value as may";
    case Refusal::too_many_together:
      return "together they would have more of one kind than one may have";
    case Refusal::kind_does_not_merge:
      return "identifiers of this kind make nobody one";
    case Refusal::somebody_elses:
      return "it belongs to somebody with another user id";
    case Refusal::decided:
      return "somebody who was deleted since was in the way";
  }
  return "?";
}

}  // namespace tailrace
