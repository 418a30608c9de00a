#include "delivery/batch_builder.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::delivery {

using destinations::UploadIdentifier;

// What is about to happen, until the ledger has it.
struct BatchBuilder::Draft {
  Draft(Direction direction, Time now) : batch(std::make_unique<ActiveBatch>()), begun_at(now) {
    batch->direction = direction;
  }

  std::unique_ptr<ActiveBatch> batch;
  Time begun_at;
  std::uint64_t sent = 0;   // new records, resends not counted
  std::uint64_t stood = 0;  // identifiers of those in `changes`, before
  std::vector<MembershipChange> changes;
  std::vector<PersonId> without_identifier;
  std::vector<PersonId> withdrawn;
  std::vector<PersonId> parked;
  std::vector<PersonId> unchanged;
  std::vector<PersonId> to_compare;      // something else goes before their renewal
  std::vector<Item> left;                // without a request
  std::vector<PersonId> partly_dropped;  // members who gave up identifiers that others hold too
  // People of this draft who give something up: what they still hold once it is done.
  std::unordered_map<PersonId, std::vector<UploadIdentifier>> decided;

  void add(Item item, std::vector<UploadIdentifier> identifiers, std::string golden_id,
           Attributes attributes = {}) {
    // A member who stays is told of anew.
    const bool is_change = item.kind == Item::Kind::identifiers && !attributes.empty();
    batch->members.push_back({.person = std::move(golden_id),
                              .identifiers = std::move(identifiers),
                              .changed_at = is_change ? begun_at : item.membership.changed_at,
                              .attributes = std::move(attributes)});
    batch->items.push_back(std::move(item));
  }
};

namespace {

Cause cause_of(const SyncRun& run, PersonId person) {
  const auto at = run.causes.find(person);
  return at != run.causes.end() ? at->second : Cause{run.desired_at, run.desired_at, false};
}

// Of one step for a person: why it is made, and when it was first sent.
struct Begun {
  Cause cause;
  Time sent_at;
};

// earlier: what the ledger has of the same step, where a crash left it without an answer. It stays that step
// unless the segment has changed its mind since.
Begun begin_or_resume(const SyncRun& run, PersonId person, const Membership* earlier, Time now) {
  if (earlier == nullptr || run.causes.contains(person)) return {cause_of(run, person), now};
  return {{earlier->changed_at, earlier->received_at, earlier->live}, earlier->sent_at};
}

void take_times(Item& item, const Begun& begun) {
  item.live = begun.cause.live;
  item.membership.changed_at = begun.cause.changed_at;
  item.membership.received_at = begun.cause.received_at;
  item.membership.live = begun.cause.live;
  item.membership.sent_at = begun.sent_at;
  item.membership.refused_at = Time{};
  item.membership.dropped = 0;
}

// A deleted person has no golden id any more, but what was uploaded may name them.
std::string golden_id_of(const PersonProfile& profile, std::span<const UploadIdentifier> uploaded) {
  if (!profile.golden_id.empty()) return profile.golden_id;
  for (const auto& identifier : uploaded) {
    if (!identifier.hashed && identifier.kind == IdentifierKind::external_id) return identifier.value;
  }
  return {};
}

// Memberships that begin or end with these, for the guards: a resend was counted before, and whoever leaves
// whatever the guards say is not counted.
std::uint64_t begun_by(const Plan& plan, std::span<const Item> items) {
  return static_cast<std::uint64_t>(std::ranges::count_if(items, [&](const Item& item) {
    return item.kind == Item::Kind::whole && !plan.is_uncertain(item.person) &&
           !plan.is_departed(item.person);
  }));
}

std::vector<UploadIdentifier> common(std::span<const UploadIdentifier> a,
                                     std::span<const UploadIdentifier> b) {
  return minus(a, minus(a, b));
}

enum class Share : unsigned char {
  sole,      // nobody else is relied upon for it: send
  shared,    // an acknowledged member holds it too: keep it at the platform
  unsettled  // somebody holds it whose own request has no answer yet: wait for that
};

// `decided` overrides the ledger for the people of the draft.
Share share_of(const Plan& plan, PersonId person, const UploadIdentifier& identifier,
               std::span<const PersonId> holders,
               const std::unordered_map<PersonId, std::vector<UploadIdentifier>>& decided) {
  Share share = Share::sole;
  for (const PersonId holder : holders) {
    if (holder == person) continue;
    if (const auto at = decided.find(holder); at != decided.end()) {
      if (contains(at->second, identifier)) return Share::shared;
      continue;
    }
    if (plan.is_settled_member(holder)) return Share::shared;
    if (plan.is_unresolved(holder)) share = Share::unsettled;
  }
  return share;
}

}  // namespace

