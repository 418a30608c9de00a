// A window at an instant: which of a person's rows are inside, and when that will change.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "segments/plan.h"

namespace tailrace::segments {

// The event after which rows of the same event name count: at its time, those with a greater message id.
struct Anchor {
  Time time;
  Position position;
};

// Times in (low, high], with `anchor` if there is one; `empty` where nothing can be inside.
struct Extent {
  Time low = kForeverAgo;
  Time high;
  std::optional<Anchor> anchor;
  bool empty = false;
  Time until = kNever;  // when the extent changes otherwise than by moving with t
};

struct SinceEvent {
  history::StreamId stream;
  bool last = true;
  bool same_event = false;  // as the rows of the window
  bool if_any = false;
};
struct SinceEntry {
  Past past;  // of a segment; none: a sync
  std::string sync;
  bool if_any = false;
};

// language::Window, compiled.
struct Span {
  Millis near{0};             // rows enter at time + near
  std::optional<Millis> far;  // and leave at time + far
  std::optional<Time> not_before;
  std::optional<Time> before;
  std::vector<language::CalendarWord> words;
  std::vector<SinceEvent> since_events;
  std::vector<SinceEntry> since_entries;

  bool only_within() const {
    return near.count == 0 && !not_before && !before && words.empty() && since_events.empty() &&
           since_entries.empty();
  }
  // `within` or `between A and B ago`, and no other bound.
  bool only_ago() const {
    return far && !not_before && !before && words.empty() && since_events.empty() && since_entries.empty();
  }
  // Since the last event of another name, and no other bound.
  bool only_since_last() const {
    return near.count == 0 && !far && !not_before && !before && words.empty() && since_entries.empty() &&
           since_events.size() == 1 && since_events.front().last && !since_events.front().same_event;
  }
  bool ever() const { return only_within() && !far; }

  Extent extent(const World& world, PersonId person, Time t) const;
};

// Rows [begin, end) are inside; until: when the first of them leaves or the next one enters, or the extent
// changes.
struct Inside {
  std::size_t begin = 0;
  std::size_t end = 0;
  Time leaves = kNever;  // the first row inside leaves
  Time enters = kNever;  // the next row comes in
  Time until() const { return std::min(leaves, enters); }
  std::size_t count() const { return end - begin; }
};
Inside inside(const World& world, const Span& span, const Extent& extent, const history::Stream::Rows& rows,
              Time t);

}  // namespace tailrace::segments
