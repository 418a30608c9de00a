// A stream: the events of one name (or those of them that satisfy one `where`), clustered by person, then in
// order of (event time, message id), stored by column. "The n-th most recent" is an array look-up; a late
// event lands in its place.
//
// A person's rows stand next to each other in a range of the columns; a range that is full moves to one half
// as large again (a quarter, where they are few), and the old one is reused, its rows wiped. Cost of an event
// in time order: amortised O(1). Memory: 10 bytes per row, and 8 per column in which any row has a value,
// times the slack of the ranges (at most 1.5, about 1.15 on average).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/memory_use.h"
#include "base/result.h"
#include "base/time.h"
#include "history/cell.h"
#include "history/packed_rows.h"
#include "history/places.h"

namespace tailrace::history {

// Message ids are asked for only where two events of a person, of one name, fall in the same millisecond.
class MessageIds {
 public:
  virtual ~MessageIds() = default;
  // Valid until the next call.
  virtual std::string_view message_id(Position position) = 0;
};

using Column = std::uint32_t;

// Does a column keep the sum of each person's values?
enum class Sums : unsigned char { none, kept };

class Stream {
 public:
  // One person's rows, oldest first. Valid until the stream changes.
  struct Rows {
    PackedView<Time> times;
    PackedView<Position> positions;
    std::size_t offset = 0;  // of the first row in the columns
    std::size_t size() const { return times.size(); }
  };

  // The stream takes keys of `places`, and gives them back when it goes.
  explicit Stream(std::shared_ptr<Places> places);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Rows rows(PersonId person) const {
    const Slot* found = slot(person);
    return found == nullptr ? Rows() : rows(*found);
  }
  // How many rows and the newest one's time are known without looking at the columns. nullptr: no rows.
  const Slot* slot(PersonId person) const { return places_->slot(person, key_); }
  // Of the people first + i for the bits i of `wanted`: slots, empty where there are no rows.
  void slots(PersonId first, std::uint64_t wanted, OfGroup<Slot>& found) const {
    places_->slots(first, wanted, key_, found);
  }
  // Of a column with sums, likewise.
  void sums(PersonId first, std::uint64_t wanted, Column column, OfGroup<Sum>& found) const {
    places_->sums(first, wanted, columns_[column].sum_key, found);
  }
  // What the sum would be, from the rows.
  Sum add_up(const Slot& slot, Column column) const;
  Rows rows(const Slot& slot) const {
    return {.times = rows_.times(slot.begin, slot.count),
            .positions = rows_.positions(slot.begin, slot.count),
            .offset = slot.begin};
  }
  Cell cell(const Rows& rows, std::size_t row, Column column) const {
    const auto& cells = columns_[column].cells;
    const std::size_t place = rows.offset + row;
    return place < cells.size() ? cells[place] : Cell{};
  }

  void prefetch_newest(PersonId person) const;
  // For a walk over people, some apart: where the person's slot is, the slot, and of the rows the newest
  // one's time or all.
  void prefetch_keys(PersonId person) const { places_->prefetch_keys(person); }
  void prefetch_slot(PersonId person) const { places_->prefetch_entry(person, key_); }
  void prefetch_newest_time(PersonId person) const {
    if (const Slot* found = slot(person)) rows_.prefetch(std::size_t{found->begin} + found->count - 1);
  }
  void prefetch_rows(PersonId person) const;
  void prefetch_row(const Slot& slot, std::size_t row) const { rows_.prefetch(slot.begin + row); }
  void prefetch_cells(const Slot& slot, Column column) const {
    const auto& cells = columns_[column].cells;
    if (cells.size() == 0) return;
    __builtin_prefetch(&cells[slot.begin]);
    __builtin_prefetch(&cells[slot.begin + std::size_t{slot.count}]);
  }
  // nullptr: no row of the person has a value. Of a column without sums: one that is not exact.
  const Sum* sum(PersonId person, Column column) const {
    static constexpr Sum kUnknown{.exact = false};
    const ColumnData& data = columns_[column];
    return data.sums == Sums::kept ? places_->sum(person, data.sum_key) : &kUnknown;
  }

  Column add_column(Sums sums);
  bool has_sums(Column column) const { return columns_[column].sums == Sums::kept; }
  // The column's sums are kept from now on; those of rows that are there are up to add_sums().
  void keep_sums(Column column);
  // Adds up a person's rows. Once.
  void add_sums(PersonId person, Column column);
  void drop_last_column();
  std::size_t column_count() const { return columns_.size(); }
  std::uint64_t row_count() const { return row_count_; }

  // cells: one per column.
  void insert(PersonId person, Time time, Position position, std::string_view message_id,
              std::span<const Cell> cells, MessageIds& ids);
  // All of a person's rows at once, in their order, where there are none yet. cells: row by row, one per
  // column.
  void load(PersonId person, std::span<const Time> times, std::span<const Position> positions,
            std::span<const Cell> cells);
  // Fills one cell of a row that is there. False: there is no such row.
  bool set_cell(PersonId person, Time time, Position position, Column column, Cell cell);
  // Fills one that was missing; the row is one of the person's.
  void fill_cell(PersonId person, const Rows& rows, std::size_t row, Column column, Cell cell) {
    set(columns_[column], rows.offset + row, cell);
    add_to_sum(person, columns_[column], cell);
  }
  bool has_row(PersonId person, Time time, Position position) const;
  // All rows of `from` become rows of `to`.
  void move(PersonId from, PersonId to, MessageIds& ids);
  void erase(PersonId person);

  // Room in people's ranges, and ranges nobody has, are unused.
  struct Memory {
    MemoryUse rows, columns;
  };
  Memory memory() const;

  template <class Visit>
  void for_each_cell(Visit visit) const {
    for (const ColumnData& column : columns_) {
      for (const Cell cell : column.cells.view()) visit(cell);
    }
  }

  void save(ByteWriter& out) const;
  // Whether slots lie within the rows is asked for all streams at once: Places::check.
  Result<void> restore(ByteReader& in);
  Places::Key key() const { return key_; }  // of its slots
  std::vector<Places::Key> sum_keys() const;
  std::size_t row_limit() const { return rows_.size(); }  // slots end before this

 private:
  struct ColumnData {
    GrowingArray<Cell> cells;  // as many as there are rows; none while no row had a value
    Sums sums = Sums::none;
    Places::Key sum_key = 0;  // where sums are kept
  };

  std::optional<std::size_t> find_row(const Rows& rows, Time time, Position position) const;
  std::uint32_t take_range(std::uint32_t size_class);
  void release_range(std::uint32_t begin, std::uint32_t size_class);
  void grow(Slot& slot);
  void set(ColumnData& column, std::size_t place, Cell cell);
  void add_to_sum(PersonId person, const ColumnData& column, Cell cell);
  static void add(Sum& sum, Cell cell);

  std::shared_ptr<Places> places_;
  Places::Key key_;
  PackedRows rows_;
  std::vector<ColumnData> columns_;
  std::array<std::vector<std::uint32_t>, Slot::kNoRange> free_ranges_;  // by size class
  std::uint64_t row_count_ = 0;
};

}  // namespace tailrace::history
