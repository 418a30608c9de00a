#include "language/words.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"

namespace tailrace::language {
namespace {

template <class Table, class Matches>
const auto& entry_of(const Table& table, Matches matches) {
  const auto found = std::find_if(table.begin(), table.end(), matches);
  TR_ASSERT(found != table.end());
  return *found;
}

std::string escaped_between(char quote, std::string_view text) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += quote;
  return out;
}

}  // namespace

bool is_reserved(std::string_view lower_case_word) {
  return std::find(kReservedWords.begin(), kReservedWords.end(), lower_case_word) != kReservedWords.end();
}

bool is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool is_word_part(char c) { return is_word_start(c) || (c >= '0' && c <= '9'); }

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool is_plain_path(std::string_view path) {
  const std::string first = to_lower(path.substr(0, path.find('.')));
  if (is_reserved(first)) return false;
  if (std::find(kContextualWords.begin(), kContextualWords.end(), first) != kContextualWords.end())
    return false;
  while (true) {
    const std::size_t dot = path.find('.');
    const std::string_view part = path.substr(0, dot);
    if (part.empty() || !is_word_start(part.front())) return false;
    // Bytes beyond ASCII may stand in a bare word, but some of them look like blanks or quotes.
    const auto plain = [](char c) { return is_word_part(c) && static_cast<unsigned char>(c) < 0x80; };
    if (!std::all_of(part.begin(), part.end(), plain)) return false;
    if (dot == std::string_view::npos) return true;
    path.remove_prefix(dot + 1);
  }
}

const ComparisonWord& word_of(Comparison op) {
  return entry_of(kComparisons, [&](const auto& entry) { return entry.op == op; });
}
std::string_view symbol_of(Comparison op) { return word_of(op).symbol; }
std::string_view word_of(Aggregate::Op op) {
  return entry_of(kAggregates, [&](const auto& entry) { return entry.op == op; }).word;
}
std::string_view word_of(CalendarWord word) {
  return entry_of(kCalendarWords, [&](const auto& entry) { return entry.word == word; }).text;
}
std::string_view word_of(Quantified::Kind kind) {
  return entry_of(kQuantifiers, [&](const auto& entry) { return entry.kind == kind; }).word;
}
std::string_view symbol_of(Arithmetic::Op op) {
  return entry_of(kArithmetics, [&](const auto& entry) { return entry.op == op; }).symbol;
}

std::string_view name_of(Type type) {
  switch (type) {
    case Type::any:
      return "value of unknown type";
    case Type::boolean:
      return "condition";
    case Type::number:
      return "number";
    case Type::string:
      return "text";
    case Type::time:
      return "time";
    case Type::list:
      return "list";
  }
  return "";
}

std::optional<Aggregate::Op> aggregate_named(std::string_view lower_case_word) {
  for (const auto& entry : kAggregates) {
    if (entry.word == lower_case_word) return entry.op;
  }
  return std::nullopt;
}

std::optional<Quantified::Kind> quantifier_named(std::string_view lower_case_word) {
  for (const auto& entry : kQuantifiers) {
    if (entry.word == lower_case_word) return entry.kind;
  }
  return std::nullopt;
}

std::optional<CalendarWord> calendar_named(std::string_view text) {
  for (const auto& entry : kCalendarWords) {
    if (entry.text == text) return entry.word;
  }
  return std::nullopt;
}

bool is_first_or_last(Aggregate::Op op) { return op == Aggregate::Op::first || op == Aggregate::Op::last; }

std::string quoted(std::string_view text) { return escaped_between('"', text); }

std::string written_path(std::string_view path) {
  return is_plain_path(path) ? std::string(path) : escaped_between('`', path);
}

std::string written_time(Time time) {
  std::string text = format_time(time);
  return text.ends_with("T00:00:00.000Z") ? text.substr(0, text.find('T')) : text;
}

std::string written_duration(Millis duration) { return duration == kDay ? "24h" : format_duration(duration); }

}  // namespace tailrace::language
