#include "delivery/identifiers.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.h"
#include "delivery/plan.h"
#include "model/json.h"

namespace tailrace::delivery {

using destinations::UploadIdentifier;

Usable usable_identifiers(const PersonProfile& profile, const workspace::SyncConfig& sync,
                          const destinations::AudienceDestination& destination,
                          const destinations::Config& config) {
  Usable usable;
  if (profile.deleted) {
    usable.reason = fmt::format("{}: the person was deleted", kWithoutIdentifier);
    return usable;
  }
  std::string refusal;
  for (const IdentifierKind kind : sync.identifiers) {
    const bool every = kind == IdentifierKind::external_id || kind == IdentifierKind::anonymous_id ||
                       std::ranges::find(sync.every_value, kind) != sync.every_value.end();
    bool has_one = false;
    for (const Identifier& identifier : profile.identifiers) {
      if (identifier.kind != kind || (has_one && !every)) continue;
      auto normalised = destination.normalise(kind, identifier.value, config);
      if (normalised) has_one = true;
      if (!normalised) {
        if (refusal.empty()) refusal = normalised.error().message;
      } else if (!contains(usable.identifiers, normalised->upload)) {
        usable.identifiers.push_back(std::move(normalised->upload));
      }
    }
  }
  if (!usable.identifiers.empty()) return usable;
  if (refusal.empty()) {
    for (const IdentifierKind kind : sync.identifiers) {
      if (!refusal.empty()) refusal += " or ";
      refusal += to_string(kind);
    }
    refusal = "has no " + refusal;
  }
  usable.reason = fmt::format("{}: {}", kWithoutIdentifier, refusal);
  return usable;
}

std::optional<bool> consent_of(const PersonProfile& profile, const std::string& purpose) {
  const auto found = std::ranges::find(profile.consent, purpose, &std::pair<std::string, bool>::first);
  if (purpose.empty() || found == profile.consent.end()) return std::nullopt;
  return found->second;
}

Attributes carried_attributes(const PersonProfile& profile,
                              std::span<const workspace::CarriedAttribute> carried) {
  Attributes all;
  if (profile.deleted) return all;
  for (const workspace::CarriedAttribute& each : carried) {
    const auto computed =
        std::ranges::find(profile.attributes, each.name, &std::pair<std::string, Value>::first);
    const Value* trait =
        computed == profile.attributes.end() ? profile.traits.find(each.name) : &computed->second;
    all.emplace_back(each.as, trait == nullptr ? Value() : *trait);
  }
  return all;
}

std::uint64_t fingerprint(const Attributes& attributes) {
  if (attributes.empty()) return 0;
  std::uint64_t all = 0;
  for (const auto& [name, value] : attributes) {
    const bool is_missing = value.kind == Value::Kind::missing;
    all = hash64(is_missing ? std::string() : to_json(value), hash64(name, all));
  }
  return std::max<std::uint64_t>(all, 1);
}

bool is_same(const UploadIdentifier& a, const UploadIdentifier& b) {
  return a.kind == b.kind && a.value == b.value;
}

bool contains(std::span<const UploadIdentifier> set, const UploadIdentifier& one) {
  return std::any_of(set.begin(), set.end(), [&](const auto& each) { return is_same(each, one); });
}

std::vector<UploadIdentifier> minus(std::span<const UploadIdentifier> set,
                                    std::span<const UploadIdentifier> less) {
  std::vector<UploadIdentifier> out;
  for (const auto& each : set) {
    if (!contains(less, each)) out.push_back(each);
  }
  return out;
}

std::vector<UploadIdentifier> plus(std::span<const UploadIdentifier> set,
                                   std::span<const UploadIdentifier> more) {
  std::vector<UploadIdentifier> out(set.begin(), set.end());
  for (const auto& each : more) {
    if (!contains(out, each)) out.push_back(each);
  }
  return out;
}

std::uint64_t hash_of(const UploadIdentifier& identifier) {
  return hash64(identifier.value, static_cast<std::uint64_t>(identifier.kind));
}

std::uint64_t fingerprint(std::span<const UploadIdentifier> set) {
  std::uint64_t all = 0;
  for (const UploadIdentifier& identifier : set) all ^= hash_of(identifier);
  return 1 + (all >> 48);
}

}  // namespace tailrace::delivery
