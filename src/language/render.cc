#include <algorithm>

#include <fmt/format.h>

#include "language/language.h"

namespace tailrace::language {
namespace {

// A line longer than this is shown around the place only.
constexpr std::size_t kShownPoints = 120;
constexpr std::size_t kShownBefore = 60;

// The code points of a line, each as its bytes.
std::vector<std::string_view> code_points(std::string_view line) {
  std::vector<std::string_view> points;
  for (std::size_t at = 0; at < line.size();) {
    std::size_t end = at + 1;
    while (end < line.size() && (static_cast<unsigned char>(line[end]) & 0xc0u) == 0x80u) ++end;
    points.push_back(line.substr(at, end - at));
    at = end;
  }
  return points;
}

std::string_view line_of(std::string_view source, std::uint32_t number) {
  for (; number > 1; --number) {
    const std::size_t end = source.find('\n');
    if (end == std::string_view::npos) return "";
    source.remove_prefix(end + 1);
  }
  std::string_view line = source.substr(0, source.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string excerpt(const Span& span, std::string_view source) {
  const auto points = code_points(line_of(source, span.line));
  const std::size_t place = std::min<std::size_t>(span.column - 1, points.size());
  std::size_t first = 0;
  std::size_t last = points.size();
  if (points.size() > kShownPoints) {
    first = place > kShownBefore ? place - kShownBefore : 0;
    last = std::min(first + kShownPoints, points.size());
  }
  std::string shown = first > 0 ? "  ..." : "  ";
  std::string under(shown.size(), ' ');
  for (std::size_t i = first; i < last; ++i) {
    const bool control = points[i].size() == 1 && static_cast<unsigned char>(points[i][0]) < 0x20;
    // A tab stays a tab in both lines, so that the caret keeps its place.
    const bool tab = points[i] == "\t";
    shown += control && !tab ? std::string_view("?") : points[i];
    if (i < place) under += tab ? '\t' : ' ';
  }
  if (last < points.size()) shown += "...";
  const std::size_t length =
      std::max<std::size_t>(1, std::min<std::size_t>(span.length, last - std::min(place, last)));
  under += '^' + std::string(length - 1, '~');
  return shown + "\n" + under + "\n";
}

}  // namespace

std::string render(const Problem& problem, std::string_view source) {
  std::string out;
  const bool placed = problem.span.length > 0;
  if (placed) out += fmt::format("line {}, column {}: ", problem.span.line, problem.span.column);
  if (problem.severity == Problem::Severity::warning) out += "warning: ";
  out += problem.message + "\n";
  if (placed) out += excerpt(problem.span, source);
  if (!problem.mend.empty()) out += problem.mend + "\n";
  out.pop_back();
  return out;
}

}  // namespace tailrace::language