// What a member's upload lacks and what it has too much.
struct BatchBuilder::Difference {
  std::vector<UploadIdentifier> fresh;
  std::vector<UploadIdentifier> gone;
  Attributes attributes;
  bool retold = false;  // other attributes than the platform has: all goes again
  bool none_usable = false;

  static Difference of(const SyncRun& run, const PersonProfile& profile, PersonId person,
                       const Membership& membership) {
    const Connection& connection = run.connection;
    const Usable usable =
        usable_identifiers(profile, connection.sync, *connection.destination, connection.config);
    Difference difference;
    difference.none_usable = usable.identifiers.empty();
    if (!run.plan.extension_refused(person)) {
      difference.fresh =
          membership.unanswered ? usable.identifiers : minus(usable.identifiers, membership.uploaded);
    }
    if (run.plan.is_renewing(person)) {
      difference.fresh = run.plan.extension_refused(person) && !membership.unanswered
                             ? common(usable.identifiers, membership.uploaded)
                             : usable.identifiers;
    }
    difference.attributes = carried_attributes(profile, connection.sync.attributes);
    const bool differ =
        !difference.attributes.empty() && fingerprint(difference.attributes) != membership.attributes;
    if (differ) {
      difference.retold = true;
      difference.fresh = usable.identifiers;
    }
    if (!run.plan.reduction_refused(person)) difference.gone = minus(membership.uploaded, usable.identifiers);
    return difference;
  }
  bool any() const { return none_usable || !fresh.empty() || !gone.empty(); }
};

Result<BatchBuilder::Built> BatchBuilder::build(SyncRun& run, Direction direction, std::size_t people_max,
                                                Time now) {
  Draft draft(direction, now);
  const auto people = run.plan.next(direction, people_max);
  if (!people.empty()) {
    TRY(direction == Direction::add ? draft_adds(run, people, now, draft)
                                    : draft_removals(run, people, now, draft));
  }
  if (people.size() < people_max) {
    const auto changed = run.plan.next_to_compare(people_max - people.size());
    if (!changed.empty()) TRY(draft_changes(run, changed, now, draft));
  }
  return commit(run, draft);
}

Result<BatchBuilder::Built> BatchBuilder::build_renewals(SyncRun& run, std::size_t people_max, Time now) {
  Draft draft(Direction::add, now);
  draft.batch->renews = true;
  const auto people = run.plan.next_to_renew(people_max);
  if (!people.empty()) TRY(draft_changes(run, people, now, draft));
  return commit(run, draft);
}

Result<void> BatchBuilder::draft_adds(SyncRun& run, std::span<const PersonId> people, Time now,
                                      Draft& draft) {
  const Connection& connection = run.connection;
  const auto profiles = profiles_.profiles(people);
  TR_ASSERT(profiles.size() == people.size());
  std::vector<PersonId> uncertain;
  for (const PersonId person : people) {
    if (run.plan.is_uncertain(person)) uncertain.push_back(person);
  }
  auto uncertain_memberships = TRY(ledger_.find_many(run.name(), uncertain));
  std::size_t next_uncertain = 0;
  for (std::size_t i = 0; i < people.size(); ++i) {
    const PersonId person = people[i];
    Membership before;
    const bool is_uncertain = run.plan.is_uncertain(person);
    if (is_uncertain) before = uncertain_memberships[next_uncertain++].value_or(Membership{});
    Usable usable =
        usable_identifiers(profiles[i], connection.sync, *connection.destination, connection.config);
    if (usable.identifiers.empty() && !before.uploaded.empty()) {
      draft.withdrawn.push_back(person);
      continue;
    }
    Item item{.person = person, .kind = Item::Kind::whole, .membership = {}};
    const bool is_resent = is_uncertain && before.state == Membership::State::adding;
    take_times(item, begin_or_resume(run, person, is_resent ? &before : nullptr, now));
    if (usable.identifiers.empty()) {
      item.membership.sent_at = Time{};
      item.membership.state = Membership::State::rejected;
      item.membership.reason = std::move(usable.reason);
      item.membership.acknowledged_at = now;
      item.membership.refused_at = now;
      draft.changes.push_back({person, std::move(item.membership)});
      draft.without_identifier.push_back(person);
      continue;
    }
    if (run.removing.any(usable.identifiers)) {
      draft.parked.push_back(person);
      continue;
    }
    item.membership.state = Membership::State::adding;
    // What an unanswered request may have left there stays in the ledger until it is known to be gone.
    item.membership.uploaded = plus(before.uploaded, usable.identifiers);
    draft.changes.push_back({person, item.membership});
    // Nobody to be added is a member; with no answer outstanding they were refused or have left, if they were
    // ever here.
    if (!is_uncertain) draft.changes.back().before = nullptr;
    draft.sent += is_uncertain ? 0 : 1;
    draft.add(std::move(item), std::move(usable.identifiers), profiles[i].golden_id,
              carried_attributes(profiles[i], connection.sync.attributes));
  }
  return {};
}

