// A value while an expression is evaluated: numbers and times by value, texts and lists lent by the profile,
// the history or the plan they come from.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/number.h"
#include "base/time.h"
#include "language/ast.h"
#include "model/value.h"

namespace tailrace::segments {

struct Scalar {
  enum class Kind : unsigned char { missing, boolean, number, string, time, list };
  Kind kind = Kind::missing;
  bool boolean = false;
  Number number;
  Time time;
  std::string_view text;
  const Value* list = nullptr;  // a list or an object

  bool present() const { return kind != Kind::missing; }

  static Scalar of(bool value);
  static Scalar of(Number value);
  static Scalar of(Time value);
  static Scalar of(std::string_view value);
  static Scalar of(const Value& value);
  static Scalar of(const language::Literal& literal);
};

// What an operator says of two values in this order.
bool satisfies(language::Comparison op, std::strong_ordering order);
// How two values compare under an operator. A missing side is false for every operator, and sides of
// different kinds are only `not_equal`; a string beside a time is read as a time; a list compares as "any
// element does".
bool compare(language::Comparison op, const Scalar& left, const Scalar& right);
// Arithmetic on numbers; missing where a side is no number, or on division by zero.
Scalar compute(language::Arithmetic::Op op, const Scalar& left, const Scalar& right);

// For people: 12.5, "text", 2026-03-01T10:00:00.000Z, missing.
std::string to_string(const Scalar& value);

// The value as one of that type: a string where a time is declared is the time it reads as.
Scalar typed(language::Type type, const Scalar& value);

// All values at a path below an element, the elements of lists on the way and at its end one by one.
void collect(const Value& from, std::string_view path, std::vector<Scalar>& found);

// The paths of properties that a `where` looks at, from the event's properties on.
std::vector<std::string> paths_in(const language::Expr& where);

// Does an event with these properties satisfy a `where`?
bool matches(const language::Expr& where, const Value& properties);

}  // namespace tailrace::segments
