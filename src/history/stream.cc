#include "history/stream.h"

#include <algorithm>
#include <string>

#include "base/assert.h"

namespace tailrace::history {
namespace {

// Brings a mantissa from one scale to a finer one; false on overflow.
bool rescale(std::int64_t& mantissa, int from, int to) {
  for (; from < to; ++from) {
    if (__builtin_mul_overflow(mantissa, std::int64_t{10}, &mantissa)) return false;
  }
  return true;
}

}  // namespace

Stream::Stream(std::shared_ptr<Places> places) : places_(std::move(places)), key_(places_->take_key()) {}
Stream::~Stream() {
  places_->retire(key_);
  for (const ColumnData& column : columns_) {
    if (column.sums == Sums::kept) places_->retire(column.sum_key);
  }
}

Column Stream::add_column(Sums sums) {
  columns_.emplace_back();
  const auto column = static_cast<Column>(columns_.size() - 1);
  if (sums == Sums::kept) keep_sums(column);
  return column;
}

void Stream::keep_sums(Column column) {
  ColumnData& data = columns_[column];
  TR_ASSERT(data.sums == Sums::none);
  data.sums = Sums::kept;
  data.sum_key = places_->take_key();
}

void Stream::add_sums(PersonId person, Column column) {
  const Slot* found = slot(person);
  if (found == nullptr) return;
  if (const Sum sum = add_up(*found, column); !sum.empty())
    places_->sum_of(person, columns_[column].sum_key) = sum;
}

void Stream::prefetch_newest(PersonId person) const {
  const Slot* found = slot(person);
  if (found == nullptr || found->count == 0) return;
  const std::size_t newest = found->begin + found->count - 1;
  rows_.prefetch_to_write(newest);
  for (const ColumnData& column : columns_) {
    if (column.cells.size() > 0) __builtin_prefetch(&column.cells[newest]);
  }
}

void Stream::prefetch_rows(PersonId person) const {
  const Slot* found = slot(person);
  if (found == nullptr) return;
  // People have few rows of most names: their first and last lines are most of what there is.
  for (const std::size_t row : {std::size_t{found->begin}, std::size_t{found->begin} + found->count - 1}) {
    rows_.prefetch(row);
    for (const ColumnData& column : columns_) {
      if (column.cells.size() > 0) __builtin_prefetch(&column.cells[row]);
    }
  }
}

void Stream::drop_last_column() {
  if (columns_.back().sums == Sums::kept) places_->retire(columns_.back().sum_key);
  columns_.pop_back();
}

std::uint32_t Stream::take_range(std::uint32_t size_class) {
  auto& free = free_ranges_[size_class];
  if (!free.empty()) {
    const std::uint32_t begin = free.back();
    free.pop_back();
    return begin;
  }
  const std::size_t begin = rows_.size();
  const std::size_t end = begin + capacity_of(size_class);
  TR_ASSERT(end <= UINT32_MAX);
  rows_.grow_to(end);
  for (ColumnData& column : columns_) {
    if (column.cells.size() > 0) column.cells.grow_to(end);
  }
  return static_cast<std::uint32_t>(begin);
}

// Wiped, as columns are saved as they stand: nothing of a deleted person may be among them.
void Stream::release_range(std::uint32_t begin, std::uint32_t size_class) {
  rows_.wipe(begin, capacity_of(size_class));
  for (ColumnData& column : columns_) {
    if (column.cells.size() > 0) std::fill_n(column.cells.begin() + begin, capacity_of(size_class), Cell{});
  }
  free_ranges_[size_class].push_back(begin);
}

void Stream::grow(Slot& slot) {
  const std::uint32_t old_class = slot.size_class;
  const std::uint32_t new_class = old_class == Slot::kNoRange ? 0 : old_class + 1;
  TR_ASSERT(new_class <= kLargestClass);
  const std::uint32_t begin = take_range(new_class);
  rows_.copy(slot.begin, slot.count, begin);
  for (ColumnData& column : columns_) {
    if (column.cells.size() > 0)
      std::copy_n(column.cells.begin() + slot.begin, slot.count, column.cells.begin() + begin);
  }
  if (old_class != Slot::kNoRange) release_range(slot.begin, old_class);
  slot.begin = begin;
  slot.size_class = new_class & 63;
}

// Most properties never come with most events: a column without values takes no memory.
void Stream::set(ColumnData& column, std::size_t place, Cell cell) {
  if (column.cells.size() == 0) {
    if (!cell.present()) return;
    column.cells.grow_to(rows_.size());
  }
  column.cells[place] = cell;
}

void Stream::add_to_sum(PersonId person, const ColumnData& column, Cell cell) {
  if (column.sums == Sums::kept && cell.present()) add(places_->sum_of(person, column.sum_key), cell);
}

void Stream::add(Sum& sum, Cell cell) {
  std::int64_t mantissa = 0;
  int scale = 0;
  if (!CellPool::small_decimal(cell, mantissa, scale)) {
    // A string adds nothing, a very long number more than fits here: the rare reader adds up the rows.
    sum.exact = false;
    return;
  }
  ++sum.numbers;
  const int common = std::max<int>(sum.scale, scale);
  std::int64_t total = sum.mantissa;
  if (common > Sum::kScaleMax || !rescale(total, sum.scale, common) || !rescale(mantissa, scale, common) ||
      __builtin_add_overflow(total, mantissa, &total)) {
    sum.exact = false;
    return;
  }
  sum.mantissa = total;
  sum.scale = static_cast<std::uint8_t>(common);
}

Sum Stream::add_up(const Slot& slot, Column column) const {
  Sum sum;
  const auto& cells = columns_[column].cells;
  if (cells.size() == 0) return sum;
  for (const Cell cell : cells.view().subspan(slot.begin, slot.count)) {
    if (cell.present()) add(sum, cell);
  }
  return sum;
}

void Stream::insert(PersonId person, Time time, Position position, std::string_view message_id,
                    std::span<const Cell> cells, MessageIds& ids) {
  TR_ASSERT(cells.size() == columns_.size());
  Slot& slot = places_->slot_of(person, key_);
  if (slot.size_class == Slot::kNoRange || slot.count == capacity_of(slot.size_class)) grow(slot);
  const std::size_t begin = slot.begin;
  std::size_t place = begin + slot.count;
  while (place > begin && rows_.time(place - 1) > time) --place;
  while (place > begin && rows_.time(place - 1) == time) {
    const Position other = rows_.position(place - 1);
    const auto order = ids.message_id(other).compare(message_id);
    if (order < 0 || (order == 0 && other < position)) break;
    --place;
  }
  rows_.insert(place, begin + slot.count, time, position);
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].cells.size() == 0) {
      set(columns_[i], place, cells[i]);
    } else {
      const auto at = columns_[i].cells.begin() + static_cast<std::ptrdiff_t>(place);
      const auto end = columns_[i].cells.begin() + static_cast<std::ptrdiff_t>(begin + slot.count);
      std::move_backward(at, end, end + 1);
      *at = cells[i];
    }
  }
  slot.last = slot.count == 0 ? time : std::max(slot.last, time);
  slot.count = (slot.count + 1) & ((1U << 26) - 1);
  ++row_count_;
  // Last, as a new sum moves the slot.
  for (std::size_t i = 0; i < columns_.size(); ++i) add_to_sum(person, columns_[i], cells[i]);
}