Result<void> BatchBuilder::draft_removals(SyncRun& run, std::span<const PersonId> people, Time now,
                                          Draft& draft) {
  const auto profiles = profiles_.profiles(people);
  TR_ASSERT(profiles.size() == people.size());
  auto memberships = TRY(ledger_.find_many(run.name(), people));
  for (std::size_t i = 0; i < people.size(); ++i) {
    TR_ASSERT(memberships[i].has_value());
    Item item{.person = people[i], .kind = Item::Kind::whole, .membership = std::move(*memberships[i])};
    const bool is_resent = item.membership.state == Membership::State::removing;
    take_times(item, begin_or_resume(run, people[i], is_resent ? &item.membership : nullptr, now));
    std::vector<UploadIdentifier> gone = item.membership.uploaded;
    TRY(draft_removal(run, std::move(item), std::move(gone), profiles[i], now, draft));
  }
  return {};
}

Result<void> BatchBuilder::draft_changes(SyncRun& run, std::span<const PersonId> people, Time now,
                                         Draft& draft) {
  const auto profiles = profiles_.profiles(people);
  TR_ASSERT(profiles.size() == people.size());
  auto memberships = TRY(ledger_.find_many(run.name(), people));
  for (std::size_t i = 0; i < people.size(); ++i) {
    const PersonId person = people[i];
    TR_ASSERT(memberships[i].has_value());
    Difference difference = Difference::of(run, profiles[i], person, *memberships[i]);
    Item item{.person = person,
              .kind = Item::Kind::identifiers,
              .live = false,
              .membership = std::move(*memberships[i])};
    item.membership.dropped = 0;  // where nothing is written below, the plan knows
    if (difference.none_usable) {
      draft.withdrawn.push_back(person);
    } else if (!difference.any()) {
      draft.unchanged.push_back(person);
    } else if (draft.batch->direction == Direction::add) {
      const bool removal_goes_first = run.protective == Direction::remove && !difference.gone.empty();
      if (difference.fresh.empty() || removal_goes_first) {
        if (run.plan.is_renewing(person)) draft.to_compare.push_back(person);
        continue;
      }
      if (run.removing.any(difference.fresh)) {
        draft.parked.push_back(person);
        continue;
      }
      item.repeats = item.membership.unanswered || run.plan.is_renewing(person) || difference.retold;
      draft.stood += standing_identifiers(item.membership);
      item.membership.uploaded = plus(item.membership.uploaded, difference.fresh);
      item.membership.unanswered = true;
      draft.changes.push_back({person, item.membership});
      ++draft.sent;
      draft.add(std::move(item), std::move(difference.fresh), profiles[i].golden_id,
                std::move(difference.attributes));
    } else {
      const bool add_goes_first = run.protective == Direction::add && !difference.fresh.empty();
      if (difference.gone.empty() || add_goes_first) continue;
      TRY(draft_removal(run, std::move(item), std::move(difference.gone), profiles[i], now, draft));
    }
  }
  return {};
}

// Removes `gone` of the person's identifiers, save those that others hold too. `item.membership` is as the
// ledger has it, with the times of the change.
Result<void> BatchBuilder::draft_removal(SyncRun& run, Item item, std::vector<UploadIdentifier> gone,
                                         const PersonProfile& profile, Time now, Draft& draft) {
  const PersonId person = item.person;
  std::vector<UploadIdentifier> to_send;
  for (UploadIdentifier& identifier : gone) {
    const auto holders = TRY(ledger_.holders(run.name(), identifier));
    switch (share_of(run.plan, person, identifier, holders, draft.decided)) {
      case Share::sole:
        to_send.push_back(identifier);
        break;
      case Share::shared:
        break;
      case Share::unsettled:
        draft.parked.push_back(person);
        return {};
    }
  }
  draft.stood += standing_identifiers(item.membership);
  const std::vector<UploadIdentifier> kept = minus(item.membership.uploaded, gone);
  draft.decided[person] = kept;
  const bool was_removing = item.membership.state == Membership::State::removing;
  item.membership.uploaded = plus(kept, to_send);
  if (item.kind == Item::Kind::whole) {
    item.membership.state = to_send.empty() ? Membership::State::left : Membership::State::removing;
    item.membership.unanswered = false;
    item.membership.reason.clear();
    if (to_send.empty()) {
      item.membership.acknowledged_at = now;
      item.membership.sent_at = Time{};
    }
  }
  if (item.kind == Item::Kind::identifiers && !to_send.empty()) {
    item.was_unanswered = item.membership.unanswered;
    item.membership.unanswered = true;
  }
  draft.changes.push_back({person, item.membership});
  if (!to_send.empty()) {
    draft.sent += was_removing ? 0 : 1;
    std::string golden_id = golden_id_of(profile, to_send);
    draft.add(std::move(item), std::move(to_send), std::move(golden_id));
  } else if (item.kind == Item::Kind::whole) {
    draft.left.push_back(std::move(item));
  } else {
    draft.partly_dropped.push_back(person);
  }
  return {};
}

