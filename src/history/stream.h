// A stream: the events of one name (or those of them that satisfy one `where`), clustered by person, then in
// order of (event time, message id), stored by column. "The n-th most recent" is an array look-up; a late
// event lands in its place.
//
// A person's rows stand next to each other in a range of the columns; a range that is full moves to one of
// twice the size, and the old one is reused. Cost of an event in time order: amortised O(1). Memory: 16 bytes
// per row plus 8 per column, times the slack of the ranges (at most 2, about 1.4 on average).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "history/cell.h"

namespace tailrace::history {

// Message ids are asked for only where two events of a person, of one name, fall in the same millisecond.
class MessageIds {
 public:
  virtual ~MessageIds() = default;
  // Valid until the next call.
  virtual std::string_view message_id(Position position) = 0;
};

using Column = std::uint32_t;

class Stream {
 public:
  // One person's rows, oldest first. Valid until the stream changes.
  struct Rows {
    std::span<const Time> times;
    std::span<const Position> positions;
    std::size_t offset = 0;  // of the first row in the columns
    std::size_t size() const { return times.size(); }
  };

  Rows rows(PersonId person) const;
  Cell cell(const Rows& rows, std::size_t row, Column column) const {
    return columns_[column].cells[rows.offset + row];
  }

  // The exact sum of a column over all of a person's rows, kept as rows come: {mantissa, scale}; `exact`
  // false: add up yourself.
  struct Sum {
    std::int64_t mantissa = 0;
    std::uint32_t numbers = 0;  // rows that hold a number
    std::uint8_t scale = 0;
    bool exact = true;
    std::uint16_t unused = 0;  // saved as it stands, so no byte is left undefined
  };
  const Sum* sum(PersonId person, Column column) const;

  Column add_column();
  void drop_last_column() { columns_.pop_back(); }
  std::size_t column_count() const { return columns_.size(); }
  std::uint64_t row_count() const { return row_count_; }
  std::size_t person_limit() const { return slots_.size(); }  // people below this may have rows

  // cells: one per column.
  void insert(PersonId person, Time time, Position position, std::string_view message_id,
              std::span<const Cell> cells, MessageIds& ids);
  // Fills one cell of a row that is there. False: there is no such row.
  bool set_cell(PersonId person, Time time, Position position, Column column, Cell cell);
  bool has_row(PersonId person, Time time, Position position) const;
  // All rows of `from` become rows of `to`.
  void move(PersonId from, PersonId to, MessageIds& ids);
  void erase(PersonId person);

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);

 private:
  struct Slot {
    std::uint32_t begin = 0;
    std::uint32_t count = 0;
    std::uint32_t size_class = kNoRange;
  };
  struct ColumnData {
    std::vector<Cell> cells;
    std::vector<Sum> sums;  // by person
  };
  static constexpr std::uint32_t kNoRange = 255;

  std::optional<std::size_t> find_row(const Rows& rows, Time time, Position position) const;
  Slot& slot_of(PersonId person);
  std::uint32_t take_range(std::uint32_t size_class);
  void grow(Slot& slot);
  void add_to_sum(PersonId person, ColumnData& column, Cell cell);

  std::vector<Slot> slots_;  // by person
  std::vector<Time> times_;
  std::vector<Position> positions_;
  std::vector<ColumnData> columns_;
  std::array<std::vector<std::uint32_t>, 32> free_ranges_;  // by size class: ranges of 2^class rows
  std::uint64_t row_count_ = 0;
};

}  // namespace tailrace::history