void Stream::load(PersonId person, std::span<const Time> times, std::span<const Position> positions,
                  std::span<const Cell> cells) {
  TR_ASSERT(!times.empty() && cells.size() == times.size() * columns_.size());
  Slot& slot = places_->slot_of(person, key_);
  TR_ASSERT(slot.size_class == Slot::kNoRange);
  std::uint32_t size_class = 0;
  while (capacity_of(size_class) < times.size()) ++size_class;
  TR_ASSERT(size_class <= kLargestClass);
  const std::uint32_t begin = take_range(size_class);
  for (std::size_t row = 0; row < times.size(); ++row) rows_.set(begin + row, times[row], positions[row]);
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    for (std::size_t row = 0; row < times.size(); ++row)
      set(columns_[i], begin + row, cells[row * columns_.size() + i]);
  }
  slot = {.begin = begin,
          .count = static_cast<std::uint32_t>(times.size()) & ((1U << 26) - 1),
          .size_class = size_class & 63,
          .last = times.back()};
  row_count_ += times.size();
  for (std::size_t i = 0; i < cells.size(); ++i) add_to_sum(person, columns_[i % columns_.size()], cells[i]);
}

std::optional<std::size_t> Stream::find_row(const Rows& rows, Time time, Position position) const {
  auto row = static_cast<std::size_t>(std::lower_bound(rows.times.begin(), rows.times.end(), time) -
                                      rows.times.begin());
  for (; row < rows.size() && rows.times[row] == time; ++row) {
    if (rows.positions[row] == position) return row;
  }
  return std::nullopt;
}