Result<BatchBuilder::Built> BatchBuilder::commit(SyncRun& run, Draft& draft) {
  ActiveBatch& batch = *draft.batch;
  SyncState state = run.state;
  if (!batch.items.empty()) batch.id = run.take_batch_id(state);
  state.sent += draft.sent;
  state.guards.begin(batch.direction, begun_by(run.plan, draft.left) + begun_by(run.plan, batch.items),
                     draft.begun_at);
  if (!draft.changes.empty()) TRY(ledger_.write(run.name(), draft.changes, state));
  run.state = std::move(state);
  for (const MembershipChange& change : draft.changes)
    run.identifiers += standing_identifiers(change.membership);
  run.identifiers -= draft.stood;

  Plan& plan = run.plan;
  for (const PersonId person : draft.without_identifier) plan.reject_without_identifier(person);
  for (const PersonId person : draft.withdrawn) plan.withdraw(person);
  for (const PersonId person : draft.unchanged) {
    plan.settle_renewal(person);
    plan.settle_unchanged(person);
  }
  for (const PersonId person : draft.to_compare) plan.mark_changed(person);
  for (const PersonId person : draft.partly_dropped) plan.settle_partly(person);
  for (const Item& item : draft.left) plan.settle_left(item.person);
  for (const PersonId person : draft.parked) plan.park(person);
  for (const Item& item : batch.items) {
    if (batch.direction == Direction::add && item.kind == Item::Kind::whole) {
      plan.start_adding(item.person);
    } else {
      plan.start(item.person);
    }
  }
  if (batch.direction == Direction::remove) {
    for (const auto& member : batch.members) run.removing.lock(member);
  }
  if (run.is_in_pass()) {
    for (const MembershipChange& change : draft.changes) {
      if (change.membership.state == Membership::State::rejected)
        run.pass->note(change.person, "add", Pass::Outcome::refused, change.membership.reason);
    }
    for (const Item& item : draft.left) run.pass->note(item.person, "remove", Pass::Outcome::settled);
  }
  for (const MembershipChange& change : draft.changes) run.causes.erase(change.person);
  for (const Item& item : draft.left) run.record_latency(item, item.membership.acknowledged_at);
  // People left without a request let go of what others may be waiting for.
  if (!draft.left.empty() || !draft.partly_dropped.empty()) plan.unpark_all();

  Built built;
  built.people = draft.changes.size() + draft.unchanged.size();
  built.postponed = draft.withdrawn.size() + draft.parked.size() + draft.to_compare.size();
  if (!batch.items.empty()) built.batch = std::move(draft.batch);
  return built;
}

Result<void> BatchBuilder::verify(SyncRun& run, std::span<const PersonId> people) {
  const auto profiles = profiles_.profiles(people);
  TR_ASSERT(profiles.size() == people.size());
  const auto memberships = TRY(ledger_.find_many(run.name(), people));
  for (std::size_t i = 0; i < people.size(); ++i) {
    const PersonId person = people[i];
    if (memberships[i] && memberships[i]->dropped != 0) {
      // What was dropped rests until there is something else to upload than there was.
      const Connection& connection = run.connection;
      const Usable usable =
          usable_identifiers(profiles[i], connection.sync, *connection.destination, connection.config);
      if (fingerprint(usable.identifiers) != memberships[i]->dropped) run.plan.profile_changed(person);
      continue;
    }
    if (run.plan.is_rejected(person)) {
      // Whom we refused ourselves is asked again only with something to upload; the platform may be asked.
      const Connection& connection = run.connection;
      const bool ask_again =
          !run.plan.is_without_identifier(person) ||
          !usable_identifiers(profiles[i], connection.sync, *connection.destination, connection.config)
               .identifiers.empty();
      if (ask_again) run.plan.profile_changed(person);
      continue;
    }
    // A request under way has written its intent; comparing with that could miss its refusal.
    const bool differs = run.plan.is_busy(person) || !memberships[i] ||
                         Difference::of(run, profiles[i], person, *memberships[i]).any();
    if (differs) {
      run.plan.mark_changed(person);
    } else {
      run.plan.forget_refusal(person);
    }
  }
  return {};
}

}  // namespace tailrace::delivery
