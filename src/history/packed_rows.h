// When events were and where their records are, ten bytes a row instead of sixteen: each is kept in 40 bits,
// as the distance from where most are. The rest stand in a table of their own, each once, and a row holds
// their place: any time and any position is kept exactly.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/growing_array.h"
#include "base/id.h"
#include "base/memory_use.h"
#include "base/time.h"

namespace tailrace::history {

// How one kind of value is kept in 40 bits. kBegin: the least of those without a table.
template <class T>
struct Packing;
template <>
struct Packing<Time> {
  static constexpr std::int64_t kBegin = 1'104'537'600'000;  // 2005; 32 years from it on
  static std::int64_t number_of(Time time) { return time.ms; }
  static Time of(std::int64_t number) { return {number}; }
};
template <>
struct Packing<Position> {
  static constexpr std::int64_t kBegin = 0;  // a log of one terabyte
  static std::int64_t number_of(Position position) { return static_cast<std::int64_t>(position.value); }
  static Position of(std::int64_t number) { return Position(static_cast<std::uint64_t>(number)); }
};

template <class T>
class Packed {
 public:
  static constexpr std::size_t kBytes = 5;

  T load(const unsigned char* bytes) const {
    std::uint32_t low = 0;
    std::memcpy(&low, bytes, sizeof low);
    const std::uint64_t code = low | std::uint64_t{bytes[4]} << 32;
    if (code >= kFar) [[unlikely]]
      return Packing<T>::of(far_[code - kFar]);
    return Packing<T>::of(Packing<T>::kBegin + static_cast<std::int64_t>(code));
  }
  void store(unsigned char* bytes, T value) {
    const std::uint64_t code = code_of(Packing<T>::number_of(value));
    const auto low = static_cast<std::uint32_t>(code);
    std::memcpy(bytes, &low, sizeof low);
    bytes[4] = static_cast<unsigned char>(code >> 32);
  }
  // For bytes of a damaged file: may one be in the table? Others can be loaded, whatever they are.
  static constexpr unsigned char kFarTop = 0xf0;
  // Is it one of those that can be loaded?
  bool can_load(const unsigned char* bytes) const {
    std::uint32_t low = 0;
    std::memcpy(&low, bytes, sizeof low);
    const std::uint64_t code = low | std::uint64_t{bytes[4]} << 32;
    return code < kFar || code - kFar < far_.size();
  }

  MemoryUse memory() const {
    MemoryUse use = memory_of(far_);
    return use += memory_of_table(places_);
  }
  void save(ByteWriter& out) const { out.put_array(far_); }
  Result<void> restore(ByteReader& in) {
    far_ = TRY(in.get_array<std::int64_t>());
    for (std::size_t i = 0; i < far_.size(); ++i) places_.emplace(far_[i], i);
    return {};
  }

 private:
  // Codes from here on are places in the table, which has room for more than a stream has rows.
  static constexpr std::uint64_t kFar = (std::uint64_t{1} << 40) - (std::uint64_t{1} << 36);
  static_assert(kFar >> 32 == kFarTop);

  std::uint64_t code_of(std::int64_t number) {
    // Unsigned, as what lies before the beginning is far behind it then.
    const std::uint64_t distance =
        static_cast<std::uint64_t>(number) - static_cast<std::uint64_t>(Packing<T>::kBegin);
    if (distance < kFar) [[likely]]
      return distance;
    const auto [known, added] = places_.emplace(number, far_.size());
    if (added) far_.push_back(number);
    return kFar + known->second;
  }

  std::vector<std::int64_t> far_;
  boost::unordered_flat_map<std::int64_t, std::uint64_t> places_;  // in far_
};

struct PackedRow {
  unsigned char time[Packed<Time>::kBytes];
  unsigned char position[Packed<Position>::kBytes];
};
static_assert(sizeof(PackedRow) == 10 && alignof(PackedRow) == 1);

// The times or the positions of neighbouring rows, to be read as an array is.
template <class T>
class PackedView {
 public:
  class Iterator {
   public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = T;

