#include "cli/expiry.h"

#include <gtest/gtest.h>

namespace tailrace::cli {
namespace {

workspace::SyncConfig sync_of(workspace::Effect effect) {
  workspace::SyncConfig sync;
  sync.name = "ads";
  sync.effect = effect;
  sync.longest_stay = kDay * 90;
  sync.review_date = *parse_time("2027-03-01");
  return sync;
}
std::string words(workspace::Effect effect, std::uint64_t expired, const char* now) {
  return expiry_in_words(sync_of(effect), *Zone::named("Europe/Berlin"), expired, *parse_time(now));
}

TEST(Expiry, is_silent_while_nothing_was_passed) {
  EXPECT_EQ(words(workspace::Effect::target, 0, "2027-02-28T22:59:59.999Z"), "");
}

TEST(Expiry, of_members_says_how_many_and_what_became_of_them) {
  EXPECT_EQ(words(workspace::Effect::target, 1, "2027-01-01"),
            "ads: 1 person entered the segment more than 90d ago, out of the audience since");
  EXPECT_EQ(words(workspace::Effect::suppress, 1234, "2027-01-01"),
            "ads: 1,234 people entered the segment more than 90d ago; it suppresses, and keeps them");
}

TEST(Expiry, of_the_sync_is_said_from_the_first_instant_of_the_day) {
  EXPECT_EQ(words(workspace::Effect::target, 2, "2027-02-28T23:00:00Z"),
            "ads: the review date 2027-03-01 has passed; nobody is in the audience, 2 people would be");
  EXPECT_EQ(words(workspace::Effect::suppress, 0, "2027-02-28T23:00:00Z"),
            "ads: the review date 2027-03-01 has passed; it suppresses, and keeps 0 people");
}

}  // namespace
}  // namespace tailrace::cli
