#include "destinations/answer.h"

#include <gtest/gtest.h>

#include "model/json.h"

namespace tailrace::destinations {
namespace {

std::optional<Millis> wait(const std::string& retry,
                           const std::string& date = "Sun, 06 Nov 1994 08:49:00 GMT") {
  return retry_after({503, {{"date", date}, {"RETRY-AFTER", retry}}, ""});
}

TEST(RetryAfter, is_seconds_or_a_date_in_any_of_the_three_forms) {
  EXPECT_EQ(wait("0"), Millis{0});
  EXPECT_EQ(wait("37"), kSecond * 37);
  EXPECT_EQ(wait("Sun, 06 Nov 1994 08:49:37 GMT"), kSecond * 37);
  EXPECT_EQ(wait("Sunday, 06-Nov-94 08:49:37 GMT"), kSecond * 37);
  EXPECT_EQ(wait("Sun Nov  6 08:49:37 1994"), kSecond * 37);
  EXPECT_EQ(wait("Mon, 01-Mar-27 10:00:05 GMT", "Mon, 01 Mar 2027 10:00:00 GMT"), kSecond * 5);
}

TEST(RetryAfter, is_bounded) {
  EXPECT_EQ(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Millis{0});
  EXPECT_EQ(wait("Sun, 06 Nov 9999 08:00:00 GMT"), kRetryAfterMax);
  EXPECT_EQ(wait("9223372036854775807"), kRetryAfterMax);
}

TEST(RetryAfter, is_missing_when_it_cannot_be_read) {
  for (const auto* text :
       {"", "soon", "1.5", "9223372036854775808", "Sun, 06 Nov 1994", "Sun, 66 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 28:49:37 GMT", "- - - - - -"})
    EXPECT_EQ(wait(text), std::nullopt) << text;
  EXPECT_EQ(wait("Sun, 06 Nov 1994 08:49:37 GMT", "today"), std::nullopt);
  EXPECT_EQ(retry_after({503, {{"Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"}}, ""}), std::nullopt);
  EXPECT_EQ(retry_after({503, {}, ""}), std::nullopt);
}

TEST(WaitUntilReset, is_seconds_or_an_instant) {
  const auto reset = [](const std::string& value, const std::string& date = "Sun, 01 Mar 2026 10:00:00 GMT") {
    return wait_until_reset({429, {{"Date", date}, {"X-Reset", value}}, ""}, "x-reset");
  };
  EXPECT_EQ(reset("42"), kSecond * 42);
  EXPECT_EQ(reset("42.7"), kSecond * 42);
  EXPECT_EQ(reset("1772359260"), kMinute);
  EXPECT_EQ(reset("1772359100"), Millis{0});
  EXPECT_EQ(reset("9223372036854775807"), std::nullopt);
  EXPECT_EQ(reset("999999999"), kRetryAfterMax);
  EXPECT_EQ(reset("1772359260", "today"), std::nullopt);
  for (const auto* text : {"", "-1", "soon", ".5"}) EXPECT_EQ(reset(text), std::nullopt) << text;
  EXPECT_EQ(wait_until_reset({429, {}, ""}, "x-reset"), std::nullopt);
}

TEST(Members, are_read_with_their_kind) {
  const Value value =
      parse_json(R"({"a":7,"b":"8","c":1.5,"d":100,"e":1e30,"f":"9x","g":"","h":[1]})").value();
  EXPECT_EQ(integer_member(&value, "a"), 7);
  EXPECT_EQ(integer_member(&value, "b"), 8);
  EXPECT_EQ(integer_member(&value, "d"), 100);
  for (const auto* key : {"c", "e", "f", "g", "h", "i"})
    EXPECT_EQ(integer_member(&value, key), std::nullopt) << key;
  EXPECT_EQ(integer_member(nullptr, "a"), std::nullopt);
  EXPECT_EQ(text_member(&value, "a"), "");
  EXPECT_EQ(number_member(&value, "c"), 1.5);
}

TEST(CodeWord, is_a_code_or_nothing) {
  EXPECT_EQ(code_word("INVALID_ARGUMENT"), "INVALID_ARGUMENT");
  for (const auto* text : {"", "ada@example.com", "lower", "TWO WORDS"}) EXPECT_EQ(code_word(text), "");
  EXPECT_EQ(code_word(std::string(65, 'A')), "");
}

}  // namespace
}  // namespace tailrace::destinations
