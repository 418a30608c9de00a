// The past of a rank that an expression asks for (`entered segment S`, `was in segment S at T`, where S is or
// uses a rank): who was within at every instant up to now, by all that is known now. Kept from the values of
// everybody over time, so a record that is of an earlier instant takes the order back to it, and forward
// again: exact, at a cost in proportion to the changes of value since that instant. A caller that cannot pay
// that at every record may let some be late() for a while: until catch_up() others stand in the past as
// before, and whoever such a record moved, by their membership of today, has moved at the instant it came.
//
// Costs about a hundred bytes per change of somebody's value.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/id.h"
#include "base/memory_use.h"
#include "base/number.h"
#include "base/time.h"
#include "segments/plan.h"
#include "segments/rank.h"

namespace tailrace::segments {

class RankPast {
 public:
  // The person's value from `from` on (kForeverAgo: since ever) is worked out anew, up to now. Gives that of
  // now, and until when it holds. Membership is left to what follows.
  struct Value {
    std::optional<Number> number;  // missing: takes no part
    Time until = kNever;
  };
  Value revalue(const World& world, const RankPlan& plan, PersonId person, Time from, Time now);

  // The person came in or left at now, by what is known at now. Now never goes back.
  void flip(PersonId person, Time now);

  // Is there a change of value before `now` that others were not compared to again, as there is at first? And
  // how many changes of value catch_up() will go back over.
  bool late() const { return stale_ != kNever; }
  std::size_t backlog() const;
  // Compares everybody again from the first late change on. table: the order of now, and so it is in the end.
  // Whose past changed, and from when on, is appended to moved.
  struct Moved {
    PersonId person;
    Time from;
  };
  void catch_up(RankTable& table, std::vector<Moved>& moved);

  Truth truth(PersonId person, Time t) const;
  // Estimated: a step of a value and one of a line for each instant at which they change.
  MemoryUse memory() const;
  // Before this instant no value changed.
  Time known_from() const { return first_ == kNever ? kNever : first_ - Millis{1}; }

 private:
  struct Step {
    Time at;
    std::optional<Number> value;
  };
  struct Mark {
    Time at;
    PersonId person;
    auto operator<=>(const Mark&) const = default;
  };
  std::vector<Step>& steps_of(PersonId person);
  std::vector<Time>& line_of(PersonId person);

  std::vector<std::vector<Step>> values_;  // by person, in order; before the first it is missing
  std::vector<Mark> marks_;                // in order: when values change; some are void
  std::vector<Mark> new_marks_;            // not yet among them, in any order
  std::vector<std::vector<Time>> lines_;   // by person: came in, left, came in, ...
  std::vector<Mark> flips_;                // in order of time: when lines change; some are void
  Time stale_ = kForeverAgo;               // lines are right before it; kNever: at every instant
  Time first_ = kNever;                    // the earliest change of a value
};

}  // namespace tailrace::segments
