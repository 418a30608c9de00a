#include "cli/masked.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/engine.h"

namespace tailrace::cli {

std::string masked(std::string_view name, bool is_phone) {
  if (name.empty()) return "(deleted)";
  if (const auto at = name.find('@'); at != std::string_view::npos)
    return fmt::format("{}***{}", name.substr(0, std::min<std::size_t>(at, 1)), name.substr(at));
  constexpr std::size_t kShown = 2;
  if (is_phone) return fmt::format("***{}", name.substr(name.size() - std::min(name.size(), kShown)));
  return std::string(name);
}

bool names_a_device(IdentifierKind kind) {
  return kind == IdentifierKind::phone || kind == IdentifierKind::idfa || kind == IdentifierKind::aaid;
}

std::string masked_name(const engine::Engine& engine, PersonId person) {
  return masked_name(engine.profile(person));
}

std::string masked_name(const PersonProfile& profile) {
  const bool is_device = std::ranges::any_of(profile.identifiers, [&](const Identifier& identifier) {
    return identifier.value == profile.golden_id && names_a_device(identifier.kind);
  });
  return masked(profile.golden_id, is_device);
}

}  // namespace tailrace::cli
