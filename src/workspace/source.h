// The files of a workspace as text, places in them, and the problems found there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "language/language.h"
#include "workspace/workspace.h"

namespace tailrace::workspace {

struct SourceFile {
  std::string name;  // relative to the folder: "segments/vip.yaml"
  std::string text;
};

// The bytes [offset, offset + length) of a file. The file must outlive the spot.
struct Spot {
  const SourceFile* file = nullptr;
  std::size_t offset = 0;
  std::size_t length = 0;
};

// Lines from 1, columns from 1 in code points.
language::Span span_of(const Spot& spot);
// The inverse for a text of its own: the byte offset of a line and column, at most text.size().
std::size_t offset_of(std::string_view text, std::uint32_t line, std::uint32_t column);

// Gathers everything that is wrong, so that the user sees it at once.
class Problems {
 public:
  void error(const Spot& spot, std::string message, std::string mend = "");
  void warning(const Spot& spot, std::string message, std::string mend = "");
  // A problem of a file as a whole, or of a file that is not there.
  void error_in(std::string file, std::string message, std::string mend = "");
  void warning_in(std::string file, std::string message, std::string mend = "");
  // By file, then place.
  std::vector<FileProblem> take_sorted();

 private:
  void add(language::Problem::Severity severity, std::string file, language::Span span, std::string message,
           std::string mend);
  std::vector<FileProblem> problems_;
};

// `did you mean "Order Placed"?` where one of the known words is close, else `known: "a", "b"`. Empty where
// nothing is known.
std::string suggest(std::string_view word, const std::vector<std::string>& known);

// The word in double quotes, shortened where it is very long.
std::string in_quotes(std::string_view word);

}  // namespace tailrace::workspace
