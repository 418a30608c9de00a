// Rows as CSV that Redshift's COPY reads, cut into parts of whole rows. Pure.
//
// What comes in is as Transport::read_csv gives it. What goes out has no header; a null is kNull, since COPY
// does not tell an empty field from an empty text; a text that is longer than a VARCHAR holds is cut, and
// JSON that is becomes a null, because a piece of it is none; U+0000, which no VARCHAR holds, is U+FFFD.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "destinations/warehouse_destination.h"

namespace tailrace::destinations::redshift_csv {

inline constexpr std::string_view kNull = "~null~";
inline constexpr std::size_t kTextBytesMax = 65'535;

class Parts {
 public:
  using Take = std::function<Result<void>(std::string part)>;
  // part_bytes: a part ends with the row that reaches it.
  Parts(const WarehouseTable& table, std::size_t part_bytes, Take take);

  Result<void> add(std::string_view piece);
  // After the last piece: hands out what is left. The rows that came, the header not counted.
  Result<std::uint64_t> finish();

 private:
  enum class At : unsigned char { plain, quoted, quote };  // in a field; a quote in a quoted one
  void end_field();
  Result<void> end_row();

  std::vector<bool> is_json_;  // by column
  std::size_t part_bytes_;
  Take take_;
  At at_ = At::plain;
  std::string field_;
  bool was_quoted_ = false;
  std::size_t column_ = 0;
  std::string part_;
  std::uint64_t lines_ = 0;  // that ended
};

}  // namespace tailrace::destinations::redshift_csv