    Iterator() = default;
    Iterator(const Packed<T>* packed, const unsigned char* at) : packed_(packed), at_(at) {}
    T operator*() const { return packed_->load(at_); }
    T operator[](difference_type n) const { return *(*this + n); }
    Iterator& operator++() { return *this += 1; }
    Iterator& operator--() { return *this -= 1; }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++*this;
      return before;
    }
    Iterator operator--(int) {
      const Iterator before = *this;
      --*this;
      return before;
    }
    Iterator& operator+=(difference_type n) {
      at_ += n * kStep;
      return *this;
    }
    Iterator& operator-=(difference_type n) { return *this += -n; }
    friend Iterator operator+(Iterator it, difference_type n) { return it += n; }
    friend Iterator operator+(difference_type n, Iterator it) { return it += n; }
    friend Iterator operator-(Iterator it, difference_type n) { return it -= n; }
    friend difference_type operator-(const Iterator& a, const Iterator& b) { return (a.at_ - b.at_) / kStep; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }
    friend auto operator<=>(const Iterator& a, const Iterator& b) { return a.at_ <=> b.at_; }

   private:
    static constexpr std::ptrdiff_t kStep = sizeof(PackedRow);
    const Packed<T>* packed_ = nullptr;
    const unsigned char* at_ = nullptr;
  };

  PackedView() = default;
  PackedView(const Packed<T>* packed, const unsigned char* first, std::size_t size)
      : packed_(packed), first_(first), size_(size) {}
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T operator[](std::size_t row) const { return packed_->load(first_ + row * sizeof(PackedRow)); }
  T front() const { return (*this)[0]; }
  T back() const { return (*this)[size_ - 1]; }
  Iterator begin() const { return {packed_, first_}; }
  Iterator end() const { return begin() + static_cast<std::ptrdiff_t>(size_); }

 private:
  const Packed<T>* packed_ = nullptr;
  const unsigned char* first_ = nullptr;
  std::size_t size_ = 0;
};

class PackedRows {
 public:
  std::size_t size() const { return rows_.size(); }
  void grow_to(std::size_t size) { rows_.grow_to(size); }
  Time time(std::size_t row) const { return times_.load(rows_[row].time); }
  Position position(std::size_t row) const { return positions_.load(rows_[row].position); }
  PackedView<Time> times(std::size_t first, std::size_t count) const {
    return {&times_, count == 0 ? nullptr : rows_[first].time, count};
  }
  PackedView<Position> positions(std::size_t first, std::size_t count) const {
    return {&positions_, count == 0 ? nullptr : rows_[first].position, count};
  }
  void set(std::size_t row, Time time, Position position) {
    times_.store(rows_[row].time, time);
    positions_.store(rows_[row].position, position);
  }
  // The same before `end`, behind which there is room: those from `row` on move up by one.
  void insert(std::size_t row, std::size_t end, Time time, Position position) {
    std::move_backward(rows_.begin() + row, rows_.begin() + end, rows_.begin() + end + 1);
    set(row, time, position);
  }
  void copy(std::size_t from, std::size_t count, std::size_t to) {
    std::copy_n(rows_.begin() + from, count, rows_.begin() + to);
  }
  void wipe(std::size_t first, std::size_t count) { std::fill_n(rows_.begin() + first, count, PackedRow{}); }
  void prefetch(std::size_t row) const { __builtin_prefetch(&rows_[row]); }
  void prefetch_to_write(std::size_t row) const { __builtin_prefetch(&rows_[row], 1); }

  MemoryUse memory() const {
    MemoryUse use = rows_.memory();
    use += times_.memory();
    return use += positions_.memory();
  }
  void save(ByteWriter& out) const {
    out.put_array(rows_.view());
    times_.save(out);
    positions_.save(out);
  }
  Result<void> restore(ByteReader& in) {
    TRY(in.get_into(rows_));
    TRY(times_.restore(in));
    TRY(positions_.restore(in));
    const auto rows = rows_.view();
    // Nearly always none is far, and that is seen several rows at a time.
    bool any_far = false;
    for (const PackedRow& row : rows)
      any_far |= row.time[4] >= Packed<Time>::kFarTop || row.position[4] >= Packed<Position>::kFarTop;
    const bool sound = !any_far || std::all_of(rows.begin(), rows.end(), [&](const PackedRow& row) {
      return times_.can_load(row.time) && positions_.can_load(row.position);
    });
    if (!sound) return fail(Error::Code::corrupt, "a row of a time or position that is not there");
    return {};
  }

 private:
  GrowingArray<PackedRow> rows_;
  Packed<Time> times_;
  Packed<Position> positions_;
};

}  // namespace tailrace::history
