// The segment language's front: text to tree, tree to checked tree, tree to canonical text, tree to JSON and
// back.
//
//   ExprPtr tree    = TRY(parse(R"(performed "Product Viewed" at least 2 times within 24h)"));
//   Checked checked = check(tree, names);          // every problem at once, each with its place
//   print(*checked.expr);                          // the canonical form; parse(print(x)) prints the same
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "language/ast.h"
#include "model/value.h"

namespace tailrace::language {

struct Problem {
  enum class Severity : unsigned char { error, warning };
  Severity severity = Severity::error;
  Span span;
  std::string message;  // what is wrong
  std::string mend;     // what to do: "did you mean `Order Placed`?"; may be empty
};

// The problem with the source line and a caret under the place:
//   line 1, column 11: unknown event "Oder Placed"
//     performed "Oder Placed" within 30d
//               ^~~~~~~~~~~~~
//   did you mean "Order Placed"?
std::string render(const Problem& problem, std::string_view source);

// The first syntax error as a Problem.
std::expected<ExprPtr, Problem> parse(std::string_view text);

// Where an expression stands decides what it may be.
enum class Place : unsigned char { who, attribute, definition, filter };  // who and filter: a condition

// What the checker may ask of a workspace. Names are exact; suggestions come from the lists.
struct Names {
  // Canonical name of an event or alias (case-insensitive, trimmed); missing: unknown.
  std::function<std::optional<std::string>(std::string_view)> canonical_event;
  std::vector<std::string> events;  // canonical, for suggestions
  // Declared type of an event's property or of a trait; missing: undeclared. `strict_*`: undeclared is an
  // error.
  std::function<std::optional<Type>(std::string_view event, std::string_view path)> property_type;
  std::function<std::optional<Type>(std::string_view path)> trait_type;
  bool strict_events = true;
  bool strict_traits = false;
  std::vector<std::string> traits;
  // Parsed trees by name; missing: unknown. References are checked for cycles through these.
  std::function<ExprPtr(std::string_view)> definition;
  std::function<ExprPtr(std::string_view)> attribute;
  std::function<ExprPtr(std::string_view)> segment;
  std::vector<std::string> definitions, attributes, segments,
      syncs;  // for suggestions; `syncs` is also the list of known ones
};

struct Checked {
  ExprPtr expr;  // typed, names canonical; null when there is an error
  std::vector<Problem> problems;
};
Checked check(const ExprPtr& tree, const Names& names, Place place);

// Canonical text: one spacing, words in one order, operands in the order written, parentheses only where
// needed.
std::string print(const Expr& expr);

// The JSON form: {"and":[{"performed":{"event":"Product Viewed","at_least":2,"within":"24h"}}, ...]};
// docs/language.md lists it.
Value to_value(const Expr& expr);
Result<ExprPtr> from_value(const Value& value);

// The reference page of the language (Markdown), generated from the tables the parser uses.
std::string reference_markdown();

}  // namespace tailrace::language
