#include "delivery/plan.h"

namespace tailrace::delivery {
namespace {

void set(Roaring& people, PersonId person, bool in) {
  if (in) {
    people.add(person.value);
  } else {
    people.remove(person.value);
  }
}

// Busy and parked people are few, and nobody is both: cheaper than subtracting the sets.
std::uint64_t count_free(const Roaring& people, const Roaring& busy, const Roaring& parked) {
  return people.cardinality() - people.and_cardinality(busy) - people.and_cardinality(parked);
}

std::vector<PersonId> first_of(const Roaring& people, std::size_t people_max) {
  std::vector<PersonId> out;
  for (auto at = people.begin(); at != people.end() && out.size() < people_max; ++at) out.emplace_back(*at);
  return out;
}

std::vector<PersonId> take_first(Roaring& people, std::size_t people_max) {
  std::vector<PersonId> out = first_of(people, people_max);
  for (const PersonId person : out) people.remove(person.value);
  return out;
}

// Those of `people` that are neither busy nor parked, appended until `out` holds people_max.
void append_free(const Roaring& people, const Roaring& busy, const Roaring& parked, const Roaring* skip,
                 std::size_t people_max, std::vector<PersonId>& out) {
  for (auto at = people.begin(); at != people.end() && out.size() < people_max; ++at) {
    if (busy.contains(*at) || parked.contains(*at) || (skip && skip->contains(*at))) continue;
    out.emplace_back(*at);
  }
}

}  // namespace

void Plan::load(PersonId person, const Membership& membership) {
  const bool stands =
      membership.state == Membership::State::member || membership.state == Membership::State::removing;
  if (stands && !membership.reason.empty()) refused_earlier_.add(person.value);
  switch (membership.state) {
    case Membership::State::member:
      member_.add(person.value);
      break;
    case Membership::State::adding:
    case Membership::State::removing:
      uncertain_.add(person.value);
      break;
    case Membership::State::rejected:
      rejected_.add(person.value);
      if (membership.reason.starts_with(kWithoutIdentifier)) without_identifier_.add(person.value);
      break;
    case Membership::State::left:
      return;
  }
  if (membership.dropped != 0) {
    drop_refusal(person, membership.state);
  } else {
    refresh(person);
  }
}

std::vector<PersonId> Plan::dead() const {
  std::vector<PersonId> people;
  for (const std::uint32_t person : refused()) people.emplace_back(person);
  return people;
}

bool Plan::is_dead(PersonId person) const {
  const std::uint32_t p = person.value;
  const bool partly = extension_refused_.contains(p) || reduction_refused_.contains(p);
  return rejected_.contains(p) || removal_refused_.contains(p) || (partly && member_.contains(p)) ||
         refused_earlier_.contains(p);
}

std::uint64_t Plan::dead_count() const { return refused().cardinality() - dropped_.cardinality(); }

void Plan::retry(PersonId person) {
  profile_changed(person);
  retries_.push_back(person);
}

void Plan::drop_refusal(PersonId person, Membership::State state) {
  dropped_.add(person.value);
  refused_earlier_.remove(person.value);
  if (state == Membership::State::removing) {
    member_.remove(person.value);
    uncertain_.add(person.value);
    removal_refused_.add(person.value);
  } else if (state == Membership::State::member) {
    extension_refused_.add(person.value);
    reduction_refused_.add(person.value);
    changed_.remove(person.value);
  }
  refresh(person);
}

void Plan::set_desired(const std::vector<PersonId>& people) {
  Roaring desired;
  for (const PersonId person : people) desired.add(person.value);
  asked_ = std::move(desired);
  desired_ = asked_ | kept_;
  rejected_ &= desired_;
  dropped_ &= desired_ | removal_refused_;
  without_identifier_ &= desired_;
  withdrawn_ &= desired_;
  unverified_ = ((member_ | rejected_) & desired_) - busy_;
  // The same sets as refresh() gives, for all at once.
  const Roaring wanted = desired_ - withdrawn_;
  to_add_ = wanted - member_ - rejected_;
  to_remove_ = (member_ | uncertain_) - wanted - removal_refused_;
}

void Plan::enter(PersonId person) {
  asked_.add(person.value);
  want(person);
}

void Plan::keep(PersonId person) {
  kept_.add(person.value);
  if (!is_desired(person)) want(person);
}

void Plan::want(PersonId person) {
  forget_refusal(person);
  desired_.add(person.value);
  departed_.remove(person.value);
  removal_refused_.remove(person.value);
  // Back before the removal was sent: while not desired, nobody compared the identifiers.
  if (member_.contains(person.value)) changed_.add(person.value);
  refresh(person);
}

void Plan::leave(PersonId person) {
  asked_.remove(person.value);
  if (!kept_.contains(person.value)) drop(person);
}

void Plan::let_go(PersonId person) {
  kept_.remove(person.value);
  if (is_desired(person) && !asked_.contains(person.value)) drop(person);
}

void Plan::drop(PersonId person) {
  forget_refusal(person);
  desired_.remove(person.value);
  // What is known of the identifiers stays true: the person may be back before anything was sent.
  for (Roaring* flags : {&rejected_, &without_identifier_, &withdrawn_}) flags->remove(person.value);
  refresh(person);
}

void Plan::profile_changed(PersonId person) {
  forget_refusal(person);
  for (Roaring* flags :
       {&rejected_, &without_identifier_, &removal_refused_, &extension_refused_, &reduction_refused_})
    flags->remove(person.value);
  if (!busy_.contains(person.value)) withdrawn_.remove(person.value);
  if (member_.contains(person.value) || busy_.contains(person.value)) changed_.add(person.value);
  parked_.remove(person.value);
  refresh(person);
}

void Plan::attributes_changed(PersonId person) {
  if (member_.contains(person.value) || busy_.contains(person.value)) changed_.add(person.value);
}

void Plan::verify_members() { unverified_ |= (member_ & desired_) - busy_; }

std::vector<PersonId> Plan::next(Direction direction, std::size_t people_max) const {
  const Roaring pending = free_of(direction == Direction::add ? to_add_ : to_remove_);
  std::vector<PersonId> out;
  Roaring before;
  for (const PersonId person : retries_) {
    const bool is_free = !busy_.contains(person.value) && !parked_.contains(person.value);
    if (out.size() == people_max) break;
    if (is_free && pending.contains(person.value) && before.addChecked(person.value)) out.push_back(person);
  }
  const Roaring live = (pending & live_) - before;
  append_free(live, busy_, parked_, nullptr, people_max, out);
  before |= live;
  append_free(pending, busy_, parked_, &before, people_max, out);
  return out;
}

std::vector<PersonId> Plan::next_to_compare(std::size_t people_max) const {
  std::vector<PersonId> out;
  append_free(to_compare(), busy_, parked_, nullptr, people_max, out);
  return out;
}

std::vector<PersonId> Plan::next_to_renew(std::size_t people_max) const {
  std::vector<PersonId> out;
  append_free(renewable(), busy_, parked_, nullptr, people_max, out);
  return out;
}

// Whose identifiers are to be compared is added again with that.
Roaring Plan::renewable() const {
  if (renewing_.isEmpty()) return {};
  Roaring people = renewing_ & member_;
  people &= desired_;
  people -= to_remove_;
  people -= changed_;
  return people;
}

std::uint64_t Plan::ready_to_renew() const {
  return renewing_.isEmpty() ? 0 : count_free(renewable(), busy_, parked_);
}

std::vector<PersonId> Plan::take_unverified(std::size_t people_max) {
  return take_first(unverified_, people_max);
}

std::vector<PersonId> Plan::members_from(PersonId first, std::size_t people_max) const {
  std::vector<PersonId> out;
  auto at = member_.begin();
  for (at.equalorlarger(first.value); at != member_.end() && out.size() < people_max; ++at)
    out.emplace_back(*at);
  return out;
}

std::vector<PersonId> Plan::take_unexamined(std::size_t people_max) {
  unexamined_ &= to_remove_;
  return take_first(unexamined_, people_max);
}

void Plan::start(PersonId person) {
  forget_refusal(person);
  busy_.add(person.value);
  changed_.remove(person.value);  // a change from now on is a new question
}

void Plan::start_adding(PersonId person) {
  forget_refusal(person);
  busy_.add(person.value);
  uncertain_.add(person.value);
  changed_.remove(person.value);  // this request has the profile of now
  refresh(person);
}

void Plan::settle(PersonId person) {
  busy_.remove(person.value);
  refresh(person);
  if (!is_pending(person)) live_.remove(person.value);
  while (!retries_.empty() && !needs_more(retries_.front())) retries_.pop_front();
}

void Plan::settle_member(PersonId person) {
  member_.add(person.value);
  uncertain_.remove(person.value);
  renewing_.remove(person.value);
  settle(person);
}

void Plan::settle_left(PersonId person) {
  for (Roaring* flags : {&member_, &uncertain_, &withdrawn_, &changed_, &departed_, &renewing_})
    flags->remove(person.value);
  settle(person);
}

void Plan::settle_rejected(PersonId person) {
  uncertain_.remove(person.value);
  // A profile that changed since is a new question.
  const bool ask_again = changed_.contains(person.value);
  changed_.remove(person.value);
  set(rejected_, person, is_desired(person) && !ask_again);
  settle(person);
}

void Plan::settle_unchanged(PersonId person) {
  changed_.remove(person.value);
  settle(person);
}

void Plan::settle_partly(PersonId person) {
  changed_.add(person.value);
  settle(person);
}

void Plan::settle_uncertain_to_remove(PersonId person) {
  uncertain_.add(person.value);
  set(withdrawn_, person, is_desired(person));
  settle(person);
}

void Plan::refuse_removal(PersonId person) {
  member_.remove(person.value);
  uncertain_.add(person.value);
  removal_refused_.add(person.value);
  settle(person);
}

void Plan::forget_standing() {
  for (Roaring* flags : {&member_, &uncertain_, &rejected_, &without_identifier_, &withdrawn_,
                         &removal_refused_, &extension_refused_, &reduction_refused_, &changed_, &unverified_,
                         &parked_, &refused_earlier_, &dropped_, &departed_, &renewing_, &busy_})
    *flags = Roaring();
  to_add_ = desired_;
  to_remove_ = Roaring();
}

void Plan::ask_again(PersonId person) {
  forget_refusal(person);
  removal_refused_.remove(person.value);
  refresh(person);
}

void Plan::refuse_extension(PersonId person) {
  // A profile that changed since is a new question.
  set(extension_refused_, person, !changed_.contains(person.value));
  settle_partly(person);
}

void Plan::refuse_reduction(PersonId person) {
  set(reduction_refused_, person, !changed_.contains(person.value));
  settle_partly(person);
}

void Plan::reject_without_identifier(PersonId person) {
  rejected_.add(person.value);
  without_identifier_.add(person.value);
  changed_.remove(person.value);
  settle(person);
}

void Plan::withdraw(PersonId person) {
  withdrawn_.add(person.value);
  changed_.remove(person.value);
  refresh(person);
}

void Plan::mark_changed(PersonId person) { changed_.add(person.value); }

std::uint64_t Plan::ready(Direction direction) const {
  const Roaring& pending = direction == Direction::add ? to_add_ : to_remove_;
  return withheld_.isEmpty() ? count_free(pending, busy_, parked_)
                             : count_free(pending - withheld_, busy_, parked_);
}

// Those of `people` that nothing holds back.
Roaring Plan::free_of(const Roaring& people) const {
  return withheld_.isEmpty() ? people : people - withheld_;
}

std::uint64_t Plan::waiting(Direction direction) const {
  // One whose request has no answer was counted when it was begun.
  if (direction == Direction::add) return to_add_.cardinality() - to_add_.and_cardinality(uncertain_);
  return to_remove_.cardinality() - to_remove_.and_cardinality(uncertain_ | busy_ | departed_);
}

std::uint64_t Plan::standing() const { return member_.or_cardinality(uncertain_); }

std::uint64_t Plan::wanted() const {
  return desired_.cardinality() - rejected_.cardinality() - withdrawn_.cardinality();
}

// Who is wanted and does not stand there for certain: a removal may be under way.
Roaring Plan::unsettled() const { return to_add_ | (busy_ & desired_); }

bool Plan::waits_for(const Plan& twin) const { return to_remove_.intersect(twin.unsettled()); }

Roaring Plan::withheld_by(const Holds& holds) const {
  Roaring people;
  if (holds.additions) people |= to_add_ - uncertain_;
  if (holds.removals) people |= to_remove_ - uncertain_ - departed_;
  for (const Plan* twin : holds.twins) people |= to_remove_ & twin->unsettled();
  return people;
}

std::uint64_t Plan::to_do(const Holds& holds) const { return pending() - withheld_by(holds).cardinality(); }

Roaring Plan::to_compare() const {
  Roaring people = changed_ & member_;
  people &= desired_;
  people -= to_remove_;
  return people;
}

std::uint64_t Plan::ready_to_compare() const { return count_free(to_compare(), busy_, parked_); }

std::uint64_t Plan::pending() const {
  return to_add_.cardinality() + to_remove_.cardinality() + to_compare().cardinality();
}

std::vector<PersonId> Plan::rejected(std::size_t people_max) const { return first_of(rejected_, people_max); }

void Plan::refresh(PersonId person) {
  const std::uint32_t p = person.value;
  const bool wanted = desired_.contains(p) && !withdrawn_.contains(p);
  const bool standing = member_.contains(p) || uncertain_.contains(p);
  set(to_add_, person, wanted && !member_.contains(p) && !rejected_.contains(p));
  set(to_remove_, person, !wanted && standing && !removal_refused_.contains(p));
}

}  // namespace tailrace::delivery
