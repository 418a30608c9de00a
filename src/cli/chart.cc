#include "cli/chart.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/assert.h"
#include "cli/table.h"

namespace tailrace::cli {
namespace {

constexpr std::size_t kLines = 8;
constexpr std::size_t kEighths = 8;
constexpr std::array<const char*, kEighths + 1> kBlocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

// Where the scale begins: at 0, or at a round number below values that are close together.
std::uint64_t base_of(std::uint64_t low, std::uint64_t high) {
  if (low == high || low * 2 <= high) return 0;
  std::uint64_t step = 1;
  while (step * 10 <= high - low) step *= 10;
  return (low - 1) / step * step;
}

std::string padded(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

}  // namespace

std::string chart(const std::vector<std::uint64_t>& values, const std::string& first,
                  const std::string& last) {
  TR_ASSERT(!values.empty() && values.size() <= kChartColumns);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const std::uint64_t top = std::max<std::uint64_t>(*high, 1);
  const std::uint64_t base = base_of(*low, *high);
  const std::uint64_t spread = std::max<std::uint64_t>(top - base, 1);
  const auto height_of = [&](std::uint64_t value) {
    const double share = static_cast<double>(value - base) / static_cast<double>(spread);
    const auto eighths = static_cast<std::size_t>(share * kLines * kEighths + 0.5);
    return value > base ? std::max<std::size_t>(eighths, 1) : 0;  // somebody is never nobody
  };
  const std::size_t repeat = values.size() * 2 <= kChartColumns ? 2 : 1;
  const std::string top_label = grouped(top);
  const std::string base_label = grouped(base);
  const std::size_t margin = std::max(top_label.size(), base_label.size());

  std::string out;
  for (std::size_t line = kLines; line-- > 0;) {
    const bool highest = line + 1 == kLines;
    std::string text = padded(highest ? top_label : "", margin) + (highest ? " ┤" : " │");
    std::string gap;
    for (const std::uint64_t value : values) {
      const std::size_t height = height_of(value);
      const std::size_t here = std::min(kEighths, height - std::min(height, line * kEighths));
      for (std::size_t i = 0; i < repeat; ++i) {
        if (here == 0) {
          gap += ' ';
        } else {
          text += gap + kBlocks[here];
          gap.clear();
        }
      }
    }
    out += text + '\n';
  }
  const std::size_t width = values.size() * repeat;
  out += padded(base_label, margin) + " └";
  for (std::size_t i = 0; i < width; ++i) out += "─";
  out += '\n' + std::string(margin + 2, ' ') + first;
  if (values.size() > 1) {
    const std::size_t taken = first.size() + last.size();
    out += std::string(width > taken ? width - taken : 1, ' ') + last;
  }
  return out + '\n';
}

std::string date_of(const Zone& zone, Time t) { return format_time(zone.to_local(t)).substr(0, 10); }

Groups group_days(const Zone& zone, const std::vector<Time>& days, std::size_t groups_max) {
  TR_ASSERT(!days.empty() && groups_max > 0);
  struct Unit {
    Zone::Unit unit;
    const char* name;
    std::size_t label_size;  // of "2026-03-01"
  };
  constexpr std::array<Unit, 5> kUnits{{{Zone::Unit::day, "day", 10},
                                        {Zone::Unit::week, "week of", 10},
                                        {Zone::Unit::month, "month", 7},
                                        {Zone::Unit::quarter, "quarter from", 7},
                                        {Zone::Unit::year, "year", 4}}};
  for (const Unit& unit : kUnits) {
    Groups groups{.unit = unit.name, .ends = {}, .labels = {}};
    Time next = kForeverAgo;
    for (std::size_t day = 0; day < days.size(); ++day) {
      if (days[day] >= next) {
        if (day > 0) groups.ends.push_back(day);
        groups.labels.push_back(
            date_of(zone, zone.start_of(unit.unit, days[day])).substr(0, unit.label_size));
        next = zone.start_of(unit.unit, days[day], 1);
      }
    }
    groups.ends.push_back(days.size());
    if (groups.labels.size() <= groups_max) return groups;
    if (unit.unit != Zone::Unit::year) continue;
    const std::size_t each = (groups.labels.size() + groups_max - 1) / groups_max;
    Groups fewer{.unit = fmt::format("{} years from", each), .ends = {}, .labels = {}};
    for (std::size_t i = 0; i < groups.labels.size(); i += each) {
      fewer.labels.push_back(groups.labels[i]);
      fewer.ends.push_back(groups.ends[std::min(i + each, groups.ends.size()) - 1]);
    }
    return fewer;
  }
  return {};
}

std::string in_words(Millis duration) {
  std::string text;
  std::int64_t rest = duration.count;
  const auto take = [&](Millis unit, const char* name) {
    if (rest / unit.count == 0) return;
    text += fmt::format("{}{}{}", text.empty() ? "" : " ", rest / unit.count, name);
    rest %= unit.count;
  };
  take(kDay, "d");
  take(kHour, "h");
  take(kMinute, "m");
  const std::string gap = text.empty() ? "" : " ";
  if (rest % 1000 != 0) return fmt::format("{}{}{}.{:03}s", text, gap, rest / 1000, rest % 1000);
  if (rest != 0 || text.empty()) return fmt::format("{}{}{}s", text, gap, rest / 1000);
  return text;
}

}  // namespace tailrace::cli