bool Stream::has_row(PersonId person, Time time, Position position) const {
  return find_row(rows(person), time, position).has_value();
}

bool Stream::set_cell(PersonId person, Time time, Position position, Column column, Cell cell) {
  const Rows found = rows(person);
  const auto row = find_row(found, time, position);
  if (!row) return false;
  fill_cell(person, found, *row, column, cell);
  return true;
}

void Stream::move(PersonId from, PersonId to, MessageIds& ids) {
  const Rows leaving = rows(from);
  if (leaving.size() == 0) return;
  // Copied first: inserting may move the columns.
  const std::vector<Time> times(leaving.times.begin(), leaving.times.end());
  const std::vector<Position> positions(leaving.positions.begin(), leaving.positions.end());
  std::vector<Cell> cells;
  for (std::size_t row = 0; row < times.size(); ++row) {
    for (Column column = 0; column < columns_.size(); ++column) cells.push_back(cell(leaving, row, column));
  }
  erase(from);
  for (std::size_t row = 0; row < times.size(); ++row) {
    const std::string id(ids.message_id(positions[row]));
    insert(to, times[row], positions[row], id,
           std::span(cells).subspan(row * columns_.size(), columns_.size()), ids);
  }
}

void Stream::erase(PersonId person) {
  const Slot* slot = this->slot(person);
  if (slot == nullptr) return;
  release_range(slot->begin, slot->size_class);
  row_count_ -= slot->count;
  places_->erase(person, key_);
  for (const ColumnData& column : columns_) {
    if (column.sums == Sums::kept) places_->erase(person, column.sum_key);
  }
}

std::vector<Places::Key> Stream::sum_keys() const {
  std::vector<Places::Key> keys;
  for (const ColumnData& column : columns_) {
    if (column.sums == Sums::kept) keys.push_back(column.sum_key);
  }
  return keys;
}

Stream::Memory Stream::memory() const {
  const std::size_t empty = rows_.size() - row_count_;
  Memory memory{.rows = rows_.memory(), .columns = {}};
  memory.rows.unused += empty * sizeof(PackedRow);
  for (const auto& ranges : free_ranges_) memory.rows += memory_of(ranges);
  for (const ColumnData& column : columns_) {
    memory.columns += column.cells.memory();
    if (column.cells.size() > 0) memory.columns.unused += empty * sizeof(Cell);
  }
  return memory;
}

void Stream::save(ByteWriter& out) const {
  // The stream's key stays as long as the stream.
  out.begin_part("rows", key_);
  out.put(key_);
  rows_.save(out);
  out.put<std::uint64_t>(columns_.size());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const ColumnData& column = columns_[i];
    out.begin_part("column", std::uint64_t{key_} << 32 | i);
    out.put_array(column.cells.view());
    out.put(column.sums);
    out.put(column.sum_key);
  }
  out.begin_part("free ranges", key_);
  for (const auto& ranges : free_ranges_) out.put_array(ranges);
  out.put(row_count_);
}

Result<void> Stream::restore(ByteReader& in) {
  places_->give_back(key_);
  key_ = TRY(in.get<Places::Key>());
  TR_ASSERT(rows_.size() == 0 && columns_.empty());
  TRY(rows_.restore(in));
  for (auto left = TRY(in.get_count(13)); left > 0; --left) {
    ColumnData column;
    TRY(in.get_into(column.cells));
    column.sums = TRY(in.get<Sums>());
    if (column.sums > Sums::kept) return fail(Error::Code::corrupt, "a column of an unknown kind");
    column.sum_key = TRY(in.get<Places::Key>());
    columns_.push_back(std::move(column));
  }
  for (auto& ranges : free_ranges_) ranges = TRY(in.get_array<std::uint32_t>());
  row_count_ = TRY(in.get<std::uint64_t>());
  const bool same_size = std::all_of(columns_.begin(), columns_.end(), [&](const ColumnData& column) {
    return column.cells.size() == rows_.size() || column.cells.size() == 0;
  });
  if (!same_size) return fail(Error::Code::corrupt, "columns of different lengths");
  return {};
}

}  // namespace tailrace::history
