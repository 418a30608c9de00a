// What a condition would have done over a span of the past: how many it held for, day by day, how long they
// stayed. Computed person by person from timelines; of a change only four bytes are kept, and of a stay its
// length.
//
//   const Period period = period_of(zone, from, to);
//   const Backtest result = backtest(world, condition, period, {});
//   result.smallest, result.days[3].entered, result.median_stay
//
// The state at `from` is where it starts; changes in (from, to] count, as in `timeline`. Everything is exact
// to the millisecond; the day of a change is that of the period's time zone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/calendar.h"
#include "base/id.h"
#include "base/time.h"
#include "segments/plan.h"

namespace tailrace::segments {

// from <= to, at most kPeriodMax apart.
struct Period {
  Time from, to;
  // The first instants of its days: ascending, the first at or before `from`, the last at or before `to`.
  std::vector<Time> days;
};
constexpr Millis kPeriodMax = kDay * 36'600;  // a hundred years
// Whole days of the zone around [from, to].
Period period_of(const Zone& zone, Time from, Time to);

struct Backtest {
  struct Extreme {
    std::uint64_t size = 0;
    Time at;  // when it was first so; changes of one instant count together
  };
  struct Day {
    Time begin;  // the first instant; of the first day it may be before the period
    std::uint64_t entered = 0;
    std::uint64_t left = 0;
    std::uint64_t size = 0;  // at its end
  };
  std::uint64_t size_at_start = 0;
  std::uint64_t size_at_end = 0;
  Extreme smallest, largest;
  std::vector<Day> days;
  std::uint64_t entered = 0;
  std::uint64_t left = 0;
  std::uint64_t people = 0;  // were inside at some instant of [from, to]

  // Stays that ended in the period, from the entry, which may be earlier than the period. Those inside since
  // for ever (`not performed "X"`) have no entry: they are counted, and are not in the median.
  std::uint64_t stays = 0;
  std::uint64_t stays_since_ever = 0;
  std::optional<Millis> median_stay;  // of an even number the mean of the middle two, cut to a millisecond
  std::vector<PersonId> members;      // at the end, in order
};

// Adds up timelines. People come in order of their ids, each once.
class Backtester {
 public:
  explicit Backtester(Period period);
  // line: of the period. entered: of somebody who was inside at `from` and left, when that stay began;
  // missing: it has always been.
  void add(PersonId person, const Timeline& line, std::optional<Time> entered);
  Backtest finish();

 private:
  struct Page {  // of time: so many milliseconds that a change's place in it fits beside its direction
    std::vector<std::uint32_t> changes;  // milliseconds since the page's begin * 2 + 1 for an entry
    std::uint64_t entered = 0;
  };
  void note(Time at, bool entered, std::size_t& day);
  void find_extremes();

  Period period_;
  int page_bits_ = 0;
  std::vector<Page> pages_;
  std::vector<Millis> stays_;
  Backtest result_;
};

// Of everybody alive. world.ranks must know [from, to]; where the condition depends on ranks, from
// `ranks_known_from` on, which is as far as the entries of those inside at `from` are looked for.
Backtest backtest(const World& world, const Condition& condition, const Dependencies& dependencies,
                  Period period, Time ranks_known_from);

// How many are in both; both in order.
std::uint64_t common_count(std::span<const PersonId> a, std::span<const PersonId> b);

}  // namespace tailrace::segments
