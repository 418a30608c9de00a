// When stays that end by themselves at the platform began. People of six hours are kept together: a bitmap
// each, so that ten million members take some bytes apiece and nothing is moved when one of them leaves.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <roaring/roaring.hh>

#include "base/id.h"
#include "base/time.h"

namespace tailrace::delivery {

// A stay is renewed when this has passed of it: what is left is for outages, and for all that goes before.
constexpr Millis renewed_after(Millis life) { return Millis{life.count / 4 * 3}; }

class Renewals {
 public:
  // Began, or was renewed. Who was noted before is in both places: take() says so of nobody.
  void note(PersonId person, Time at) { slots_[slot_of(at)].add(person.value); }

  // The earliest instant that anybody may have been noted with.
  std::optional<Time> first() const {
    if (slots_.empty()) return std::nullopt;
    return Time{slots_.begin()->first * kSlot.count};
  }
  // Up to people_max of those noted with an instant up to `until`, some hours more perhaps; they are
  // forgotten. To be held against what is true of them: they may have left, or been renewed since.
  std::vector<PersonId> take(Time until, std::size_t people_max) {
    std::vector<PersonId> people;
    while (!slots_.empty() && *first() <= until && people.size() < people_max) {
      Roaring& slot = slots_.begin()->second;
      for (auto at = slot.begin(); at != slot.end() && people.size() < people_max; ++at)
        people.emplace_back(*at);
      for (const PersonId person : people) slot.remove(person.value);
      if (slot.isEmpty()) slots_.erase(slots_.begin());
    }
    return people;
  }
  // Whether take(until) is about an instant like this one.
  static bool is_due(Time at, Time until) { return slot_of(at) * kSlot.count <= until.ms; }

 private:
  static constexpr Millis kSlot = kHour * 6;
  static std::int64_t slot_of(Time at) {
    return at.ms / kSlot.count - static_cast<std::int64_t>(at.ms % kSlot.count < 0);
  }

  std::map<std::int64_t, Roaring> slots_;
};

}  // namespace tailrace::delivery
