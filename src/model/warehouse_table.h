// What a table of the warehouse looks like: its columns, and how rows that come later meet those that are
// there.
#pragma once

#include <string>
#include <vector>

namespace tailrace {

enum class ColumnType : unsigned char {
  text,
  boolean,
  integer,  // 64 bits, signed
  decimal,  // exact: 38 digits, 9 of them behind the point
  real,     // IEEE double
  time,     // microseconds since 1970, UTC
  json,     // a text that is JSON
};

struct WarehouseColumn {
  std::string name;  // [a-z_][a-z0-9_]*, at most 63 bytes
  ColumnType type = ColumnType::text;
  std::string about;

  bool operator==(const WarehouseColumn&) const = default;
};

struct WarehouseTable {
  // How rows of later packs meet those that are there.
  enum class Kind : unsigned char {
    append,  // rows are never changed; the key tells a second copy
    latest,  // of the rows with the same key the one with the greatest `version` counts
  };
  std::string name;
  Kind kind = Kind::append;
  std::vector<WarehouseColumn> columns;  // grows over time, at its end; never loses or changes one
  std::vector<std::string> key;          // columns, never empty, never null
  std::string version;                   // of `latest`: an integer column
  std::string about;

  bool operator==(const WarehouseTable&) const = default;
};

}  // namespace tailrace
