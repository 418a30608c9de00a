// Where each person's rows stand in the streams, and the running sums of their columns. A record asks about
// many streams of one person, a question about one stream of everybody. So what few people have stands in one
// block of memory per person; what a quarter of them have or more, in a table of its own by person, which is
// read from one end to the other at the speed of memory (docs/decisions/0028).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/growing_array.h"
#include "base/person_map.h"
#include "history/slot.h"

namespace tailrace::history {

// The exact sum of a column over all of a person's rows, kept as rows come: {mantissa, scale}; `exact` false:
// add up yourself.
struct Sum {
  static constexpr std::uint8_t kScaleMax = 18;
  std::int64_t mantissa = 0;
  std::uint32_t numbers = 0;  // rows that hold a number
  std::uint8_t scale = 0;
  bool exact = true;
  std::uint16_t unused = 0;  // saved as it stands, so no byte is left undefined
  bool empty() const { return numbers == 0 && exact; }
};

constexpr std::uint32_t kGroup = 64;  // people who are asked about together
template <class T>
using OfGroup = std::array<T, kGroup>;

class Places {
 public:
  // Keys of streams and of columns; what a key stands for is up to who took it: slots or sums, not both.
  using Key = std::uint32_t;
  // in_tables: a table is begun with the first entry, as for a question, which asks for everybody once.
  enum class Layout : unsigned char { as_it_pays, in_tables };
  explicit Places(Layout layout = Layout::as_it_pays) : layout_(layout) {}
  Key take_key();
  void give_back(Key key);  // without ever having used it
  // The key's entries go away with the next sweep(), which looks at everybody.
  void retire(Key key) { retired_.push_back(key); }
  void sweep();

  // nullptr: none, or an empty one.
  const Slot* slot(PersonId person, Key key) const { return find<Slot>(person, key); }
  const Sum* sum(PersonId person, Key key) const { return find<Sum>(person, key); }
  // Of the people first + i for the bits i of `wanted`; empty ones where there are none. Of others anything.
  void slots(PersonId first, std::uint64_t wanted, Key key, OfGroup<Slot>& found) const {
    group(first, wanted, key, found);
  }
  void sums(PersonId first, std::uint64_t wanted, Key key, OfGroup<Sum>& found) const {
    group(first, wanted, key, found);
  }
  // Added where there is none, to be filled at once; other references to entries are void then.
  Slot& slot_of(PersonId person, Key key) { return entry<Slot>(person, key); }
  Sum& sum_of(PersonId person, Key key) { return entry<Sum>(person, key); }
  void erase(PersonId person, Key key);

  // People below this may have entries.
  std::size_t person_limit() const { return std::max<std::size_t>(limit_of_people_, map_.person_limit()); }
  void prefetch(PersonId person) const { map_.prefetch(person); }
  // In tables the first ones: those of what most people do come first.
  void prefetch_entries(PersonId person) const {
    map_.prefetch_entries(person);
    for (const Key key : std::span(tabled_).first(std::min(tabled_.size(), kFewTables)))
      prefetch_in_table(person, tables_[key]);
  }
  // One entry, after prefetch(): whoever walks over people asks for few of each.
  void prefetch_keys(PersonId person) const { map_.prefetch_keys(person); }
  void prefetch_entry(PersonId person, Key key) const {
    if (person.value < tables_[key].people) {
      prefetch_in_table(person, tables_[key]);
    } else {
      __builtin_prefetch(map_.find(person, key));
    }
  }

  MemoryUse memory() const;

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);
  // After restore(), before anything else: does each slot lie in its stream, and is each sum one? By the keys
  // in use: how many rows the stream has; none: a sum. Looks at each entry of everybody once. Errors:
  // corrupt.
  using Uses = boost::unordered_flat_map<Key, std::optional<std::uint64_t>>;
  Result<void> check(const Uses& uses);

 private:
  union Place {
    Slot slot;
    Sum sum;
    Place() : slot() {}
  };
  static constexpr std::size_t kFewTables = 16;
  enum class Kind : unsigned char { none, slots, sums };
  // The entries of all people below `people` for one key, which have none elsewhere.
  struct Table {
    Kind kind = Kind::none;
    std::uint32_t people = 0;
    std::uint32_t holders = 0;  // people who have an entry, wherever it stands
    GrowingArray<Place> places;
  };
  template <class T>
  static constexpr Kind kKindOf = std::is_same_v<T, Slot> ? Kind::slots : Kind::sums;
  template <class T>
  static T& part(Place& place) {
    if constexpr (std::is_same_v<T, Slot>) {
      return place.slot;
    } else {
      return place.sum;
    }
  }
  template <class T>
  static const T& part(const Place& place) {
    return part<T>(const_cast<Place&>(place));
  }

  template <class T>
  const T* find(PersonId person, Key key) const {
    const Table& table = tables_[key];
    if (person.value < table.people) {
      const T& found = part<T>(table.places[person.value]);
      return found.empty() ? nullptr : &found;
    }
    const Place* place = map_.find(person, key);
    return place == nullptr ? nullptr : &part<T>(*place);
  }
  template <class T>
  void group(PersonId first, std::uint64_t wanted, Key key, OfGroup<T>& found) const;
  template <class T>
  T& entry(PersonId person, Key key);
  bool table_pays(const Table& table) const;
  void extend(Key key, PersonId person);
  void extend_to(Key key, std::uint32_t people);
  static void clear(Place& place, Kind kind);
  static bool is_empty(const Place& place, Kind kind);
  static void prefetch_in_table(PersonId person, const Table& table) {
    if (person.value < table.people) __builtin_prefetch(&table.places[person.value]);
  }

  Layout layout_;
  PersonMap<Place> map_;
  std::vector<Table> tables_;  // by key
  std::vector<Key> tabled_;    // those of them that are in use
  std::uint32_t limit_of_people_ = 0;
  Key limit_ = 0;  // keys below this were given out
  std::vector<Key> free_, retired_;
};

}  // namespace tailrace::history
