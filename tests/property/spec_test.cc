// tests/spec/*.spec, run against the brute-force judge.
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "support/oracle_runner.h"
#include "support/source_dir.h"
#include "support/text_spec.h"

namespace tailrace::testing {
namespace {

std::vector<std::filesystem::path> specs() {
  return spec_files(std::filesystem::path(testing::source_dir()) / "tests" / "spec");
}

class SpecOnOracle : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(SpecOnOracle, holds) {
  const auto file = read_spec(GetParam());
  ASSERT_TRUE(file) << file.error().message;
  OracleRunner runner;
  EXPECT_THAT(run_spec(*file, runner), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Files, SpecOnOracle, ::testing::ValuesIn(specs()),
                         [](const auto& file) { return file.param.stem().string(); });

}  // namespace
}  // namespace tailrace::testing
