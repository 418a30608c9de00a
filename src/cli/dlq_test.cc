#include "cli/dlq.h"

#include <gtest/gtest.h>

namespace tailrace::cli {
namespace {

TEST(DeadLetters, name_people_so_that_only_they_know_themselves) {
  EXPECT_EQ(masked("ada@example.com", false), "a***@example.com");
  EXPECT_EQ(masked("@example.com", false), "***@example.com");
  EXPECT_EQ(masked("+442079460018", true), "***18");
  EXPECT_EQ(masked("7", true), "***7");
  EXPECT_EQ(masked("crm-1", false), "crm-1");
  EXPECT_EQ(masked("", false), "(deleted)");
}

TEST(DeadLetters, are_counted_by_reason_the_most_first_and_the_dropped_apart) {
  const std::vector<Letter> letters{
      {.sync = "ads", .what = "addition", .person = "a", .reason = "bad", .at = Time{5}, .dropped = true},
      {.sync = "ads", .what = "addition", .person = "b", .reason = "bad", .at = Time{9}, .dropped = false},
      {.sync = "ads", .what = "addition", .person = "c", .reason = "worse", .at = Time{1}, .dropped = false},
      {.sync = "ads", .what = "addition", .person = "d", .reason = "worse", .at = Time{2}, .dropped = false},
  };
  EXPECT_EQ(letters_by_reason(letters).print(Format::csv),
            "sync,what,reason,count,dropped,first,last\n"
            "ads,addition,worse,2,0,1970-01-01T00:00:00.001Z,1970-01-01T00:00:00.002Z\n"
            "ads,addition,bad,1,1,1970-01-01T00:00:00.005Z,1970-01-01T00:00:00.009Z\n");
}

TEST(DeadLetters, are_chosen_by_reason_and_time_both_ends_in) {
  const Choice choice{.reason = "phone", .from = Time{10}, .to = Time{20}};
  EXPECT_TRUE(choice.takes("bad phone", Time{10}));
  EXPECT_TRUE(choice.takes("phone", Time{20}));
  EXPECT_FALSE(choice.takes("phone", Time{9}));
  EXPECT_FALSE(choice.takes("phone", Time{21}));
  EXPECT_FALSE(choice.takes("e-mail", Time{15}));
}

}  // namespace
}  // namespace tailrace::cli
