#include "server/credentials.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace tailrace::server {
namespace {

using workspace::SecretReference;

class SecretSourceTest : public ::testing::Test {
 protected:
  SecretSourceTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tailrace-secrets-XXXXXX").string();
    folder = mkdtemp(pattern.data());
  }
  ~SecretSourceTest() override { std::filesystem::remove_all(folder); }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder + "/" + name) << text; }

  std::string folder;
};

TEST_F(SecretSourceTest, a_file_is_read_each_time) {
  SecretSource source(folder);
  const SecretReference file{SecretReference::Kind::file, "token"};
  write("token", "first\n");
  EXPECT_EQ(*source.value(file), "first");
  write("token", "second\n");
  EXPECT_EQ(*source.value(file), "second");
}

TEST_F(SecretSourceTest, what_a_program_printed_is_kept_until_it_is_asked_anew) {
  SecretSource source(folder);
  SecretReference program{SecretReference::Kind::command, "cat"};
  program.arguments = {"token"};
  write("token", "  first\n");
  EXPECT_EQ(*source.value(program), "first");
  write("token", "second\n");
  EXPECT_EQ(*source.value(program), "first");
  EXPECT_EQ(*source.fresh(program), "second");
  EXPECT_EQ(*source.value(program), "second");
}

TEST_F(SecretSourceTest, a_program_that_gives_nothing_is_named_and_nothing_else) {
  const auto empty = resolve_secret({SecretReference::Kind::command, "true"}, folder);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().message, "the program `true` printed nothing");
}

}  // namespace
}  // namespace tailrace::server
