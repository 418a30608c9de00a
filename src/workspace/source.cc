#include "workspace/source.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tailrace::workspace {

namespace {

constexpr std::size_t kSuggestedNamesMax = 12;
constexpr std::size_t kQuotedBytesMax = 120;

bool is_continuation_byte(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::uint32_t code_points(std::string_view text) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(text, [](char c) { return !is_continuation_byte(c); }));
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Levenshtein's distance without regard to case; both words are short.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

language::Span span_of(const Spot& spot) {
  const std::string_view text = spot.file->text;
  const std::size_t offset = std::min(spot.offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const std::size_t newline = before.rfind('\n');
  const std::size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
  language::Span span;
  span.line = static_cast<std::uint32_t>(std::ranges::count(before, '\n')) + 1;
  span.column = code_points(before.substr(line_start)) + 1;
  // A caret cannot leave its line.
  const std::string_view marked = text.substr(offset, spot.length);
  span.length = code_points(marked.substr(0, marked.find_first_of("\r\n")));
  return span;
}

std::size_t offset_of(std::string_view text, std::uint32_t line, std::uint32_t column) {
  std::size_t offset = 0;
  for (std::uint32_t at = 1; at < line; ++at) {
    const std::size_t newline = text.find('\n', offset);
    if (newline == std::string_view::npos) return text.size();
    offset = newline + 1;
  }
  for (std::uint32_t at = 1; at < column && offset < text.size(); ++at) {
    do ++offset;
    while (offset < text.size() && is_continuation_byte(text[offset]));
  }
  return offset;
}

void Problems::add(language::Problem::Severity severity, std::string file, language::Span span,
                   std::string message, std::string mend) {
  problems_.push_back({std::move(file), {severity, span, std::move(message), std::move(mend)}});
}

void Problems::error(const Spot& spot, std::string message, std::string mend) {
  add(language::Problem::Severity::error, spot.file->name, span_of(spot), std::move(message),
      std::move(mend));
}

void Problems::warning(const Spot& spot, std::string message, std::string mend) {
  add(language::Problem::Severity::warning, spot.file->name, span_of(spot), std::move(message),
      std::move(mend));
}

void Problems::error_in(std::string file, std::string message, std::string mend) {
  add(language::Problem::Severity::error, std::move(file), {}, std::move(message), std::move(mend));
}

void Problems::warning_in(std::string file, std::string message, std::string mend) {
  add(language::Problem::Severity::warning, std::move(file), {}, std::move(message), std::move(mend));
}

std::vector<FileProblem> Problems::take_sorted() {
  const auto place = [](const FileProblem& p) {
    return std::tie(p.file, p.problem.span.line, p.problem.span.column);
  };
  std::ranges::stable_sort(problems_, [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return std::move(problems_);
}

std::string suggest(std::string_view word, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  const auto closest = std::ranges::min_element(known, {}, [&](const std::string& candidate) {
    // Longer ones cannot be meant, and the distance costs the product of the lengths.
    return word.size() > kQuotedBytesMax ? word.size() : edit_distance(word, candidate);
  });
  if (word.size() <= kQuotedBytesMax &&
      edit_distance(word, *closest) <= std::max<std::size_t>(1, closest->size() / 3)) {
    return fmt::format("did you mean {}?", in_quotes(*closest));
  }
  std::vector<std::string> names;
  for (const std::string& name : known) {
    if (names.size() == kSuggestedNamesMax) break;
    names.push_back(in_quotes(name));
  }
  return fmt::format("known: {}{}", fmt::join(names, ", "), known.size() > names.size() ? ", ..." : "");
}

std::string in_quotes(std::string_view word) {
  if (word.size() <= kQuotedBytesMax) return fmt::format("\"{}\"", word);
  std::size_t end = kQuotedBytesMax;
  while (end > 0 && is_continuation_byte(word[end])) --end;
  return fmt::format("\"{}...\"", word.substr(0, end));
}

}  // namespace tailrace::workspace
