#include "delivery/sweep.h"

#include <algorithm>

#include "base/assert.h"
#include "delivery/sync_run.h"

namespace tailrace::delivery {
namespace {

bool agreed(const PersonProfile& profile, const std::string& purpose) {
  return purpose.empty() || std::ranges::any_of(profile.consent, [&](const auto& said) {
           return said.first == purpose && said.second;
         });
}

}  // namespace

Result<std::size_t> sweep_some(SyncRun& run, Ledger& ledger, ProfileSource& profiles, std::size_t people_max,
                               Time now) {
  SyncState state = run.state;
  std::vector<PersonId> people;
  for (; state.sweep.next < state.sweep.end && people.size() < people_max; ++state.sweep.next.value) {
    if (!run.plan.is_desired(state.sweep.next) && !run.plan.may_stand(state.sweep.next))
      people.push_back(state.sweep.next);
  }
  const Connection& connection = run.connection;
  const auto known = profiles.profiles(people);
  TR_ASSERT(known.size() == people.size());
  std::vector<MembershipChange> changes;
  for (std::size_t i = 0; i < people.size(); ++i) {
    if (known[i].deleted || !agreed(known[i], connection.sync.consent_purpose)) continue;
    Usable usable = usable_identifiers(known[i], connection.sync, *connection.destination, connection.config);
    if (usable.identifiers.empty()) continue;
    Membership membership;
    membership.state = Membership::State::removing;
    membership.uploaded = std::move(usable.identifiers);
    membership.changed_at = membership.received_at = membership.sent_at = now;
    changes.push_back({people[i], std::move(membership)});
  }
  state.sent += changes.size();
  if (!changes.empty()) state.sweep.removed_at = now;
  TRY(ledger.write(run.name(), changes, state));
  run.state = std::move(state);
  for (const MembershipChange& change : changes) run.plan.load(change.person, change.membership);
  return changes.size();
}

Result<std::uint64_t> not_renewed(const SyncRun& run, Ledger& ledger) {
  std::uint64_t people = 0;
  TRY(ledger.for_each(run.name(), [&](PersonId, const Membership& membership) {
    people += membership.state == Membership::State::member &&
              membership.stays_since() < run.state.reupload_asked_at;
  }));
  return people;
}

}  // namespace tailrace::delivery
