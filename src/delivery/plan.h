// Who of one sync still needs a request, and in which direction. Bitmaps only: no identifiers, no ledger, no
// time. What is pending follows from the sets, so a person who enters and leaves before anything was sent
// costs nothing.
//
//   pending to add     desired, not a member, not refused
//   pending to remove  not desired (or with no identifier left), but perhaps standing at the platform
//   pending to compare a member whose identifiers changed
//   to renew           a member who is to be added again as they are
//
// A person in a batch is busy and is offered to no other batch; a parked one waits until some batch settles.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include <roaring/roaring.hh>

#include "base/id.h"
#include "delivery/ledger.h"
#include "destinations/audience_destination.h"

namespace tailrace::delivery {

using Direction = destinations::BatchKind;

// How the reason of a person begins whom we refuse for want of identifiers.
constexpr std::string_view kWithoutIdentifier = "no usable identifier";

class Plan {
 public:
  // At start, each membership of the ledger. Adding and removing are uncertain: an unanswered request.
  void load(PersonId person, const Membership& membership);

  // Replaces the desired set. Members that stay, and the refused, are to be verified: their identifiers may
  // have changed while nobody listened.
  void set_desired(const std::vector<PersonId>& people);
  void enter(PersonId person);
  void leave(PersonId person);
  // What is uploaded for the person is compared again; what was refused gets another chance.
  void profile_changed(PersonId person);
  // The same of a member, who alone has them; refusals of identifiers stand.
  void attributes_changed(PersonId person);
  void verify_members();  // all who stay: what is uploaded for them is compared again

  // The people for the next batch, those marked live first. Not busy, not parked.
  std::vector<PersonId> next(Direction direction, std::size_t people_max) const;
  std::vector<PersonId> next_to_compare(std::size_t people_max) const;
  std::vector<PersonId> next_to_renew(std::size_t people_max) const;
  std::vector<PersonId> take_unverified(std::size_t people_max);
  std::vector<PersonId> members_from(PersonId first, std::size_t people_max) const;

  // Of members who stay: to be added again, before the platform lets them go.
  void renew(PersonId person) { renewing_.add(person.value); }
  void renew_everybody() { renewing_ = member_; }
  void settle_renewal(PersonId person) { renewing_.remove(person.value); }
  bool is_renewing(PersonId person) const { return renewing_.contains(person.value); }
  std::uint64_t to_renew() const { return renewable().cardinality(); }
  std::uint64_t ready_to_renew() const;

  void start_adding(PersonId person);  // may stand from now on
  void start(PersonId person);         // a removal, or a change of a member's identifiers
  void park(PersonId person) { parked_.add(person.value); }
  // Of dead letters (dead_letters.h). state: of the membership that was refused.
  std::vector<PersonId> dead() const;  // dropped ones, too
  bool is_dead(PersonId person) const;
  bool is_dropped(PersonId person) const { return dropped_.contains(person.value); }
  std::uint64_t dead_count() const;  // without the dropped
  std::uint64_t dropped_count() const { return dropped_.cardinality(); }
  void retry(PersonId person);  // another chance, before others
  void drop_refusal(PersonId person, Membership::State state);
  // An earlier refusal no longer matters: they are asked again, or what stands is what is wanted.
  void forget_refusal(PersonId person) {
    refused_earlier_.remove(person.value);
    dropped_.remove(person.value);
  }

  void unpark_all() { parked_ = Roaring(); }
  void mark_live(PersonId person) { live_.add(person.value); }

  // What became of the person. Each ends being busy.
  void settle_member(PersonId person);
  void settle_left(PersonId person);
  void settle_rejected(PersonId person);
  void settle_unchanged(PersonId person);            // nothing differs any more
  void settle_partly(PersonId person);               // a change of identifiers went through: compare again
  void settle_uncertain_to_remove(PersonId person);  // an add was refused, older identifiers may stand
  void refuse_removal(PersonId person);              // not asked again until its profile changes
  void refuse_extension(PersonId person);            // of a member: the new identifiers
  void accept_extension(PersonId person) { extension_refused_.remove(person.value); }
  void refuse_reduction(PersonId person);           // of a member: the removal of old ones
  void reject_without_identifier(PersonId person);  // desired, but nothing to upload
  void withdraw(PersonId person);                   // desired, standing, but nothing to upload any more
  void mark_changed(PersonId person);

  bool is_desired(PersonId person) const { return desired_.contains(person.value); }
  bool is_rejected(PersonId person) const { return rejected_.contains(person.value); }
  bool is_without_identifier(PersonId person) const { return without_identifier_.contains(person.value); }
  bool is_busy(PersonId person) const { return busy_.contains(person.value); }
  // At the platform, perhaps.
  bool may_stand(PersonId person) const {
    return member_.contains(person.value) || uncertain_.contains(person.value);
  }
  bool is_uncertain(PersonId person) const { return uncertain_.contains(person.value); }
  bool extension_refused(PersonId person) const { return extension_refused_.contains(person.value); }
  bool reduction_refused(PersonId person) const { return reduction_refused_.contains(person.value); }
  // Acknowledged, and no request about them is under way.
  bool is_settled_member(PersonId person) const {
    return member_.contains(person.value) && !busy_.contains(person.value);
  }
  // A request about the person is under way or will be, after which more is known.
  bool is_unresolved(PersonId person) const {
    return busy_.contains(person.value) || to_add_.contains(person.value);
  }
  bool is_pending(PersonId person) const {
    return to_add_.contains(person.value) || to_remove_.contains(person.value);
  }

