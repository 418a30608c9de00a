#include "workspace/source.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/nearest.h"

namespace tailrace::workspace {

namespace {

constexpr std::size_t kSuggestedNamesMax = 12;
constexpr std::size_t kQuotedBytesMax = 120;

bool is_continuation_byte(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::uint32_t code_points(std::string_view text) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(text, [](char c) { return !is_continuation_byte(c); }));
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
  if (const auto near = nearest(word, known)) return fmt::format("did you mean {}?", in_quotes(*near));
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
