#include "segments/timelines.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::segments {
namespace {

auto first_after(const std::vector<Time>& changes, Time t) {
  return std::upper_bound(changes.begin(), changes.end(), t);
}

}  // namespace

std::optional<Time> Timelines::Line::last_entry(Time t) const {
  // Every second change is an entry: those of even place, or of odd place where it held at first.
  auto change = first_after(changes, t);
  const auto is_entry = [&](auto at) { return ((at - changes.begin()) % 2 == 1) == initially; };
  while (change != changes.begin()) {
    --change;
    if (is_entry(change)) return *change;
  }
  return std::nullopt;
}

std::optional<Time> Timelines::Line::next_entry(Time t) const {
  const auto is_entry = [&](auto at) { return ((at - changes.begin()) % 2 == 1) == initially; };
  for (auto change = first_after(changes, t); change != changes.end(); ++change) {
    if (is_entry(change)) return *change;
  }
  return std::nullopt;
}

Time Timelines::Line::next_change(Time t) const {
  const auto change = first_after(changes, t);
  return change == changes.end() ? until : *change;
}

MemoryUse Timelines::memory() const {
  MemoryUse use = memory_of(by_past_);
  for (const auto& slots : by_past_) {
    if (slots == nullptr) continue;
    use += {sizeof *slots, 0};
    for (const Slot& slot : *slots) use += memory_of(slot.line.changes);
  }
  return use;
}

const Timelines::Line& Timelines::of(const World& world, const Past& past, PersonId person, Time t) {
  if (past.index >= by_past_.size()) by_past_.resize(past.index + std::size_t{1});
  if (by_past_[past.index] == nullptr) by_past_[past.index] = std::make_unique<Slots>();
  Slot& slot = (*by_past_[past.index])[person.value % kPeople];
  World then = world;
  then.memory = nullptr;
  Line& line = slot.line;
  if (slot.person != person) {
    slot.from = past.beginning(world, person, t);
    const Truth first = past.segment->truth(then, person, slot.from);
    line = {.initially = first.value, .changes = {}, .until = first.until};
    slot.person = person;
  }
  while (line.until <= t) {
    const Time at = line.until;
    const Truth next = past.segment->truth(then, person, at);
    TR_ASSERT(next.until > at);
    const bool before = line.initially != (line.changes.size() % 2 == 1);
    if (next.value != before) line.changes.push_back(at);
    line.until = next.until;
  }
  return line;
}

void Timelines::touched(PersonId person, Time from) {
  for (const auto& slots : by_past_) {
    if (slots == nullptr) continue;
    Slot& slot = (*slots)[person.value % kPeople];
    if (slot.person != person) continue;
    if (from <= slot.from) {
      slot.person.reset();
      continue;
    }
    std::vector<Time>& changes = slot.line.changes;
    changes.erase(std::lower_bound(changes.begin(), changes.end(), from), changes.end());
    slot.line.until = std::min(slot.line.until, from);
  }
}

}  // namespace tailrace::segments
