#include "segments/window.h"

#include <algorithm>

#include "segments/timelines.h"

namespace tailrace::segments {
namespace {

using history::Stream;

std::size_t first_after(const Stream::Rows& rows, Time t) {
  return static_cast<std::size_t>(std::upper_bound(rows.times.begin(), rows.times.end(), t) -
                                  rows.times.begin());
}

struct WordSpan {
  Time begin, end;
};
WordSpan span_of(const Zone& zone, language::CalendarWord word, Time t) {
  using Word = language::CalendarWord;
  const auto unit_of = [&] {
    switch (word) {
      case Word::today:
      case Word::yesterday:
        return Zone::Unit::day;
      case Word::this_week:
      case Word::last_week:
        return Zone::Unit::week;
      case Word::this_month:
      case Word::last_month:
        return Zone::Unit::month;
      case Word::this_quarter:
      case Word::last_quarter:
        return Zone::Unit::quarter;
      case Word::this_year:
      case Word::last_year:
        return Zone::Unit::year;
    }
    return Zone::Unit::day;
  };
  const bool past = word == Word::yesterday || word == Word::last_week || word == Word::last_month ||
                    word == Word::last_quarter || word == Word::last_year;
  const int steps = past ? -1 : 0;
  return {zone.start_of(unit_of(), t, steps), zone.start_of(unit_of(), t, steps + 1)};
}
// When the word comes to mean another span.
Time next_boundary(const Zone& zone, language::CalendarWord word, Time t) {
  using Word = language::CalendarWord;
  switch (word) {
    case Word::today:
    case Word::yesterday:
      return zone.start_of(Zone::Unit::day, t, 1);
    case Word::this_week:
    case Word::last_week:
      return zone.start_of(Zone::Unit::week, t, 1);
    case Word::this_month:
    case Word::last_month:
      return zone.start_of(Zone::Unit::month, t, 1);
    case Word::this_quarter:
    case Word::last_quarter:
      return zone.start_of(Zone::Unit::quarter, t, 1);
    case Word::this_year:
    case Word::last_year:
      return zone.start_of(Zone::Unit::year, t, 1);
  }
  return kNever;
}

// Does an event at `row` come after the anchor, at the same time? By message id, then by arrival.
bool is_later(const World& world, Position row, Position anchor) {
  if (row == anchor) return false;
  const std::string anchor_id(world.ids.message_id(anchor));
  const auto order = world.ids.message_id(row).compare(anchor_id);
  return order > 0 || (order == 0 && anchor < row);
}

// Of two anchors the later one counts.
void narrow_to(const World& world, Extent& extent, const Anchor& anchor) {
  if (!extent.anchor || extent.anchor->time < anchor.time ||
      (extent.anchor->time == anchor.time && is_later(world, anchor.position, extent.anchor->position))) {
    extent.anchor = anchor;
  }
}

}  // namespace

Extent Span::extent(const World& world, PersonId person, Time t) const {
  Extent extent;
  extent.high = t - near;
  if (far) extent.low = t - *far;
  if (not_before) extent.low = std::max(extent.low, *not_before - Millis{1});
  if (before) extent.high = std::min(extent.high, *before - Millis{1});
  for (const auto word : words) {
    const WordSpan span = span_of(world.zone, word, t);
    extent.low = std::max(extent.low, span.begin - Millis{1});
    extent.high = std::min(extent.high, span.end - Millis{1});
    extent.until = std::min(extent.until, next_boundary(world.zone, word, t));
  }
  for (const SinceEvent& since : since_events) {
    const Stream::Rows rows = world.history.at(since.stream).rows(person);
    const std::size_t count = first_after(rows, t);
    if (count < rows.size()) extent.until = std::min(extent.until, rows.times[count]);
    if (count == 0) {
      extent.empty |= !since.if_any;
      continue;
    }
    const std::size_t row = since.last ? count - 1 : 0;
    if (since.same_event) {
      narrow_to(world, extent, {rows.times[row], rows.positions[row]});
    } else {
      extent.low = std::max(extent.low, rows.times[row] - Millis{1});
    }
  }
  for (const SinceEntry& since : since_entries) {
    std::optional<Time> last;
    if (since.past.segment) {
      const Timelines::Line& line = world.timelines->of(world, since.past, person, t);
      last = line.last_entry(t);
      extent.until = std::min(extent.until, line.next_change(t));
    } else if (const auto entries = world.sync_entries.find(since.sync);
               entries != world.sync_entries.end()) {
      if (const auto times = entries->second.find(person.value); times != entries->second.end()) {
        const auto after = std::upper_bound(times->second.begin(), times->second.end(), t);
        if (after != times->second.begin()) last = *std::prev(after);
        if (after != times->second.end()) extent.until = std::min(extent.until, *after);
      }
    }
    if (last) {
      extent.low = std::max(extent.low, *last);
    } else {
      extent.empty |= !since.if_any;
    }
  }
  return extent;
}

Inside inside(const World& world, const Span& span, const Extent& extent, const Stream::Rows& rows, Time t) {
  Inside result;
  result.leaves = extent.until;
  if (extent.empty) return result;
  const std::size_t seen = first_after(rows, t - span.near);
  if (seen < rows.size()) result.enters = rows.times[seen] + span.near;
  // Bounds only move forward. So nothing is inside before the first row comes, nor ever again behind the last
  // one: without this, a calendar word would wake everybody at every midnight.
  if (seen == 0 || first_after(rows, extent.low) == rows.size()) {
    result.leaves = kNever;
    result.begin = result.end = seen;
    return result;
  }
  result.end = std::min(seen, first_after(rows, extent.high));
  result.begin = std::min(result.end, first_after(rows, extent.low));
  if (extent.anchor) {
    result.begin = std::min(
        result.end,
        std::max(result.begin, static_cast<std::size_t>(std::lower_bound(rows.times.begin(), rows.times.end(),
                                                                         extent.anchor->time) -
                                                        rows.times.begin())));
    while (result.begin < result.end && rows.times[result.begin] == extent.anchor->time &&
           !is_later(world, rows.positions[result.begin], extent.anchor->position)) {
      ++result.begin;
    }
  }
  if (span.far && result.begin < result.end)
    result.leaves = std::min(result.leaves, rows.times[result.begin] + *span.far);
  return result;
}

}  // namespace tailrace::segments
