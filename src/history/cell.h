// One property value in eight bytes, so that a column is an array. Equal values have equal bits, so that
// `distinct` and `=` need not look further. Numbers of up to 16 digits stand in the cell; strings and the
// rest in a shared pool.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/bytes.h"
#include "base/memory_use.h"
#include "model/value.h"

namespace tailrace::history {

struct Cell {
  std::uint64_t bits = 0;  // 0: missing
  bool present() const { return bits != 0; }
  bool operator==(const Cell&) const = default;
};

class CellPool {
 public:
  Cell intern(const Value& value);
  Value load(Cell cell) const;
  // The string in the cell, or the list or object, or nullptr. Valid as long as the pool.
  const std::string* text(Cell cell) const;
  const Value* other(Cell cell) const;
  // The number in the cell, if it is one.
  bool number(Cell cell, Number& out) const;
  // mantissa * 10^-scale, if it is a number small enough to stand in the cell. The fast path of sums.
  static bool small_decimal(Cell cell, std::int64_t& mantissa, int& scale);
  // False: it is no list, which stands for its elements.
  static bool may_be_several(Cell cell);

  // Those of its strings, lists and objects that cells hold; others, such as a deleted person's, are not
  // written.
  class Used {
   public:
    void add(Cell cell);

   private:
    friend class CellPool;
    std::vector<bool> strings_, others_;
  };
  void save(ByteWriter& out, const Used& used) const;
  Result<void> restore(ByteReader& in);

  // Lists and objects by the length of their text.
  MemoryUse memory() const;

 private:
  Cell intern_other(const Value& value);

  std::deque<std::string> strings_;  // a deque: views into it stay
  boost::unordered_flat_map<std::string_view, std::uint32_t> string_ids_;
  std::deque<Value> others_;
  boost::unordered_flat_map<std::string, std::uint32_t> other_ids_;  // by JSON text
  std::uint64_t text_bytes_ = 0;  // of strings, lists and objects, beside what the tables take
};

}  // namespace tailrace::history