  bool is_pending_removal(PersonId person) const { return to_remove_.contains(person.value); }
  // Pending in the direction that protects. Who is wanted in a target audience and goes for want of
  // identifiers is none of them.
  bool is_pending_protective(PersonId person, Direction protective) const {
    return protective == Direction::add
               ? to_add_.contains(person.value)
               : to_remove_.contains(person.value) && !withdrawn_.contains(person.value);
  }
  std::uint64_t protective(Direction protective) const {
    return protective == Direction::add ? to_add_.cardinality()
                                        : to_remove_.cardinality() - to_remove_.and_cardinality(withdrawn_);
  }
  bool is_removal_refused(PersonId person) const { return removal_refused_.contains(person.value); }
  bool is_withheld(PersonId person) const { return withheld_.contains(person.value); }
  bool is_parked(PersonId person) const { return parked_.contains(person.value); }

  // Whether another request about the person is to be made now.
  bool needs_more(PersonId person) const {
    return is_pending(person) || (changed_.contains(person.value) && member_.contains(person.value) &&
                                  desired_.contains(person.value));
  }

  // Changes that wait and were not begun: for the guards. Those who leave whatever the guards say are no part
  // of it.
  std::uint64_t waiting(Direction direction) const;
  std::uint64_t standing() const;  // at the platform, perhaps
  std::uint64_t wanted() const;    // in the audience when all that waits has gone
  // Holds back all additions, all removals, and the removals of those whom a twin is still to take. Until
  // called again.
  struct Holds {
    bool additions = false;
    bool removals = false;
    std::vector<const Plan*> twins = {};
  };
  void withhold(const Holds& holds) { withheld_ = withheld_by(holds); }
  std::uint64_t to_do(const Holds& holds) const;  // of pending(), what these do not hold back
  bool waits_for(const Plan& twin) const;
  // How many removals wait for additions that the twin has not begun.
  std::uint64_t waiting_for(const Plan& twin) const {
    return to_remove_.and_cardinality(twin.to_add_) - (to_remove_ & twin.to_add_).and_cardinality(twin.busy_);
  }

  // People whose removal waits, to be looked at: a deletion or withdrawn consent is not held back.
  void examine_removals() { unexamined_ |= to_remove_; }
  bool has_unexamined() const { return !unexamined_.isEmpty(); }
  std::vector<PersonId> take_unexamined(std::size_t people_max);
  // Nobody stands anywhere any more, nobody was refused, and no request is under way.
  void forget_standing();
  void examine(PersonId person) { unexamined_.add(person.value); }
  void mark_departed(PersonId person) { departed_.add(person.value); }
  bool is_departed(PersonId person) const { return departed_.contains(person.value); }
  void ask_again(PersonId person);  // for a removal that was refused

  // Somebody stays for the twin's sake though the segment has no place for them, or no longer.
  void keep(PersonId person);
  void let_go(PersonId person);

  bool has_unverified() const { return !unverified_.isEmpty(); }
  bool has_uncertain() const { return !uncertain_.isEmpty(); }
  std::uint64_t ready(Direction direction) const;  // pending, neither busy nor parked
  std::uint64_t ready_to_compare() const;
  std::uint64_t desired() const { return desired_.cardinality(); }
  std::uint64_t delivered() const { return member_.cardinality(); }
  std::uint64_t pending() const;
  std::uint64_t without_identifier() const { return without_identifier_.cardinality(); }
  std::vector<PersonId> rejected(std::size_t people_max) const;

 private:
  void want(PersonId person);
  void drop(PersonId person);
  void refresh(PersonId person);
  Roaring free_of(const Roaring& people) const;
  Roaring withheld_by(const Holds& holds) const;
  Roaring unsettled() const;
  Roaring refused() const {
    return rejected_ | removal_refused_ | ((extension_refused_ | reduction_refused_) & member_) |
           refused_earlier_;
  }
  Roaring to_compare() const;
  Roaring renewable() const;
  void settle(PersonId person);

  Roaring desired_;
  Roaring asked_;               // of desired_, by the segment
  Roaring kept_;                // of desired_, for the twin's sake
  Roaring member_;              // acknowledged
  Roaring uncertain_;           // may stand at the platform
  Roaring rejected_;            // desired, refused
  Roaring without_identifier_;  // the part of rejected_ refused by us
  Roaring withdrawn_;           // desired, to be removed for want of identifiers
  Roaring removal_refused_;
  Roaring extension_refused_;
  Roaring reduction_refused_;
  Roaring changed_;
  Roaring renewing_;              // some may not be members any more
  Roaring refused_earlier_;       // by the ledger, when delivery started: nobody has been asked since
  Roaring dropped_;               // the part of the refused that rests
  std::deque<PersonId> retries_;  // in order; some may have been done
  Roaring unverified_;
  Roaring busy_;
  Roaring parked_;
  Roaring live_;
  Roaring departed_;    // deleted, or without consent: no guard holds them
  Roaring unexamined_;  // perhaps departed
  Roaring withheld_;    // pending, and not to be begun
  Roaring to_add_;      // derived by refresh()
  Roaring to_remove_;   // derived by refresh()
};

}  // namespace tailrace::delivery
