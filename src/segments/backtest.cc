#include "segments/backtest.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace tailrace::segments {
namespace {

// Enough that few changes are sorted to find an extreme, few enough that empty ones cost nothing.
constexpr int kPagesBits = 12;

Millis median_of(std::vector<Millis>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  const Millis below = *std::max_element(values.begin(), middle);
  return {below.count + (middle->count - below.count) / 2};
}

}  // namespace

Period period_of(const Zone& zone, Time from, Time to) {
  TR_ASSERT(from <= to && to - from <= kPeriodMax);
  Period period{.from = from, .to = to, .days = {zone.start_of(Zone::Unit::day, from)}};
  for (Time next = zone.start_of(Zone::Unit::day, from, 1); next <= to;
       next = zone.start_of(Zone::Unit::day, next, 1)) {
    period.days.push_back(next);
  }
  return period;
}

Backtester::Backtester(Period period) : period_(std::move(period)) {
  TR_ASSERT(period_.from <= period_.to && !period_.days.empty() && period_.days.front() <= period_.from);
  const auto length = static_cast<std::uint64_t>((period_.to - period_.from).count);
  page_bits_ = std::max(0, static_cast<int>(std::bit_width(length)) - kPagesBits);
  TR_ASSERT(page_bits_ < 32);
  pages_.resize((length >> page_bits_) + 1);
  for (const Time begin : period_.days) result_.days.push_back({.begin = begin});
}

void Backtester::note(Time at, bool entered, std::size_t& day) {
  TR_ASSERT(period_.from < at && at <= period_.to);
  while (day + 1 < result_.days.size() && result_.days[day + 1].begin <= at) ++day;
  const auto since = static_cast<std::uint64_t>((at - period_.from).count);
  Page& page = pages_[since >> page_bits_];
  const std::uint64_t place = since & ((std::uint64_t{1} << page_bits_) - 1);
  page.changes.push_back(static_cast<std::uint32_t>(place * 2 + (entered ? 1 : 0)));
  page.entered += entered ? 1 : 0;
  ++(entered ? result_.days[day].entered : result_.days[day].left);
}

void Backtester::add(PersonId person, const Timeline& line, std::optional<Time> entered) {
  bool inside = line.initially;
  if (inside) ++result_.size_at_start;
  if (inside || !line.changes.empty()) ++result_.people;
  std::size_t day = 0;
  for (const Time at : line.changes) {
    inside = !inside;
    note(at, inside, day);
    if (inside) {
      entered = at;
    } else if (entered) {
      stays_.push_back(at - *entered);
    } else {
      ++result_.stays_since_ever;
    }
  }
  if (!inside) return;
  TR_ASSERT(result_.members.empty() || result_.members.back() < person);
  result_.members.push_back(person);
}

// Only pages in which the size can have gone beyond what is known are put in order.
void Backtester::find_extremes() {
  std::uint64_t size = result_.size_at_start;
  std::uint64_t reached_low = size;
  std::uint64_t reached_high = size;
  for (const Page& page : pages_) {
    size = size + page.entered - (page.changes.size() - page.entered);
    reached_low = std::min(reached_low, size);
    reached_high = std::max(reached_high, size);
  }
  size = result_.size_at_start;
  Backtest::Extreme& smallest = result_.smallest;
  Backtest::Extreme& largest = result_.largest;
  smallest = largest = {.size = size, .at = period_.from};
  for (std::size_t number = 0; number < pages_.size(); ++number) {
    Page& page = pages_[number];
    const std::uint64_t left = page.changes.size() - page.entered;
    const std::uint64_t high = size + page.entered;
    const std::uint64_t low = size - std::min(size, left);
    const bool may_rise = high > largest.size && high >= reached_high;
    const bool may_fall = low < smallest.size && low <= reached_low;
    if (!may_rise && !may_fall) {
      size = size + page.entered - left;
      continue;
    }
    std::sort(page.changes.begin(), page.changes.end());
    const Time begin = period_.from + Millis{static_cast<std::int64_t>(number << page_bits_)};
    for (std::size_t i = 0; i < page.changes.size();) {
      const std::uint32_t place = page.changes[i] / 2;
      // Those who leave come first in the order, and may be more than there are until the others come.
      std::int64_t change = 0;
      for (; i < page.changes.size() && page.changes[i] / 2 == place; ++i)
        change += page.changes[i] % 2 == 1 ? 1 : -1;
      size = static_cast<std::uint64_t>(static_cast<std::int64_t>(size) + change);
      const Time at = begin + Millis{place};
      if (size < smallest.size) smallest = {.size = size, .at = at};
      if (size > largest.size) largest = {.size = size, .at = at};
    }
  }
}

Backtest Backtester::finish() {
  find_extremes();
  std::uint64_t size = result_.size_at_start;
  for (Backtest::Day& day : result_.days) {
    size = size + day.entered - day.left;
    day.size = size;
    result_.entered += day.entered;
    result_.left += day.left;
  }
  // A day of which the period has but the first instant is only told when something happened then.
  const Backtest::Day& last = result_.days.back();
  if (result_.days.size() > 1 && last.begin == period_.to && last.entered + last.left == 0)
    result_.days.pop_back();
  result_.size_at_end = size;
  TR_ASSERT(size == result_.members.size());
  result_.stays = stays_.size();
  if (!stays_.empty()) result_.median_stay = median_of(stays_);
  return std::move(result_);
}

Backtest backtest(const World& world, const Condition& condition, const Dependencies& dependencies,
                  Period period, Time ranks_known_from) {
  const Time from = period.from;
  const Time to = period.to;
  const auto entry_before = [&](PersonId person) -> std::optional<Time> {
    // Others move a rank before the person's own first record.
    const Time since =
        dependencies.ranks.empty()
            ? std::min({beginning_of(world, person), dependencies.first_instant - Millis{1}, from})
            : ranks_known_from;
    const Timeline before = timeline(world, condition, person, since, from);
    if (before.changes.empty()) return std::nullopt;
    return before.changes.back();
  };
  Backtester backtester(std::move(period));
  const auto people = static_cast<std::uint32_t>(world.profiles.person_limit());
  for (std::uint32_t id = 0; id < people; ++id) {
    const PersonId person(id);
    if (!world.profiles.alive(person)) continue;
    const Timeline line = timeline(world, condition, person, from, to);
    std::optional<Time> entered;
    if (line.initially && !line.changes.empty()) entered = entry_before(person);
    backtester.add(person, line, entered);
  }
  return backtester.finish();
}

std::uint64_t common_count(std::span<const PersonId> a, std::span<const PersonId> b) {
  std::uint64_t count = 0;
  for (auto first = a.begin(), second = b.begin(); first != a.end() && second != b.end();) {
    if (*first < *second) {
      ++first;
    } else if (*second < *first) {
      ++second;
    } else {
      ++count;
      ++first;
      ++second;
    }
  }
  return count;
}

}  // namespace tailrace::segments
