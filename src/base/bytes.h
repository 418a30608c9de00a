// Writing and reading plain binary (snapshots). Little-endian, as every machine we run on; lengths are
// 64-bit. Reading checks bounds: bytes from a damaged file give an error, never a crash. Both work on one
// string, or in pieces of bounded size, so that a state of gigabytes is never in memory twice:
//
//   state := (piece)*      cut where the writer says that a part begins, and after kPieceBytes
//
// Where the cuts are is no part of what is written: a reader meets the same bytes whatever they are.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/growing_array.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/result.h"

namespace tailrace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;  // at most

// Where pieces go.
class PieceSink {
 public:
  virtual ~PieceSink() = default;
  // key: of the part, and the piece's number in it. A part that is written again later has the same key, so
  // that its bytes can be compared with what they were; two parts may have one key by accident. Errors are
  // the sink's to keep: writers go on, and ask nobody.
  virtual void put(std::uint64_t key, std::string_view piece) = 0;
};

// Where pieces come from.
class PieceSource {
 public:
  virtual ~PieceSource() = default;
  virtual std::uint64_t bytes() const = 0;  // of all pieces together
  // The next one, valid until the one after; not empty. Called only while bytes are left. Errors: corrupt (it
  // is not what was written), io.
  virtual Result<std::string_view> next() = 0;
};

// What is written per person is cut into ranges of so many people.
constexpr std::uint32_t kRangePeople = 4096;
constexpr std::uint64_t range_of(PersonId person) { return person.value / kRangePeople; }
constexpr bool begins_range(PersonId person) { return person.value % kRangePeople == 0; }

// And what is written per shard of a table, into ranges of so many shards: about a piece each, and another
// number only when the table has doubled.
constexpr std::size_t shards_of_range(std::uint64_t bytes, std::size_t shards) {
  std::size_t count = shards;
  while (count > 1 && std::bit_ceil(bytes) / shards * count > kPieceBytes) count /= 2;
  return count;
}

class ByteWriter {
 public:
  ByteWriter() = default;  // into one string
  // Into pieces; finish() hands on the last.
  explicit ByteWriter(PieceSink& sink) : sink_(&sink), limit_(kPieceBytes) { bytes_.reserve(kPieceBytes); }

  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_string(std::string_view text) {
    put<std::uint64_t>(text.size());
    append(text.data(), text.size());
  }
  template <class T>
  void put_array(const std::vector<T>& values) {
    put_array(std::span<const T>(values));
  }
  template <class T>
  void put_array(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    put<std::uint64_t>(values.size());
    append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }

  // A part begins: a structure, and where it is large what stands at a place in it that stays, such as a
  // range of people. What grows or shrinks before it then moves no byte within its pieces.
  void begin_part(std::string_view structure, std::uint64_t number = 0) {
    if (sink_ == nullptr) return;
    hand_on();
    structure_ = hash64(structure);
    begin_range(number);
  }
  // The next range of the structure that was begun last.
  void begin_range(std::uint64_t number) {
    if (sink_ == nullptr) return;
    hand_on();
    part_ = hash64({reinterpret_cast<const char*>(&number), sizeof number}, structure_);
    piece_ = 0;
  }

  std::string take() { return std::move(bytes_); }  // of one string
  std::size_t size() const { return bytes_.size(); }
  void finish() {
    if (sink_ != nullptr) hand_on();
  }

 private:
  void append(const char* bytes, std::size_t size) {
    if (size <= limit_ - bytes_.size()) [[likely]] {
      if (size > 0) bytes_.append(bytes, size);
      return;
    }
    while (size > 0) {
      const std::size_t now = std::min(size, limit_ - bytes_.size());
      bytes_.append(bytes, now);
      bytes += now;
      size -= now;
      if (bytes_.size() == limit_) hand_on();
    }
  }
  void hand_on() {
    if (bytes_.empty()) return;
    sink_->put(part_ + piece_++, bytes_);
    bytes_.clear();
  }

  PieceSink* sink_ = nullptr;
  std::size_t limit_ = std::numeric_limits<std::size_t>::max();
  std::string bytes_;
  std::uint64_t structure_ = 0;
  std::uint64_t part_ = 0;
  std::uint64_t piece_ = 0;  // of the part
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  explicit ByteReader(PieceSource& source) : source_(&source), behind_(source.bytes()) {}

  template <class T>
  Result<T> get() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    if (rest_.size() >= sizeof(T)) [[likely]] {
      std::memcpy(static_cast<void*>(&value), rest_.data(), sizeof value);
      rest_.remove_prefix(sizeof value);
      return value;
    }
    TRY(get_bytes(reinterpret_cast<char*>(&value), sizeof value));
    return value;
  }
  // Valid until something more is read.
  Result<std::string_view> get_view() {
    const auto size = TRY(get<std::uint64_t>());
    if (rest_.size() >= size) [[likely]] {
      const std::string_view text = rest_.substr(0, size);
      rest_.remove_prefix(size);
      return text;
    }
    if (left() < size) return short_read();
    across_.resize(size);
    TRY(get_bytes(across_.data(), size));
    return across_;
  }
  Result<std::string> get_string() { return std::string(TRY(get_view())); }
  template <class T>
  Result<std::vector<T>> get_array() {
    const auto count = TRY(get_count(sizeof(T)));
    std::vector<T> values(count);
    TRY(get_elements(values.data(), count));
    return values;
  }
  // Appends what put_array wrote to an array that grows.
  template <class T>
  Result<void> get_into(GrowingArray<T>& values) {
    const auto count = TRY(get_count(sizeof(T)));
    const std::size_t before = values.size();
    values.grow_to(before + count);
    return get_elements(values.data() + before, count);
  }
  // A count of things that take at least `bytes_each` bytes: bounds what a damaged count can make us
  // allocate.
  Result<std::uint64_t> get_count(std::size_t bytes_each) {
    const auto count = TRY(get<std::uint64_t>());
    if (left() / bytes_each < count) return short_read();
    return count;
  }
  // So many bytes as they were written.
  Result<void> get_bytes(char* to, std::size_t size) {
    if (left() < size) return short_read();
    while (size > rest_.size()) {
      if (!rest_.empty()) std::memcpy(to, rest_.data(), rest_.size());
      to += rest_.size();
      size -= rest_.size();
      rest_ = {};
      const std::string_view piece = TRY(source_->next());
      if (piece.empty() || piece.size() > behind_) return short_read();
      behind_ -= piece.size();
      rest_ = piece;
    }
    if (size > 0) std::memcpy(to, rest_.data(), size);
    rest_.remove_prefix(size);
    return {};
  }
  std::uint64_t left() const { return rest_.size() + behind_; }
  bool done() const { return left() == 0; }

 private:
  template <class T>
  Result<void> get_elements(T* values, std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    return get_bytes(reinterpret_cast<char*>(values), count * sizeof(T));
  }
  static std::unexpected<Error> short_read() { return fail(Error::Code::corrupt, "the bytes end too early"); }

  std::string_view rest_;  // of the piece in hand
  PieceSource* source_ = nullptr;
  std::uint64_t behind_ = 0;  // bytes of the pieces after it
  std::string across_;        // a text that stands in several pieces
};

}  // namespace tailrace
