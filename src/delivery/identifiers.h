// The identifiers of a person as a sync's platform takes them, and sets of them. Two uploads are the same
// identifier when kind and value agree: under whatever version of the normalisation they were made.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "destinations/audience_destination.h"
#include "model/person.h"
#include "workspace/workspace.h"

namespace tailrace::delivery {

struct Usable {
  std::vector<destinations::UploadIdentifier>
      identifiers;     // without repeats, in the order of the sync's kinds
  std::string reason;  // where there is none: why, to be counted
};

// Of the kinds the sync names: every value, or else the primary one, and where the platform cannot take that,
// the next that it can. A deleted person has none.
Usable usable_identifiers(const PersonProfile& profile, const workspace::SyncConfig& sync,
                          const destinations::AudienceDestination& destination,
                          const destinations::Config& config);

// Missing: they said nothing of it, or the purpose is none ("").
std::optional<bool> consent_of(const PersonProfile& profile, const std::string& purpose);

// What the sync tells of a person, in its order. Of a deleted person: nothing.
using Attributes = std::vector<std::pair<std::string, Value>>;
Attributes carried_attributes(const PersonProfile& profile,
                              std::span<const workspace::CarriedAttribute> carried);
// Never zero but of none.
std::uint64_t fingerprint(const Attributes& attributes);

bool is_same(const destinations::UploadIdentifier& a, const destinations::UploadIdentifier& b);
bool contains(std::span<const destinations::UploadIdentifier> set, const destinations::UploadIdentifier& one);
std::vector<destinations::UploadIdentifier> minus(std::span<const destinations::UploadIdentifier> set,
                                                  std::span<const destinations::UploadIdentifier> less);
std::vector<destinations::UploadIdentifier> plus(std::span<const destinations::UploadIdentifier> set,
                                                 std::span<const destinations::UploadIdentifier> more);
// Of a set, whatever its order: 1 to 65,536. So few that it tells nobody who somebody was: it outlives a
// deletion. Two sets share one by chance once in 65,536 times.
std::uint64_t fingerprint(std::span<const destinations::UploadIdentifier> set);
std::uint64_t hash_of(const destinations::UploadIdentifier& identifier);

}  // namespace tailrace::delivery
