// Thrift's compact protocol, as far as Parquet's metadata needs it: written, field by field, in ascending
// order.
//
//   ThriftStruct page(out);
//   page.put_i32(1, 0); { ThriftStruct header = page.put_struct(5); header.put_i32(1, rows); }   // ends
//   itself
//
// Facts: the compact protocol of Apache Thrift.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"

namespace tailrace::columnar {

inline void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

class ThriftStruct {
 public:
  explicit ThriftStruct(std::string& out) : out_(out) {}
  ~ThriftStruct() { out_ += '\0'; }
  ThriftStruct(const ThriftStruct&) = delete;
  ThriftStruct& operator=(const ThriftStruct&) = delete;

  void put_bool(int field, bool value) { begin(field, value ? 1 : 2); }
  void put_i8(int field, std::int8_t value) {
    begin(field, 3);
    out_ += static_cast<char>(value);
  }
  void put_i32(int field, std::int32_t value) { put_integer(field, 5, value); }
  void put_i64(int field, std::int64_t value) { put_integer(field, 6, value); }
  void put_binary(int field, std::string_view value) {
    begin(field, kBinary);
    put_element(value);
  }
  ThriftStruct put_struct(int field) {
    begin(field, kStruct);
    return ThriftStruct(out_);
  }
  // After these come as many elements.
  void begin_binaries(int field, std::size_t count) { begin_list(field, kBinary, count); }
  void begin_i32s(int field, std::size_t count) { begin_list(field, 5, count); }
  void begin_structs(int field, std::size_t count) { begin_list(field, kStruct, count); }
  void put_element(std::string_view value) {
    put_varint(out_, value.size());
    out_ += value;
  }
  void put_element(std::int32_t value) { put_zigzag(value); }
  ThriftStruct element() { return ThriftStruct(out_); }

 private:
  static constexpr int kBinary = 8;
  static constexpr int kList = 9;
  static constexpr int kStruct = 12;

  void begin(int field, int type) {
    TR_ASSERT(field > last_ && field - last_ < 16);
    out_ += static_cast<char>(((field - last_) << 4) | type);
    last_ = field;
  }
  void begin_list(int field, int type, std::size_t count) {
    begin(field, kList);
    if (count < 15) {
      out_ += static_cast<char>((count << 4) | static_cast<std::size_t>(type));
    } else {
      out_ += static_cast<char>(0xF0 | type);
      put_varint(out_, count);
    }
  }
  void put_integer(int field, int type, std::int64_t value) {
    begin(field, type);
    put_zigzag(value);
  }
  void put_zigzag(std::int64_t value) {
    put_varint(out_, (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }

  std::string& out_;
  int last_ = 0;
};

}  // namespace tailrace::columnar
