#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "language/language.h"
#include "support/source_dir.h"

namespace tailrace::language {
namespace {

// Every example of the page: the lines of its ```tailrace blocks.
std::vector<std::string> examples(const std::string& page) {
  std::vector<std::string> found;
  std::istringstream lines(page);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```"))
      inside = line == "```tailrace";
    else if (inside && !line.empty())
      found.push_back(line);
  }
  return found;
}

TEST(Reference, has_examples_that_all_parse) {
  const auto all = examples(reference_markdown());
  EXPECT_GT(all.size(), 15u);
  for (const std::string& example : all) {
    const auto tree = parse(example);
    EXPECT_TRUE(tree) << render(tree.error(), example);
  }
}

TEST(Reference, is_what_docs_language_md_says) {
  const std::string path = testing::source_dir() + "/docs/language.md";
  if (std::getenv("TAILRACE_UPDATE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(testing::source_dir() + "/docs");
    std::ofstream(path) << reference_markdown();
  }
  std::stringstream written;
  written << std::ifstream(path).rdbuf();
  EXPECT_EQ(written.str(), reference_markdown())
      << "docs/language.md is stale; TAILRACE_UPDATE_GOLDEN=1 build/language_test rewrites it";
}

}  // namespace
}  // namespace tailrace::language
