#include "io/program.h"

#include <gmock/gmock.h>

namespace tailrace::io {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Result<std::string> run(std::vector<std::string> words, ProgramLimits limits = {}) {
  return run_program(words, "/", limits);
}

TEST(Program, GivesWhatItPrints) {
  EXPECT_EQ(*run({"printf", "a\nb"}), "a\nb");
  EXPECT_EQ(*run({"/bin/sh", "-c", "exit 0"}), "");
}

TEST(Program, ArgumentsReachItAsTheyStand) {
  EXPECT_EQ(*run({"printf", "%s", "$HOME; `id` *"}), "$HOME; `id` *");
}

TEST(Program, RunsInTheFolder) { EXPECT_EQ(*run({"pwd"}), "/\n"); }

TEST(Program, HasNothingToRead) { EXPECT_EQ(*run({"cat"}), ""); }

TEST(Program, ThatDoesNotExist) {
  const auto missing = run({"tailrace-no-such-program"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Error::Code::not_found);
}

TEST(Program, ThatFailsSaysNothingOfItsOutput) {
  const auto failed = run({"/bin/sh", "-c", "echo secret; echo secret >&2; exit 3"});
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("status 3"));
  EXPECT_THAT(failed.error().message, Not(HasSubstr("secret")));
}

TEST(Program, ThatTakesTooLongIsKilledWithWhatItStarted) {
  for (const std::string line : {"sleep 600 & sleep 600", "exec >&-; sleep 600", "trap '' TERM; sleep 600"}) {
    const auto slow = run({"/bin/sh", "-c", line}, {.time_max = Millis{50}});
    ASSERT_FALSE(slow) << line;
    EXPECT_EQ(slow.error().code, Error::Code::unavailable) << line;
  }
}

TEST(Program, ThatPrintsTooMuch) {
  const auto chatty = run({"yes"}, {.bytes_max = 100});
  ASSERT_FALSE(chatty);
  EXPECT_THAT(chatty.error().message, HasSubstr("more than 100 bytes"));
}

}  // namespace
}  // namespace tailrace::io
