// The segment language as a tree. One tree serves the parser, the checker, the canonical printer, the JSON
// form, the engine's compiler and the tests' brute-force evaluator. Trees are immutable and shared.
//
// What each form means, to the millisecond, is written in docs/language.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/number.h"
#include "base/time.h"

namespace tailrace::language {

// A place in the source text. Lines and columns count from 1; columns in code points. length 0: unknown.
struct Span {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::uint32_t length = 0;
};

// `any` before checking, and for attributes and properties of undeclared type.
enum class Type : unsigned char { any, boolean, number, string, time, list };

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

// "Order Placed" where currency = "GBP". After checking, `event` is the taxonomy's canonical name.
struct EventSelector {
  std::string event;
  ExprPtr where;  // over the event's properties only (Property nodes); null: every such event
  Span span;
};

// Whole days, weeks (from Monday), months, quarters and years of the workspace's time zone: [start, end)
// around t, or the one before.
enum class CalendarWord : unsigned char {
  today,
  yesterday,
  this_week,
  last_week,
  this_month,
  last_month,
  this_quarter,
  last_quarter,
  this_year,
  last_year,
};

// One condition on the time of an event; a Window is their conjunction, always with time <= t.
struct Bound {
  enum class Kind : unsigned char {
    within,                 // t - far < time
    between_ago,            // t - far < time <= t - near
    since_time,             // instant <= time
    before_time,            // time < instant
    calendar,               // in the word's span at t
    since_last,             // after the person's last `selector` event; see language.md for ties
    since_first,            // after the first one
    since_entered_segment,  // after the last entry of segment `name`: entry < time
    since_entered_sync,     // after the last entry of sync `name`
  };
  Kind kind = Kind::within;
  Millis near;
  Millis far;
  Time instant;
  CalendarWord word = CalendarWord::today;
  EventSelector selector;
  std::string name;
  bool if_any = false;  // since_*: where there is no such event, all events up to t
  Span span;
};
using Window = std::vector<Bound>;  // empty: ever

enum class Comparison : unsigned char { equal, not_equal, less, less_equal, greater, greater_equal };

struct Literal {  // also durations nowhere: those live in windows
  enum class Kind : unsigned char { boolean, number, string, time };
  Kind kind = Kind::boolean;
  bool boolean = false;
  Number number;
  std::string string;
  Time time;
};
struct Attribute {  // a trait or a computed attribute by name; dotted paths reach into objects. Dated: its
                    // value as of t.
  std::string path;
  bool computed = false;  // set by the checker: defined in attributes.yaml
};
struct Property {  // inside `where` and any/all/none: a property of the event (or of the list's element),
                   // dotted path
  std::string path;
};
struct Definition {  // a word from definitions.yaml
  std::string name;
};
struct Consent {  // consent.ads; unknown follows the workspace
  std::string purpose;
};
struct Not {
  ExprPtr operand;
};
struct Logical {                                       // two or more operands; the printer flattens
  enum class Kind : unsigned char { all_of, any_of };  // and, or
  Kind kind = Kind::all_of;
  std::vector<ExprPtr> operands;
};
struct Compare {
  Comparison op = Comparison::equal;
  ExprPtr left;
  ExprPtr right;
};
struct InList {  // value in ("US", "CA")
  ExprPtr value;
  std::vector<Literal> options;
};
struct Exists {  // value exists
  ExprPtr value;
};
struct Arithmetic {
  enum class Op : unsigned char { add, subtract, multiply, divide };
  Op op = Op::add;
  ExprPtr left;
  ExprPtr right;
};
struct Conditional {  // if C then A else B; without else, missing
  ExprPtr condition;
  ExprPtr then;
  ExprPtr otherwise;  // null: missing
};
struct Quantified {  // any products (category = "cleanser" and price > 20); inside `where`
  enum class Kind : unsigned char { any, all, none };
  Kind kind = Kind::any;
  std::string path;
  ExprPtr condition;  // Property nodes are of the element. The element itself is Property{""}, written `it`.
};
struct SequenceStep {
  bool negated = false;  // not followed by
  EventSelector selector;
  std::optional<Millis> within;  // [x, x + within] after the step before; required when negated
};
struct Performed {  // performed "X" where ... at least N times <window> [followed by ...]...
  EventSelector selector;
  Window window;
  Comparison op = Comparison::greater_equal;  // count <op> times; default: at least 1
  std::uint64_t times = 1;
  std::vector<SequenceStep> steps;  // with steps, op and times are the default
};
struct Aggregate {  // sum("Order Placed".revenue where ... <window>)
  enum class Op : unsigned char { count, sum, avg, min, max, distinct, first, last };
  Op op = Op::count;
  EventSelector selector;
  std::string property;  // dotted path; empty: count, and first/last as the event's time
  Window window;
};
struct InWindow {  // last("Cart Started") between 2h and 6h ago: a time value within a window
  ExprPtr value;
  Window window;
};
struct InSegment {
  std::string segment;
};
struct WasInSegment {
  std::string segment;
  Time at;
};
struct Entered {  // entered segment "S" within 7d; entered sync "Y" within 7d
  enum class Of : unsigned char { segment, sync };
  Of of = Of::segment;
  std::string name;
  Window window;
};
struct Rank {  // top 10% by ltv where ltv > 0 among segment "S"; rank <= 100 by ltv
  enum class Kind : unsigned char { top_percent, bottom_percent, rank_at_most, bottom_rank_at_most };
  Kind kind = Kind::top_percent;
  Number amount;              // percent in (0, 100], or a count >= 1
  ExprPtr by;                 // an Attribute or any number value
  ExprPtr where;              // a condition on the person; null: everybody
  std::string among_segment;  // empty: everybody
};

using Node = std::variant<Literal, Attribute, Property, Definition, Consent, Not, Logical, Compare, InList,
                          Exists, Arithmetic, Conditional, Quantified, Performed, Aggregate, InWindow,
                          InSegment, WasInSegment, Entered, Rank>;

struct Expr {
  Node node;
  Span span;
  Type type = Type::any;  // set by the checker
};

template <class T>
const T* as(const Expr& expr) {
  return std::get_if<T>(&expr.node);
}

}  // namespace tailrace::language
