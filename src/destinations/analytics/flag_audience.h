// A tool whose "audience" is a property of its users that says whether they are in: true, or false once they
// have left. The property's name is the sync's audience id, or else its audience name.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "destinations/answer.h"
#include "destinations/audience_destination.h"

namespace tailrace::destinations::analytics {

inline constexpr std::string_view kIdentifyBy = "identify_by";
inline constexpr std::string_view kByExternalId = "external_id";
inline constexpr std::string_view kByEmail = "email";
inline constexpr std::array<std::string_view, 2> kIdentifications{kByExternalId, kByEmail};
inline constexpr Setting kIdentifyBySetting{.name = kIdentifyBy,
                                            .default_value = kByExternalId,
                                            .about =
                                                "How people are told: `external_id` or `email`. One of the "
                                                "two, so that a changed address does not take "
                                                "somebody out who is in."};

// With attributes their values are properties beside it; they keep what was told last when somebody has left.
//
// Each identifier of a member is a record of its own, all of one kind.
class FlagAudience : public AudienceDestination {
 public:
  std::span<const IdentifierKind> identifiers() const override;
  std::span<const FieldRule> fields() const override;
  std::size_t records(const Member& member) const override { return member.identifiers.size(); }
  Result<Normalised> normalise(IdentifierKind kind, std::string_view raw,
                               const Config& config) const override;
  bool one_kind_a_request() const override { return true; }
  bool takes_attributes() const override { return true; }
};

// Of a batch, or of the sync where it names none.
std::string property_of(const Batch& batch, const Config& config);

struct FlaggedPerson {
  const Member* member = nullptr;
  const UploadIdentifier* identifier = nullptr;
};
// The flag and the attributes; what a person has not is null, which these tools take for "no longer".
void add_properties(Value& to, const Batch& batch, const Config& config, const FlaggedPerson& person);
// In the order of the records of a request, each as JSON made of it.
std::vector<std::string> encode_people(const Batch& batch,
                                       const std::function<std::string(const FlaggedPerson&)>& encode);
// From outcomes of records to those of members: a member is rejected when one of its records is.
Reply to_members(Reply reply, const Batch& batch);
std::size_t records_in(const Batch& batch);
// A text that is the same when a request is sent again, and of no other change: for message ids. After a
// crash a change may go in another batch, and has another.
std::string change_id(const Batch& batch, const FlaggedPerson& person);

}  // namespace tailrace::destinations::analytics
