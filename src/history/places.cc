#include "history/places.h"

#include "base/assert.h"

namespace tailrace::history {

Places::Key Places::take_key() {
  if (free_.empty()) return limit_++;
  const Key key = free_.back();
  free_.pop_back();
  return key;
}

void Places::give_back(Key key) {
  if (key + 1 == limit_) {
    --limit_;
  } else {
    free_.push_back(key);
  }
}

void Places::sweep() {
  if (retired_.empty()) return;
  for (std::uint32_t person = 0; person < map_.person_limit(); ++person) {
    for (const Key key : retired_) map_.erase(PersonId(person), key);
  }
  free_.insert(free_.end(), retired_.begin(), retired_.end());
  retired_.clear();
}

Slot& Places::slot_of(PersonId person, Key key) { return map_.entry(person, key).slot; }

Sum& Places::sum_of(PersonId person, Key key) {
  if (Place* known = map_.find(person, key)) return known->sum;
  Place& place = map_.entry(person, key);
  place.sum = Sum{};
  return place.sum;
}

void Places::save(ByteWriter& out) const {
  out.begin_part("places of rows");
  out.put(limit_);
  TR_ASSERT(retired_.empty());
  out.put_array(free_);
  map_.save(out);
}

Result<void> Places::restore(ByteReader& in) {
  limit_ = TRY(in.get<Key>());
  free_ = TRY(in.get_array<Key>());
  retired_.clear();
  return map_.restore(in);
}

bool Places::slots_lie_within(const RowLimits& limits) const {
  constexpr std::uint64_t kSum = UINT64_MAX;
  constexpr Key kKeysMax = 1U << 24;  // more streams nobody has: the file is damaged
  std::vector<std::uint64_t> by_key;
  for (const auto& [key, limit] : limits) {
    if (key >= kKeysMax) return false;
    if (key >= by_key.size()) by_key.resize(key + std::size_t{1}, kSum);
    by_key[key] = limit;
  }
  for (std::uint32_t person = 0; person < map_.person_limit(); ++person) {
    const auto keys = map_.keys(PersonId(person));
    const auto places = map_.values(PersonId(person));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] >= by_key.size() || by_key[keys[i]] == kSum) continue;
      const Slot& slot = places[i].slot;
      if (std::uint64_t{slot.begin} + slot.count > by_key[keys[i]]) return false;
    }
  }
  return true;
}

}  // namespace tailrace::history
