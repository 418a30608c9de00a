#include "sources/query/engines.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "support/source_dir.h"

namespace tailrace::sources {
namespace {

// docs/sql.md ends with what the engines say of themselves.
TEST(QueryEngines, are_in_the_documentation) {
  const std::string path = testing::source_dir() + "/docs/sql.md";
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  constexpr std::string_view kHeading = "\n## Databases\n\n";
  const std::string page = text.str();
  const std::size_t at = page.find(kHeading);
  ASSERT_NE(at, std::string::npos);
  const std::string wanted = page.substr(0, at) + std::string(kHeading) + query_engines_markdown();
  if (std::getenv("TAILRACE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << wanted;
  EXPECT_EQ(page, wanted) << "rewrite it with TAILRACE_UPDATE_GOLDEN=1";
}

TEST(QueryEngines, are_found_by_type) {
  for (const QueryEngine& engine : query_engines()) EXPECT_EQ(find_query_engine(engine.type), &engine);
  EXPECT_EQ(find_query_engine("mysql"), nullptr);
}

}  // namespace
}  // namespace tailrace::sources
