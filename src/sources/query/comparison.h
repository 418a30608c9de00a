// What a query gives against what it gave the time before, both in the order of their keys: one pass, in
// bounded memory.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "sources/query/entry_file.h"
#include "sources/query/row_mapping.h"

namespace tailrace::sources {

struct RowCounts {
  std::uint64_t rows = 0;    // that the query gave
  std::uint64_t before = 0;  // in the snapshot before
  std::uint64_t added = 0;
  std::uint64_t changed = 0;  // of events: and not sent again
  std::uint64_t gone = 0;
  std::uint64_t unchanged = 0;
  std::uint64_t rejected = 0;  // that do not fit, and did not say the same before
  // Keys of several rows that differ: none of these rows is believed, and what was known stays.
  std::uint64_t ambiguous = 0;
  std::uint64_t records = 0;  // to be sent

  bool operator==(const RowCounts&) const = default;
};

// A row, or false at the end.
using NextEntry = std::function<Result<bool>(Entry&)>;
using PutEntry = std::function<Result<void>(const Entry&)>;

// now, before: ascending by key. snapshot: the rows as they are to be known from here on, without their
// records. changes: what is to be sent, in `record`. Errors: theirs.
Result<RowCounts> compare(const RowMapping& mapping, const NextEntry& now, const NextEntry& before,
                          const PutEntry& snapshot, const PutEntry& changes);

}  // namespace tailrace::sources
