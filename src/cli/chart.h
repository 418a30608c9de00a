// Figures over time for a terminal of 80 columns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/calendar.h"
#include "base/time.h"

namespace tailrace::cli {

// Lines of blocks, an eighth of a line exact, one column a value (two where they are few), with the scale at
// the left; `first` and `last` stand below their ends. The scale begins at 0, or at a round number below the
// values where they are close together. At most kChartColumns values, at least one.
constexpr std::size_t kChartColumns = 64;
std::string chart(const std::vector<std::uint64_t>& values, const std::string& first,
                  const std::string& last);

// Days, given by their first instants, in groups of whole days (weeks, months, quarters, years): the smallest
// unit of which there are at most `groups_max`; where there are too many years, several in a group.
// groups[i] is the number of days before the i-th group's end.
struct Groups {
  std::string unit;  // "day", "week of", "month", ...: what a group's label says
  std::vector<std::size_t> ends;
  std::vector<std::string> labels;  // "2026-03-01", "2026-03", "2026"
};
Groups group_days(const Zone& zone, const std::vector<Time>& days, std::size_t groups_max);

// "2026-03-01", the date at an instant in the zone.
std::string date_of(const Zone& zone, Time t);

// Exact, in all units that are not zero: "30d", "1d 2h 3m 4.005s", "0s".
std::string in_words(Millis duration);

}  // namespace tailrace::cli
