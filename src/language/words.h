// The words of the language, each written once: the parser reads them, the printer and the JSON form write
// them, and the reference page lists them.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "language/ast.h"

namespace tailrace::language {

// Trees are walked by recursion, so both the nesting and the chains that nest leftwards are bounded.
constexpr int kNestingMax = 64;
constexpr int kArithmeticMax = 100;
constexpr std::size_t kTextBytesMax = 1'000'000;
constexpr std::uint64_t kTimesMax = 1'000'000'000'000;

struct ComparisonWord {
  Comparison op;
  std::string_view symbol;
  std::string_view times;       // `at least 2 times`; empty: cannot be said of a count
  std::string_view times_json;  // "at_least"
};
inline constexpr std::array<ComparisonWord, 6> kComparisons{{
    {Comparison::equal, "=", "exactly", "exactly"},
    {Comparison::not_equal, "!=", "", ""},
    {Comparison::less, "<", "fewer than", "fewer_than"},
    {Comparison::less_equal, "<=", "at most", "at_most"},
    {Comparison::greater, ">", "more than", "more_than"},
    {Comparison::greater_equal, ">=", "at least", "at_least"},
}};

struct AggregateWord {
  Aggregate::Op op;
  std::string_view word;
  std::string_view meaning;
};
inline constexpr std::array<AggregateWord, 8> kAggregates{{
    {Aggregate::Op::count, "count", "how many events; 0 when there are none"},
    {Aggregate::Op::sum, "sum", "the sum of a number property; 0 when there are none"},
    {Aggregate::Op::avg, "avg", "the mean of a number property; missing when there are none"},
    {Aggregate::Op::min, "min", "the least value of a property; missing when there are none"},
    {Aggregate::Op::max, "max", "the greatest value of a property; missing when there are none"},
    {Aggregate::Op::distinct, "distinct", "how many different values a property took; 0 when there are none"},
    {Aggregate::Op::first, "first",
     "the time of the first event, or its property; missing when there is none"},
    {Aggregate::Op::last, "last", "the time of the last event, or its property; missing when there is none"},
}};

struct CalendarEntry {
  CalendarWord word;
  std::string_view text;
};
inline constexpr std::array<CalendarEntry, 10> kCalendarWords{{
    {CalendarWord::today, "today"},
    {CalendarWord::yesterday, "yesterday"},
    {CalendarWord::this_week, "this week"},
    {CalendarWord::last_week, "last week"},
    {CalendarWord::this_month, "this month"},
    {CalendarWord::last_month, "last month"},
    {CalendarWord::this_quarter, "this quarter"},
    {CalendarWord::last_quarter, "last quarter"},
    {CalendarWord::this_year, "this year"},
    {CalendarWord::last_year, "last year"},
}};

struct ArithmeticWord {
  Arithmetic::Op op;
  std::string_view symbol;
};
inline constexpr std::array<ArithmeticWord, 4> kArithmetics{{
    {Arithmetic::Op::add, "+"},
    {Arithmetic::Op::subtract, "-"},
    {Arithmetic::Op::multiply, "*"},
    {Arithmetic::Op::divide, "/"},
}};

struct QuantifierWord {
  Quantified::Kind kind;
  std::string_view word;
};
inline constexpr std::array<QuantifierWord, 3> kQuantifiers{{
    {Quantified::Kind::any, "any"},
    {Quantified::Kind::all, "all"},
    {Quantified::Kind::none, "none"},
}};

// Never a bare name; a name of that spelling is written in backticks.
inline constexpr std::array<std::string_view, 20> kReservedWords{
    "and", "or",    "not",    "in",      "if",    "then",   "else", "true",      "false",    "where",
    "by",  "among", "within", "between", "since", "before", "ever", "performed", "followed", "today",
};
// Words that mean something only in their place. The parser takes them as names elsewhere; the printer still
// writes such a name in backticks, so that the canonical text never leans on its surroundings.
inline constexpr std::array<std::string_view, 32> kContextualWords{
    "yesterday", "this",     "last",    "first", "count",  "sum",     "avg",     "min",
    "max",       "distinct", "any",     "all",   "none",   "top",     "bottom",  "rank",
    "consent",   "was",      "entered", "it",    "at",     "exactly", "more",    "fewer",
    "times",     "once",     "twice",   "ago",   "exists", "is",      "missing", "segment",
};

bool is_reserved(std::string_view lower_case_word);
// A text that can be written bare where a name or a dotted path is meant.
bool is_plain_path(std::string_view path);
bool is_word_start(char c);
bool is_word_part(char c);
std::string to_lower(std::string_view text);  // ASCII letters only

std::string_view symbol_of(Comparison op);
const ComparisonWord& word_of(Comparison op);
std::string_view word_of(Aggregate::Op op);
std::string_view word_of(CalendarWord word);
std::string_view word_of(Quantified::Kind kind);
std::string_view symbol_of(Arithmetic::Op op);
std::string_view name_of(Type type);  // "number", "text", ...: for messages

std::optional<Aggregate::Op> aggregate_named(std::string_view lower_case_word);
std::optional<Quantified::Kind> quantifier_named(std::string_view lower_case_word);
std::optional<CalendarWord> calendar_named(std::string_view text);
// first and last without a property are instants; every other aggregate takes its window itself.
bool is_first_or_last(Aggregate::Op op);

// "text" in double quotes, escaped as the lexer reads it.
std::string quoted(std::string_view text);
// A name as the lexer reads it: bare where it can be, else in backticks.
std::string written_path(std::string_view path);
// A date where it is midnight UTC, else to the millisecond.
std::string written_time(Time time);

// The shortest exact form, but 24h and not 1d: a day here is a length, not a date.
std::string written_duration(Millis duration);

}  // namespace tailrace::language
