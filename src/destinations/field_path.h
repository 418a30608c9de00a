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
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/value.h"

namespace tailrace::destinations {

class FieldPath {
 public:
  // Errors: invalid_argument, with the place in the text.
  static Result<FieldPath> parse(std::string_view text);
  // Missing: nothing is there. Numbers written as text count as numbers in arithmetic.
  Value read(const Value& record) const;
  const std::string& text() const { return text_; }

  struct Node;

 private:
  std::string text_;
  std::shared_ptr<const Node> root_;
};

}  // namespace tailrace::destinations
