#include "sandbox/members.h"

#include <algorithm>
#include <unordered_set>

namespace tailrace::sandbox {

bool KnownPeople::knows(const MemberId& id) const {
  const std::uint64_t draw = hash64(id.value, hash64(id.kind, seed_));
  return static_cast<double>(draw >> 11) * 0x1.0p-53 < share_;
}

bool KnownPeople::knows_any(std::span<const MemberId> row) const {
  return std::any_of(row.begin(), row.end(), [&](const MemberId& id) { return knows(id); });
}

std::uint64_t Members::person_of(std::span<const MemberId> row) {
  for (const MemberId& id : row) {
    if (const auto found = entries_.find(id); found != entries_.end()) return found->second.person;
  }
  return next_person_++;
}

void Members::attach(std::uint64_t person, const MemberId& id) {
  Person& counts = people_[person];
  ++counts.identifiers;
  if (known_.knows(id) && counts.known++ == 0) ++matched_;
}

void Members::detach(const MemberId& id, const Entry& entry) {
  const auto found = people_.find(entry.person);
  Person& counts = found->second;
  if (known_.knows(id) && --counts.known == 0) --matched_;
  if (--counts.identifiers == 0) people_.erase(found);
}

void Members::add(std::span<const MemberId> row, Time now) {
  const std::uint64_t person = person_of(row);
  for (const MemberId& id : row) {
    const auto [place, fresh] = entries_.try_emplace(id, Entry{person, now});
    if (!fresh && place->second.person != person) {
      detach(id, place->second);
      place->second.person = person;
      attach(person, id);
    } else if (fresh) {
      attach(person, id);
    }
    place->second.added_at = now;
  }
}

void Members::remove(std::span<const MemberId> row) {
  for (const MemberId& id : row) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) continue;
    detach(id, found->second);
    entries_.erase(found);
  }
}

void Members::remove_people(std::span<const MemberId> ids) {
  std::unordered_set<std::uint64_t> leaving;
  for (const MemberId& id : ids) {
    if (const auto found = entries_.find(id); found != entries_.end()) leaving.insert(found->second.person);
  }
  if (leaving.empty()) return;
  std::erase_if(entries_, [&](const auto& entry) {
    if (!leaving.contains(entry.second.person)) return false;
    detach(entry.first, entry.second);
    return true;
  });
}

void Members::remove_added_before(Time time) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (entry->second.added_at >= time) {
      ++entry;
      continue;
    }
    detach(entry->first, entry->second);
    entry = entries_.erase(entry);
  }
}

std::size_t Members::drift_away(std::size_t count, Random& random) {
  std::vector<MemberId> all = sorted();
  count = std::min(count, all.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(all[i], all[i + random.below(all.size() - i)]);
    remove({&all[i], 1});
  }
  return count;
}

void Members::drift_in(std::size_t count, const std::string& kind, Random& random, Time now) {
  for (std::size_t i = 0; i < count; ++i) {
    const MemberId stranger{kind, sha256_hex("stranger " + std::to_string(random.next()))};
    add({&stranger, 1}, now);
  }
}

std::vector<MemberId> Members::sorted() const {
  std::vector<MemberId> all;
  all.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) all.push_back(id);
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace tailrace::sandbox
