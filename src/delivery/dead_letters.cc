#include "delivery/dead_letters.h"

#include <algorithm>
#include <tuple>

#include "base/assert.h"
#include "delivery/sync_run.h"

namespace tailrace::delivery {
namespace {

constexpr std::size_t kPeopleAtOnce = 10'000;

// Calls with at most so many of them at a time.
template <class Work>
Result<void> in_parts(std::span<const PersonId> people, const Work& work) {
  for (std::size_t at = 0; at < people.size(); at += kPeopleAtOnce)
    TRY(work(people.subspan(at, std::min(kPeopleAtOnce, people.size() - at))));
  return {};
}

DeadLetter::Of what_of(Membership::State state) {
  if (state == Membership::State::member) return DeadLetter::Of::identifiers;
  return state == Membership::State::removing ? DeadLetter::Of::removal : DeadLetter::Of::addition;
}

// Whether a refusal is what the ledger has of somebody whom the plan counts among the refused.
bool is_letter(const std::optional<Membership>& membership) {
  return membership && membership->state != Membership::State::left &&
         membership->state != Membership::State::adding;
}

// Not while a request about them is under way: its answer would overwrite what is written now.
bool can_act(const SyncRun& run, PersonId person) {
  return run.plan.is_dead(person) && !run.plan.is_dropped(person) && !run.plan.is_busy(person);
}

}  // namespace

Result<std::vector<DeadLetter>> dead_letters(const SyncRun& run, Ledger& ledger) {
  std::vector<DeadLetter> letters;
  TRY(in_parts(run.plan.dead(), [&](std::span<const PersonId> people) -> Result<void> {
    const auto memberships = TRY(ledger.find_many(run.name(), people));
    for (std::size_t i = 0; i < people.size(); ++i) {
      if (!is_letter(memberships[i])) continue;
      const Membership& membership = *memberships[i];
      // A refusal for want of identifiers, or before format 3, has the time of the answer.
      const bool has_time = membership.refused_at.ms != 0 || membership.state == Membership::State::member;
      letters.push_back({.person = people[i],
                         .of = what_of(membership.state),
                         .reason = membership.reason.empty() ? "no reason was given" : membership.reason,
                         .at = has_time ? membership.refused_at : membership.acknowledged_at,
                         .dropped = run.plan.is_dropped(people[i])});
    }
    return {};
  }));
  std::ranges::sort(letters, [](const DeadLetter& a, const DeadLetter& b) {
    return std::tie(a.at, a.person) < std::tie(b.at, b.person);
  });
  return letters;
}

std::size_t retry_dead_letters(SyncRun& run, std::span<const PersonId> people) {
  std::size_t count = 0;
  for (const PersonId person : people) {
    if (!can_act(run, person)) continue;
    run.plan.retry(person);
    ++count;
  }
  return count;
}

Result<std::size_t> drop_dead_letters(SyncRun& run, Ledger& ledger, ProfileSource& profiles,
                                      std::span<const PersonId> people) {
  std::size_t count = 0;
  const Connection& connection = run.connection;
  TRY(in_parts(people, [&](std::span<const PersonId> part) -> Result<void> {
    std::vector<PersonId> dead;
    std::ranges::copy_if(part, std::back_inserter(dead),
                         [&](PersonId person) { return can_act(run, person); });
    auto memberships = TRY(ledger.find_many(run.name(), dead));
    const auto known = profiles.profiles(dead);
    TR_ASSERT(known.size() == dead.size());
    std::vector<MembershipChange> changes;
    for (std::size_t i = 0; i < dead.size(); ++i) {
      if (!is_letter(memberships[i])) continue;
      memberships[i]->dropped = fingerprint(
          usable_identifiers(known[i], connection.sync, *connection.destination, connection.config)
              .identifiers);
      changes.push_back({dead[i], std::move(*memberships[i])});
    }
    if (changes.empty()) return {};
    TRY(ledger.write(run.name(), changes, run.state));
    for (const MembershipChange& change : changes)
      run.plan.drop_refusal(change.person, change.membership.state);
    count += changes.size();
    return {};
  }));
  return count;
}

}  // namespace tailrace::delivery
