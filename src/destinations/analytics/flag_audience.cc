#include "destinations/analytics/flag_audience.h"

#include <array>

#include <fmt/format.h>

#include "destinations/identifiers/identifiers.h"

namespace tailrace::destinations::analytics {
namespace {

constexpr std::array kKinds{IdentifierKind::external_id, IdentifierKind::email};
constexpr std::array kFields{
    FieldRule{Field::external_id, "external_id", &opaque},
    FieldRule{Field::email, "email", &email<EmailForm{}>},
};

}  // namespace

std::span<const IdentifierKind> FlagAudience::identifiers() const { return kKinds; }
std::span<const FieldRule> FlagAudience::fields() const { return kFields; }

Result<Normalised> FlagAudience::normalise(IdentifierKind kind, std::string_view raw,
                                           const Config& config) const {
  const bool by_email = config.setting(std::string(kIdentifyBy)) == kByEmail;
  const IdentifierKind wanted = by_email ? IdentifierKind::email : IdentifierKind::external_id;
  if (kind != wanted) return invalid(std::string(kNotAccepted));
  return AudienceDestination::normalise(kind, raw, config);
}

std::string property_of(const Batch& batch, const Config& config) {
  return batch.audience_id.empty() ? config.audience_name : batch.audience_id;
}

void add_properties(Value& to, const Batch& batch, const Config& config, const FlaggedPerson& person) {
  to.members.emplace_back(property_of(batch, config), Value::of(batch.kind == BatchKind::add));
  for (auto& each : attributes_of(*person.member).members) to.members.push_back(std::move(each));
}

std::vector<std::string> encode_people(const Batch& batch,
                                       const std::function<std::string(const FlaggedPerson&)>& encode) {
  std::vector<std::string> all;
  for (const Member& member : batch.members) {
    for (const UploadIdentifier& identifier : member.identifiers)
      all.push_back(encode({&member, &identifier}));
  }
  return all;
}

std::size_t records_in(const Batch& batch) {
  std::size_t count = 0;
  for (const Member& member : batch.members) count += member.identifiers.size();
  return count;
}

Reply to_members(Reply reply, const Batch& batch) {
  if (reply.outcomes.empty()) {
    // One record may be all of several members' (who have none); nothing can be halved then.
    if (reply.verdict == Reply::Verdict::split && batch.members.size() <= 1)
      return split(batch, std::move(reply.reason), std::move(reply.code));
    if (reply.verdict == Reply::Verdict::done) reply.outcomes.resize(batch.members.size());
    return reply;
  }
  std::vector<Outcome> members;
  std::size_t next = 0;
  for (const Member& member : batch.members) {
    Outcome outcome;
    for (std::size_t i = 0; i < member.identifiers.size() && next < reply.outcomes.size(); ++i, ++next) {
      if (reply.outcomes[next].kind == Outcome::Kind::rejected) outcome = reply.outcomes[next];
    }
    members.push_back(std::move(outcome));
  }
  reply.outcomes = std::move(members);
  // A person alone is no batch to be halved.
  if (reply.verdict == Reply::Verdict::split && batch.members.size() <= 1)
    return split(batch, std::move(reply.reason), std::move(reply.code));
  return reply;
}

std::string change_id(const Batch& batch, const FlaggedPerson& person) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", batch.audience_id, batch.kind == BatchKind::add ? "in" : "out",
                     batch.id, person.identifier->value, person.member->changed_at.ms);
}

}  // namespace tailrace::destinations::analytics
