// Writing and reading plain binary (snapshots). Little-endian, as every machine we run on; lengths are
// 64-bit. Reading checks bounds: bytes from a damaged file give an error, never a crash.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/growing_array.h"
#include "base/result.h"

namespace tailrace {

static_assert(std::endian::native == std::endian::little);

class ByteWriter {
 public:
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_string(std::string_view text) {
    put<std::uint64_t>(text.size());
    bytes_ += text;
  }
  template <class T>
  void put_array(const std::vector<T>& values) {
    put_array(std::span<const T>(values));
  }
  template <class T>
  void put_array(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    put<std::uint64_t>(values.size());
    if (!values.empty())
      bytes_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  std::string take() { return std::move(bytes_); }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  Result<T> get() {
    static_assert(std::is_trivially_copyable_v<T>);
    if (rest_.size() < sizeof(T)) return short_read();
    T value;
    std::memcpy(static_cast<void*>(&value), rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  // A view into the bytes that are read.
  Result<std::string_view> get_view() {
    const auto size = TRY(get<std::uint64_t>());
    if (rest_.size() < size) return short_read();
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  Result<std::string> get_string() { return std::string(TRY(get_view())); }
  template <class T>
  Result<std::vector<T>> get_array() {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto count = TRY(get<std::uint64_t>());
    if (rest_.size() / sizeof(T) < count) return short_read();
    std::vector<T> values(count);
    if (count > 0) std::memcpy(static_cast<void*>(values.data()), rest_.data(), count * sizeof(T));
    rest_.remove_prefix(count * sizeof(T));
    return values;
  }
  // Appends what put_array wrote to an array that grows.
  template <class T>
  Result<void> get_into(GrowingArray<T>& values) {
    const auto count = TRY(get<std::uint64_t>());
    if (rest_.size() / sizeof(T) < count) return short_read();
    const std::size_t before = values.size();
    values.grow_to(before + count);
    if (count > 0) std::memcpy(static_cast<void*>(values.data() + before), rest_.data(), count * sizeof(T));
    rest_.remove_prefix(count * sizeof(T));
    return {};
  }
  // A count of things that take at least `bytes_each` bytes: bounds what a damaged count can make us
  // allocate.
  Result<std::uint64_t> get_count(std::size_t bytes_each) {
    const auto count = TRY(get<std::uint64_t>());
    if (rest_.size() / bytes_each < count) return short_read();
    return count;
  }
  bool done() const { return rest_.empty(); }

 private:
  static std::unexpected<Error> short_read() { return fail(Error::Code::corrupt, "the bytes end too early"); }
  std::string_view rest_;
};

}  // namespace tailrace
