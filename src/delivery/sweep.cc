#include "delivery/sweep.h"

#include "base/assert.h"
#include "delivery/sync_run.h"

namespace tailrace::delivery {

Result<std::size_t> sweep_some(SyncRun& run, Ledger& ledger, ProfileSource& profiles, std::size_t people_max,
                               Time now) {
  SyncState state = run.state;
  std::vector<PersonId> people;
  constexpr std::uint32_t kLookedAt = 20;  // for each of people_max
  const auto most = static_cast<std::uint64_t>(state.sweep.next.value) + people_max * kLookedAt;
  for (; state.sweep.next < state.sweep.end && state.sweep.next.value < most && people.size() < people_max;
       ++state.sweep.next.value) {
    if (!run.plan.is_desired(state.sweep.next) && !run.plan.may_stand(state.sweep.next))
      people.push_back(state.sweep.next);
  }
  const Connection& connection = run.connection;
  const auto known = profiles.profiles(people);
  TR_ASSERT(known.size() == people.size());
  std::vector<MembershipChange> changes;
  for (std::size_t i = 0; i < people.size(); ++i) {
    const std::string& purpose = connection.sync.consent_purpose;
    if (!purpose.empty() && consent_of(known[i], purpose) != true) continue;
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

Result<void> check_renewed(SyncRun& run, Ledger& ledger, std::size_t people_max) {
  const auto people = run.plan.members_from(run.check.next, people_max);
  const auto memberships = TRY(ledger.find_many(run.name(), people));
  for (const auto& membership : memberships) {
    run.check.not_renewed += membership && membership->state == Membership::State::member &&
                             membership->stays_since() < run.state.reupload_asked_at;
  }
  run.check.is_through = people.size() < people_max;
  if (!people.empty()) run.check.next = PersonId{people.back().value + 1};
  return {};
}

}  // namespace tailrace::delivery
