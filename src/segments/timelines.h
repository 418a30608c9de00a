// The past of segments that are asked for it (`entered segment S`, `since entered segment S`), remembered. A
// timeline is worked out once and then grows with time. A record takes it back to the instant the record is
// of, so that a look costs what is new, however deep such segments nest and however long the history is.
//
//   const Timelines::Line& line = timelines.of(world, past, person, t);
//   timelines.touched(person, record.time);  // after every record of theirs
//
// A cache: a bounded number of people per segment (kPeople) with their changes; whoever is not in it is
// worked out from the beginning.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/id.h"
#include "base/memory_use.h"
#include "base/time.h"
#include "segments/plan.h"

namespace tailrace::segments {

class Timelines {
 public:
  struct Line {
    bool initially = false;     // since for ever
    std::vector<Time> changes;  // in order; all before `until`
    Time until = kNever;        // what comes from then on is not known

    // The last entry (false to true) at or before t, and the first one after t, of those known.
    std::optional<Time> last_entry(Time t) const;
    std::optional<Time> next_entry(Time t) const;
    // The first instant after t at which it changes, or may.
    Time next_change(Time t) const;
  };

  // With all changes at or before t. It stays as it is until the next call for the same segment.
  const Line& of(const World& world, const Past& past, PersonId person, Time t);

  // What is known of the person from `from` on no longer holds.
  void touched(PersonId person, Time from);
  void clear() { by_past_.clear(); }
  MemoryUse memory() const;

 private:
  static constexpr std::size_t kPeople = 1024;
  struct Slot {
    std::optional<PersonId> person;
    Time from;  // nothing changes before
    Line line;
  };
  using Slots = std::array<Slot, kPeople>;

  std::vector<std::unique_ptr<Slots>> by_past_;  // by Past::index; null: not asked yet
};

}  // namespace tailrace::segments
