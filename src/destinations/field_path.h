// A small expression per field of a mapping: where in a record the value of a field is.
//
//   properties.total                        a dotted path
//   properties.revenue ?? properties.total  the first that is there
//   properties.total_cents / 100            arithmetic, exact: + - * / and parentheses
//   "EUR"                                   a literal; also 12.5
//
// Pure and total: what is missing, or cannot be reckoned with, gives nothing.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "model/value.h"

namespace tailrace::destinations {

// A record in parts, by name; lent. Nothing is copied together for it.
using RecordParts = std::span<const std::pair<std::string_view, const Value*>>;

class FieldPath {
 public:
  // Errors: invalid_argument, with the place in the text.
  static Result<FieldPath> parse(std::string_view text);
  // Missing: nothing is there. Numbers written as text count as numbers in arithmetic.
  Value read(const Value& record) const;
  // The value stands in the record, in the path, or (reckoned) in `room`; nullptr: nothing is there.
  const Value* find(RecordParts record, Value& room) const;
  const std::string& text() const { return text_; }

  struct Node;

 private:
  std::string text_;
  std::shared_ptr<const Node> root_;
};

}  // namespace tailrace::destinations
