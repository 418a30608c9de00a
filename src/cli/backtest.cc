// backtest: a definition that does not exist yet, over the stored history.
#include <fmt/format.h>

#include "cli/chart.h"
#include "cli/command.h"
#include "cli/table.h"
#include "model/json.h"

namespace tailrace::cli {
namespace {

constexpr Millis kDefaultSpan = kDay * 30;
constexpr std::size_t kTableRows = 35;

struct Replayed {
  std::string text;  // canonical
  std::string name;  // empty: an expression
  Zone zone;
  Time from, to;
  engine::Backtest result;
};

// Share in percent, below the end of its heading.
Value percent(std::uint64_t part, std::uint64_t whole, const std::string& heading) {
  const std::string text =
      whole == 0 ? "-" : fmt::format("{:.1f}", static_cast<double>(part) * 100 / static_cast<double>(whole));
  return Value::of(fmt::format("{:>{}}", text, heading.size()));
}

Result<Replayed> replay(const Run& run) {
  const Command& command = run.command;
  return run.core.call([&](engine::Engine& engine) -> Result<Replayed> {
    // What is asked is asked of the workspace that has been applied, not of the one it replaces.
    while (engine.work_pending()) TRY(engine.work());
    if (engine.workspace() == nullptr) return no_workspace();
    const workspace::Workspace& workspace = *engine.workspace();
    const auto expr = TRY(workspace::resolve_segment(workspace, command.segment));
    const Time to = TRY(instant(command.to, engine.now()));
    const Time from = TRY(instant(command.from, to - kDefaultSpan));
    if (to < from) {
      return invalid(fmt::format("--from {} is after --to {}{}", format_time(from), format_time(to),
                                 command.to.empty() ? " (now, as no --to was given)" : ""));
    }
    const auto* named = workspace.find_segment(command.segment);
    return Replayed {
      .text = language::print(*expr), .name = named == nullptr ? "" : named->name,
      .zone = TRY(Zone::named(workspace.time_zone))
      , .from = from, .to = to, .result = TRY(engine.backtest(workspace, expr, from, to))
    };
  });
}

// How the days are told: every day in what programs read; in text so few rows that they can be taken in.
Table days_table(const Replayed& replayed, const Groups& groups) {
  const auto& days = replayed.result.past.days;
  Table table({groups.unit, "entered", "left", "size"});
  std::size_t day = 0;
  for (std::size_t i = 0; i < groups.ends.size(); ++i) {
    std::uint64_t entered = 0;
    std::uint64_t left = 0;
    for (; day < groups.ends[i]; ++day) {
      entered += days[day].entered;
      left += days[day].left;
    }
    table.add({Value::of(groups.labels[i]), number(entered), number(left), number(days[day - 1].size)});
  }
  return table;
}

Table overlaps_table(const Replayed& replayed) {
  const std::string of_this = "% of this";
  const std::string of_segment = "% of the segment";
  Table table({"segment", "members", "in both", of_this, of_segment});
  for (const auto& overlap : replayed.result.overlaps) {
    table.add({Value::of(overlap.segment), number(overlap.size), number(overlap.common),
               percent(overlap.common, replayed.result.past.size_at_end, of_this),
               percent(overlap.common, overlap.size, of_segment)});
  }
  return table;
}

std::string stays_text(const segments::Backtest& past) {
  std::string text;
  if (past.median_stay) {
    text = fmt::format("median {} over the {} that ended", in_words(*past.median_stay), grouped(past.stays));
  } else {
    text = "none ended";
  }
  text += fmt::format("; {} are still inside", grouped(past.size_at_end));
  if (past.stays_since_ever > 0)
    text += fmt::format("; {} left who had always been inside", grouped(past.stays_since_ever));
  return text;
}

std::string print_text(const Replayed& replayed) {
  const segments::Backtest& past = replayed.result.past;
  std::vector<Time> days;
  for (const auto& day : past.days) days.push_back(day.begin);
  std::string out = replayed.name.empty() ? "" : replayed.name + ": ";
  out += fmt::format("{}\n{} to {}, days of {}\n\n", replayed.text, format_time(replayed.from),
                     format_time(replayed.to), replayed.zone.name());
  out += fmt::format("size      {} at the start, {} at the end\n", grouped(past.size_at_start),
                     grouped(past.size_at_end));
  const auto extreme = [&](const char* name, const segments::Backtest::Extreme& found) {
    out += fmt::format("{}  {}, first at {}\n", name, grouped(found.size), format_time(found.at));
  };
  extreme("smallest", past.smallest);
  extreme("largest ", past.largest);
  out += fmt::format("people    {} were inside at some time; {} entries, {} exits\n", grouped(past.people),
                     grouped(past.entered), grouped(past.left));
  out += fmt::format("stays     {}\n\n", stays_text(past));

  // A column for each day, or for so many that they fit; its height is the size at its end.
  const std::size_t each = (days.size() + kChartColumns - 1) / kChartColumns;
  std::vector<std::uint64_t> heights;
  for (std::size_t day = 0; day < days.size(); day += each)
    heights.push_back(past.days[std::min(day + each, days.size()) - 1].size);
  out += fmt::format("Size at the end of {}\n", each == 1 ? "each day" : fmt::format("every {} days", each));
  out += chart(heights, date_of(replayed.zone, days.front()), date_of(replayed.zone, days.back()));

  out += '\n' + days_table(replayed, group_days(replayed.zone, days, kTableRows)).print(Format::text);
  if (!replayed.result.overlaps.empty()) {
    out += fmt::format("\nShared with the segments there are, at {}\n", format_time(replayed.to));
    out += overlaps_table(replayed).print(Format::text);
  }
  return out;
}

std::string print_json(const Replayed& replayed) {
  const segments::Backtest& past = replayed.result.past;
  Value object = Value::with(Value::Kind::object);
  const auto member = [](Value& in, const char* name, Value value) {
    in.members.emplace_back(name, std::move(value));
  };
  const auto extreme = [&](const segments::Backtest::Extreme& found) {
    Value value = Value::with(Value::Kind::object);
    member(value, "size", number(found.size));
    member(value, "at", Value::of(format_time(found.at)));
    return value;
  };
  if (!replayed.name.empty()) member(object, "segment", Value::of(replayed.name));
  member(object, "expression", Value::of(replayed.text));
  member(object, "from", Value::of(format_time(replayed.from)));
  member(object, "to", Value::of(format_time(replayed.to)));
  member(object, "time_zone", Value::of(replayed.zone.name()));
  member(object, "size_at_start", number(past.size_at_start));
  member(object, "size_at_end", number(past.size_at_end));
  member(object, "smallest", extreme(past.smallest));
  member(object, "largest", extreme(past.largest));
  member(object, "people", number(past.people));
  member(object, "entered", number(past.entered));
  member(object, "left", number(past.left));
  Value stays = Value::with(Value::Kind::object);
  member(stays, "ended", number(past.stays));
  member(stays, "median_ms",
         past.median_stay ? Value::of(Number::integer(past.median_stay->count)) : Value::of_null());
  member(stays, "since_ever", number(past.stays_since_ever));
  member(stays, "still_inside", number(past.size_at_end));
  member(object, "stays", std::move(stays));
  Value days = Value::with(Value::Kind::list);
  for (const auto& day : past.days) {
    Value& row = days.list.emplace_back(Value::with(Value::Kind::object));
    member(row, "day", Value::of(date_of(replayed.zone, day.begin)));
    member(row, "entered", number(day.entered));
    member(row, "left", number(day.left));
    member(row, "size", number(day.size));
  }
  member(object, "days", std::move(days));
  Value overlaps = Value::with(Value::Kind::list);
  for (const auto& overlap : replayed.result.overlaps) {
    Value& row = overlaps.list.emplace_back(Value::with(Value::Kind::object));
    member(row, "segment", Value::of(overlap.segment));
    member(row, "members", number(overlap.size));
    member(row, "in_both", number(overlap.common));
  }
  member(object, "overlaps", std::move(overlaps));
  return to_json(object) + "\n";
}

}  // namespace

int run_backtest(const Run& run) {
  const auto replayed = replay(run);
  if (!replayed) return run.fail(replayed.error());
  switch (run.command.format) {
    case Format::text:
      run.console.out(print_text(*replayed));
      break;
    case Format::json:
      run.console.out(print_json(*replayed));
      break;
    case Format::csv: {
      std::vector<Time> days;
      for (const auto& day : replayed->result.past.days) days.push_back(day.begin);
      run.console.out(
          days_table(*replayed, group_days(replayed->zone, days, days.size())).print(Format::csv));
      break;
    }
  }
  return kDone;
}

}  // namespace tailrace::cli
