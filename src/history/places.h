// Where each person's rows stand in the streams, and the running sums of their columns: everything about one
// person in one block of memory, as a record asks about many streams of one person.
#pragma once

#include <cstdint>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/person_map.h"
#include "base/time.h"

namespace tailrace::history {

// A person's rows of one stream: a range of its columns.
struct Slot {
  static constexpr std::uint32_t kNoRange = 63;
  std::uint32_t begin = 0;
  std::uint32_t count : 26 = 0;
  std::uint32_t size_class : 6 = kNoRange;
  Time last;  // of the newest row
};

// The exact sum of a column over all of a person's rows, kept as rows come: {mantissa, scale}; `exact` false:
// add up yourself.
struct Sum {
  std::int64_t mantissa = 0;
  std::uint32_t numbers = 0;  // rows that hold a number
  std::uint8_t scale = 0;
  bool exact = true;
  std::uint16_t unused = 0;  // saved as it stands, so no byte is left undefined
};

class Places {
 public:
  // Keys of streams and of columns; what a key stands for is up to who took it.
  using Key = std::uint32_t;
  Key take_key();
  void give_back(Key key);  // without ever having used it
  // The key's entries go away with the next sweep(), which looks at everybody.
  void retire(Key key) { retired_.push_back(key); }
  void sweep();

  const Slot* slot(PersonId person, Key key) const {
    const Place* place = map_.find(person, key);
    return place == nullptr ? nullptr : &place->slot;
  }
  const Sum* sum(PersonId person, Key key) const {
    const Place* place = map_.find(person, key);
    return place == nullptr ? nullptr : &place->sum;
  }
  // Added where there is none; other references to this person's entries are void then.
  Slot& slot_of(PersonId person, Key key);
  Sum& sum_of(PersonId person, Key key);
  void erase(PersonId person, Key key) { map_.erase(person, key); }

  std::size_t person_limit() const { return map_.person_limit(); }
  void prefetch(PersonId person) const { map_.prefetch(person); }
  void prefetch_entries(PersonId person) const { map_.prefetch_entries(person); }
  // One entry, after prefetch(): whoever walks over people asks for few of each.
  void prefetch_keys(PersonId person) const { map_.prefetch_keys(person); }
  void prefetch_entry(PersonId person, Key key) const { __builtin_prefetch(map_.find(person, key)); }

  MemoryUse memory() const { return map_.memory(); }

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);
  // For slots read from a file: does each lie in its stream? limits: by the keys of all streams, how many
  // rows there are. Looks at each entry of everybody once.
  using RowLimits = boost::unordered_flat_map<Key, std::uint64_t>;
  bool slots_lie_within(const RowLimits& limits) const;

 private:
  union Place {
    Slot slot;
    Sum sum;
    Place() : slot() {}
  };
  PersonMap<Place> map_;
  Key limit_ = 0;  // keys below this were given out
  std::vector<Key> free_, retired_;
};

}  // namespace tailrace::history
