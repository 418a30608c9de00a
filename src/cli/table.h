// A table as text, JSON or CSV.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/grouped.h"
#include "base/time.h"
#include "cli/command.h"
#include "model/value.h"

namespace tailrace::cli {

// Cells. Missing where there is nothing to say; an instant of zero is none.
Value number(std::uint64_t value);
Value time_or_nothing(std::optional<Time> time);
Value millis_or_nothing(std::optional<Millis> length);

class Table {
 public:
  explicit Table(std::vector<std::string> columns) : columns_(std::move(columns)) {}
  // One value per column. Missing values print as "-" in text, null in JSON, nothing in CSV.
  void add(std::vector<Value> row) { rows_.push_back(std::move(row)); }
  // JSON: a list of objects, one per line.
  std::string print(Format format) const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<Value>> rows_;
};

}  // namespace tailrace::cli
