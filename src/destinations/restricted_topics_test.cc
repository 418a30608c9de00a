#include "destinations/restricted_topics.h"

#include <gtest/gtest.h>

namespace tailrace::destinations {
namespace {

TEST(RestrictedTopics, are_found_as_whole_words_in_any_case) {
  EXPECT_EQ(restricted_topic_in("Diabetes buyers 30d")->topic, "health");
  EXPECT_EQ(restricted_topic_in("people with low-income")->word, "low income");
  EXPECT_EQ(restricted_topic_in("CREDIT_SCORE > 700")->topic, "financial status");
  EXPECT_FALSE(restricted_topic_in("Cancerian horoscopes"));
  EXPECT_FALSE(restricted_topic_in("Income tax software"));
  EXPECT_FALSE(restricted_topic_in("Winback"));
  EXPECT_FALSE(restricted_topic_in(""));
}

}  // namespace
}  // namespace tailrace::destinations
