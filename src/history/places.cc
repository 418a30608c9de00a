#include "history/places.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/bits.h"

namespace tailrace::history {
namespace {

// A table pays if a quarter of those there are have an entry: 16 bytes for everybody then, against 20 and
// room to grow for each who has one, and a hundred times the time of a look. The first few may be anybody.
constexpr std::uint32_t kTablePeople = 64;
constexpr std::uint32_t kFewPeople = 1024;
// A table is filled with those who have entries already step by step, as entries are asked for to be changed.
constexpr std::uint32_t kStep = 8;
// Somebody new who is so near behind a table's last is taken in at once.
constexpr std::uint32_t kNear = 1024;

}  // namespace

Places::Key Places::take_key() {
  if (free_.empty()) {
    tables_.resize(std::max<std::size_t>(tables_.size(), limit_ + std::size_t{1}));
    return limit_++;
  }
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
  // Whoever is in a table has nothing of it in a block.
  std::vector<Key> in_blocks;
  std::uint32_t first = static_cast<std::uint32_t>(map_.person_limit());
  for (const Key key : retired_) {
    if (tables_[key].holders > 0) {
      in_blocks.push_back(key);
      first = std::min(first, tables_[key].people);
    }
    tables_[key] = {};
    std::erase(tabled_, key);
  }
  if (!in_blocks.empty()) {
    for (std::uint32_t person = first; person < map_.person_limit(); ++person) {
      for (const Key key : in_blocks) map_.erase(PersonId(person), key);
    }
  }
  free_.insert(free_.end(), retired_.begin(), retired_.end());
  retired_.clear();
}

void Places::clear(Place& place, Kind kind) {
  if (kind == Kind::slots) {
    place.slot = Slot{};
  } else {
    place.sum = Sum{};
  }
}

bool Places::is_empty(const Place& place, Kind kind) {
  return kind == Kind::slots ? place.slot.empty() : place.sum.empty();
}

template <class T>
T& Places::entry(PersonId person, Key key) {
  limit_of_people_ = std::max(limit_of_people_, person.value + 1);
  Table& table = tables_[key];
  if (table.kind == Kind::none && table_pays(table)) {
    table.kind = kKindOf<T>;
    tabled_.push_back(key);
  }
  TR_ASSERT(table.kind == Kind::none || table.kind == kKindOf<T>);
  if (table.kind != Kind::none && table.people < limit_of_people_) extend(key, person);
  if (person.value < table.people) {
    T& found = part<T>(table.places[person.value]);
    table.holders += found.empty() ? 1u : 0u;
    return found;
  }
  if (Place* known = map_.find(person, key)) return part<T>(*known);
  ++table.holders;
  Place& place = map_.entry(person, key);
  clear(place, kKindOf<T>);
  return part<T>(place);
}
template Slot& Places::entry<Slot>(PersonId person, Key key);
template Sum& Places::entry<Sum>(PersonId person, Key key);

bool Places::table_pays(const Table& table) const {
  return layout_ == Layout::in_tables ||
         (table.holders >= kTablePeople && table.holders >= limit_of_people_ / 4);
}

// As long as an eighth of those in it have entries.
void Places::extend(Key key, PersonId person) {
  const Table& table = tables_[key];
  if (table.people >= kFewPeople && table.holders < table.people / 8) return;
  const bool is_near = person.value >= table.people && person.value - table.people < kNear;
  const std::uint32_t some_more = std::min(table.people + kStep, limit_of_people_);
  extend_to(key, is_near ? std::max(person.value + 1, some_more) : some_more);
}

void Places::extend_to(Key key, std::uint32_t people) {
  Table& table = tables_[key];
  table.places.grow_to(people);
  for (std::uint32_t person = table.people; person < people; ++person) {
    Place& place = table.places[person];
    if (const Place* known = map_.find(PersonId(person), key)) {
      place = *known;
      map_.erase(PersonId(person), key);
      map_.trim(PersonId(person));
    } else {
      clear(place, table.kind);
    }
  }
  table.people = people;
}

template <class T>
void Places::group(PersonId first, std::uint64_t wanted, Key key, OfGroup<T>& found) const {
  const Table& table = tables_[key];
  if (first.value + kGroup <= table.people) {
    for (std::uint32_t i = 0; i < kGroup; ++i) found[i] = part<T>(table.places[first.value + i]);
    return;
  }
  const auto each = [&](auto visit) {
    each_bit(wanted, [&](std::uint32_t i) { visit(i, PersonId(first.value + i)); });
  };
  found = {};
  // Step by step, as each is a line of memory to wait for.
  each([&](std::uint32_t, PersonId person) { map_.prefetch(person); });
  each([&](std::uint32_t, PersonId person) { map_.prefetch_keys(person); });
  OfGroup<const T*> places;
  each([&](std::uint32_t i, PersonId person) {
    places[i] = find<T>(person, key);
    __builtin_prefetch(places[i]);
  });
  each([&](std::uint32_t i, PersonId) {
    if (places[i] != nullptr) found[i] = *places[i];
  });
}
template void Places::group<Slot>(PersonId first, std::uint64_t wanted, Key key, OfGroup<Slot>& found) const;
template void Places::group<Sum>(PersonId first, std::uint64_t wanted, Key key, OfGroup<Sum>& found) const;

void Places::erase(PersonId person, Key key) {
  Table& table = tables_[key];
  if (person.value < table.people) {
    Place& place = table.places[person.value];
    if (is_empty(place, table.kind)) return;
    clear(place, table.kind);
  } else {
    if (map_.find(person, key) == nullptr) return;
    map_.erase(person, key);
  }
  --table.holders;
}

MemoryUse Places::memory() const {
  MemoryUse use = map_.memory();
  for (const Key key : tabled_) use += tables_[key].places.memory();
  return use;
}

void Places::save(ByteWriter& out) const {
  out.begin_part("places of rows");
  out.put(limit_);
  TR_ASSERT(retired_.empty());
  out.put_array(free_);
  for (Key key = 0; key < limit_; ++key) out.put(tables_[key].kind);
  map_.save(out);
  for (Key key = 0; key < limit_; ++key) {
    if (tables_[key].kind == Kind::none) continue;
    out.begin_part("table of places", key);
    out.put_array(tables_[key].places.view());
  }
}

Result<void> Places::restore(ByteReader& in) {
  limit_ = TRY(in.get<Key>());
  free_ = TRY(in.get_array<Key>());
  retired_.clear();
  tables_.clear();
  tabled_.clear();
  if (in.left() < limit_) return fail(Error::Code::corrupt, "more keys than bytes");
  tables_.resize(limit_);
  for (Table& table : tables_) {
    table.kind = TRY(in.get<Kind>());
    if (table.kind > Kind::sums) return fail(Error::Code::corrupt, "places of an unknown kind");
  }
  std::vector<bool> is_free(limit_);
  for (const Key key : free_) {
    if (key >= limit_ || is_free[key] || tables_[key].kind != Kind::none)
      return fail(Error::Code::corrupt, "a key that is free and is not");
    is_free[key] = true;
  }
  TRY(map_.restore(in));
  limit_of_people_ = static_cast<std::uint32_t>(map_.person_limit());
  for (Key key = 0; key < limit_; ++key) {
    Table& table = tables_[key];
    if (table.kind == Kind::none) continue;
    tabled_.push_back(key);
    TRY(in.get_into(table.places));
    if (table.places.size() > UINT32_MAX) return fail(Error::Code::corrupt, "a table of too many people");
    table.people = static_cast<std::uint32_t>(table.places.size());
    limit_of_people_ = std::max(limit_of_people_, table.people);
  }
  return {};
}

Result<void> Places::check(const Uses& uses) {
  struct Use {
    Kind kind = Kind::none;
    std::uint64_t rows = 0;
  };
  std::vector<Use> by_key(limit_);
  for (const auto& [key, rows] : uses) {
    if (key >= limit_) return fail(Error::Code::corrupt, "a key that was not given out");
    by_key[key] = rows ? Use{Kind::slots, *rows} : Use{Kind::sums, 0};
  }
  for (const Key key : free_) {
    if (by_key[key].kind != Kind::none) return fail(Error::Code::corrupt, "a key in use that is free");
  }
  const auto is_sound = [&](const Place& place, Key key) {
    const Use& use = by_key[key];
    if (use.kind == Kind::slots) {
      const Slot& slot = place.slot;
      return slot.empty() ||
             (slot.size_class <= kLargestClass && slot.count <= capacity_of(slot.size_class) &&
              slot.begin + std::uint64_t{capacity_of(slot.size_class)} <= use.rows);
    }
    unsigned char exact = 0;
    std::memcpy(&exact, &place.sum.exact, 1);
    return exact <= 1 && place.sum.scale <= Sum::kScaleMax;
  };
  for (const Key key : tabled_) {
    Table& table = tables_[key];
    const auto places = table.places.view();
    if (table.kind != by_key[key].kind ||
        !std::all_of(places.begin(), places.end(), [&](const Place& place) { return is_sound(place, key); }))
      return fail(Error::Code::corrupt, "a table with a range outside its column, or without a sum");
    table.holders = static_cast<std::uint32_t>(std::count_if(
        places.begin(), places.end(), [&](const Place& place) { return !is_empty(place, table.kind); }));
  }
  for (std::uint32_t person = 0; person < map_.person_limit(); ++person) {
    const auto keys = map_.keys(PersonId(person));
    const auto places = map_.values(PersonId(person));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] >= limit_ || by_key[keys[i]].kind == Kind::none || !is_sound(places[i], keys[i]))
        return fail(Error::Code::corrupt, "a range outside its column, or no sum where one should be");
      ++tables_[keys[i]].holders;
    }
  }
  return {};
}

}  // namespace tailrace::history
