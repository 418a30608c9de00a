#include "segments/rank_past.h"

#include <algorithm>
#include <utility>

#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include "base/assert.h"

namespace tailrace::segments {
namespace {

template <class Steps>
auto first_from(Steps& steps, Time t) {
  return std::lower_bound(steps.begin(), steps.end(), t,
                          [](const auto& step, Time at) { return step.at < at; });
}

bool same(const std::optional<Number>& a, const std::optional<Number>& b) {
  return a.has_value() == b.has_value() && (!a || *a == *b);
}

}  // namespace

std::vector<RankPast::Step>& RankPast::steps_of(PersonId person) {
  if (person.value >= values_.size()) values_.resize(person.value + std::size_t{1});
  return values_[person.value];
}

std::vector<Time>& RankPast::line_of(PersonId person) {
  if (person.value >= lines_.size()) lines_.resize(person.value + std::size_t{1});
  return lines_[person.value];
}

RankPast::Value RankPast::revalue(const World& world, const RankPlan& plan, PersonId person, Time from,
                                  Time now) {
  std::vector<Step>& steps = steps_of(person);
  const auto begin = first_from(steps, from);
  const auto value_before = [&] {
    return begin == steps.begin() ? std::optional<Number>() : std::prev(begin)->value;
  };

  Value last;
  boost::container::small_vector<Step, 4> anew;
  if (world.profiles.alive(person)) {
    World past = world;
    past.memory = nullptr;
    Time t = from;
    if (from == kForeverAgo) {
      t = std::min({beginning_of(world, person), plan.by.dependencies.first_instant - Millis{1},
                    plan.eligible_dependencies.first_instant - Millis{1}, world.ranks->known_from(), now});
    }
    for (Time at = from;; at = t = last.until) {
      const World& then = t == now ? world : past;
      const Truth takes_part = plan.eligible ? plan.eligible->truth(then, person, t) : Truth{true, kNever};
      const Held by = plan.by.node->at(then, person, t);
      last = {.number = {}, .until = std::min(takes_part.until, by.until)};
      TR_ASSERT(last.until > t);
      if (takes_part.value && by.value.kind == Scalar::Kind::number) last.number = by.value.number;
      if (!same(last.number, anew.empty() ? value_before() : anew.back().value))
        anew.push_back({at, last.number});
      if (last.until > now) break;
    }
  } else if (value_before()) {
    anew.push_back({from, {}});
  }

  const auto [kept, changed] =
      std::mismatch(begin, steps.end(), anew.begin(), anew.end(),
                    [](const Step& a, const Step& b) { return a.at == b.at && same(a.value, b.value); });
  if (kept == steps.end() && changed == anew.end()) return last;
  Time earliest = kNever;
  if (kept != steps.end()) earliest = kept->at;
  if (changed != anew.end()) earliest = std::min(earliest, changed->at);
  if (earliest < now) stale_ = std::min(stale_, earliest);
  for (auto step = changed; step != anew.end(); ++step) {
    if (step->at != kForeverAgo) first_ = std::min(first_, step->at);
    const Mark mark{step->at, person};
    if (step->at == now && (marks_.empty() || marks_.back().at <= now)) {
      marks_.push_back(mark);
    } else {
      new_marks_.push_back(mark);
    }
  }
  steps.erase(kept, steps.end());
  steps.insert(steps.end(), changed, anew.end());
  return last;
}

void RankPast::flip(PersonId person, Time now) {
  std::vector<Time>& line = line_of(person);
  if (!line.empty() && line.back() == now) {
    line.pop_back();
  } else {
    line.push_back(now);
    flips_.push_back({now, person});
  }
}

std::size_t RankPast::backlog() const {
  return static_cast<std::size_t>(marks_.end() - first_from(marks_, stale_)) + new_marks_.size();
}

void RankPast::catch_up(RankTable& table, std::vector<Moved>& moved) {
  if (!late()) return;
  const Time stale = std::exchange(stale_, kNever);
  const auto first = first_from(marks_, stale) - marks_.begin();
  marks_.insert(marks_.end(), new_marks_.begin(), new_marks_.end());
  new_marks_.clear();
  std::sort(marks_.begin() + first, marks_.end());

  // Back: the order of values just before, and lines cut.
  std::vector<PersonId> flips;
  for (auto mark = marks_.begin() + first; mark != marks_.end(); ++mark) {
    const std::vector<Step>& steps = values_[mark->person.value];
    const auto step = first_from(steps, stale);
    table.update(mark->person, step == steps.begin() ? std::nullopt : std::prev(step)->value, flips);
    flips.clear();
  }
  boost::unordered_flat_map<std::uint32_t, std::vector<Time>> known;  // lines as they were from there on
  const auto first_flip = first_from(flips_, stale);
  for (auto flip = first_flip; flip != flips_.end(); ++flip) {
    const auto [place, is_new] = known.try_emplace(flip->person.value);
    if (!is_new) continue;
    std::vector<Time>& line = lines_[flip->person.value];
    const auto tail = std::lower_bound(line.begin(), line.end(), stale);
    place->second.assign(tail, line.end());
    line.erase(tail, line.end());
  }
  flips_.erase(first_flip, flips_.end());

  // Forward. All values of one instant count at once: somebody who is overtaken and overtakes in it has not
  // moved. Marks whose value came to nothing are left out.
  auto kept = marks_.begin() + first;
  for (auto mark = kept; mark != marks_.end();) {
    const Time at = mark->at;
    flips.clear();
    for (; mark != marks_.end() && mark->at == at; ++mark) {
      const std::vector<Step>& steps = values_[mark->person.value];
      const auto step = first_from(steps, at);
      const bool is_void = step == steps.end() || step->at != at;
      const bool is_repeated = kept != marks_.begin() + first && *std::prev(kept) == *mark;
      if (is_void || is_repeated) continue;
      table.update(mark->person, step->value, flips);
      *kept++ = *mark;
    }
    std::sort(flips.begin(), flips.end());
    for (std::size_t i = 0; i < flips.size();) {
      const PersonId person = flips[i];
      const std::size_t before = i;
      while (i < flips.size() && flips[i] == person) ++i;
      if ((i - before) % 2 == 0) continue;
      line_of(person).push_back(at);
      flips_.push_back({at, person});
      known.try_emplace(person.value);
    }
  }
  marks_.erase(kept, marks_.end());

  const std::size_t already_moved = moved.size();
  for (const auto& [person, before] : known) {
    const std::vector<Time>& line = lines_[person];
    const auto [old_change, change] = std::mismatch(
        before.begin(), before.end(), std::lower_bound(line.begin(), line.end(), stale), line.end());
    Time from = kNever;
    if (old_change != before.end()) from = *old_change;
    if (change != line.end()) from = std::min(from, *change);
    if (from != kNever) moved.push_back({PersonId(person), from});
  }
  std::sort(moved.begin() + static_cast<std::ptrdiff_t>(already_moved), moved.end(),
            [](const Moved& a, const Moved& b) { return a.person < b.person; });
}

MemoryUse RankPast::memory() const {
  MemoryUse use = memory_of(values_);
  use += memory_of(marks_);
  use += memory_of(new_marks_);
  use += memory_of(lines_);
  use += memory_of(flips_);
  return use += {(marks_.size() + new_marks_.size()) * sizeof(Step) + flips_.size() * sizeof(Time), 0};
}

Truth RankPast::truth(PersonId person, Time t) const {
  if (person.value >= lines_.size()) return {false, kNever};
  const std::vector<Time>& line = lines_[person.value];
  const auto after = std::upper_bound(line.begin(), line.end(), t);
  return {(after - line.begin()) % 2 == 1, after == line.end() ? kNever : *after};
}

}  // namespace tailrace::segments
