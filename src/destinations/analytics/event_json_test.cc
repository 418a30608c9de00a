#include "destinations/analytics/event_json.h"

#include <gmock/gmock.h>

#include "destinations/analytics/flag_audience.h"
#include "destinations/slack/template.h"

namespace tailrace::destinations::analytics {
namespace {

using ::testing::HasSubstr;

TEST(EventIds, a_ulid_begins_with_its_time_and_is_the_same_for_the_same_event) {
  // 1 469 918 176 385 is 01ARYZ6S41 in the ULID specification.
  EXPECT_EQ(ulid_of(Time{1'469'918'176'385}, "m-1").substr(0, 10), "01ARYZ6S41");
  EXPECT_EQ(ulid_of(Time{0}, "m-1").substr(0, 10), "0000000000");
  EXPECT_EQ(ulid_of(Time{1}, "m-1").substr(0, 10), "0000000001");
  EXPECT_EQ(ulid_of(Time{32}, "m-1").substr(0, 10), "0000000010");
  EXPECT_EQ(ulid_of(Time{281'474'976'710'655}, "m-1").substr(0, 10), "7ZZZZZZZZZ");
  EXPECT_EQ(ulid_of(Time{5}, "m-1"), ulid_of(Time{5}, "m-1"));
  EXPECT_NE(ulid_of(Time{5}, "m-1"), ulid_of(Time{5}, "m-2"));
  EXPECT_EQ(ulid_of(Time{5}, "m-1").size(), 26u);
}

TEST(EventIds, a_uuid_stays_and_another_id_becomes_one) {
  EXPECT_EQ(uuid_of("018F3C6E-0000-7000-8000-00000000000A"), "018f3c6e-0000-7000-8000-00000000000a");
  EXPECT_THAT(uuid_of("m-1"),
              ::testing::MatchesRegex("[0-9a-f]+-[0-9a-f]+-8[0-9a-f]+-[89ab][0-9a-f]+-[0-9a-f]+"));
  EXPECT_EQ(uuid_of("m-1"), uuid_of("m-1"));
  EXPECT_NE(uuid_of("m-1"), uuid_of("m-2"));
  EXPECT_EQ(uuid_of("").size(), 36u);
}

TEST(EventIds, what_stands_in_everybodys_place_is_known_in_any_case) {
  for (const char* id :
       {"", "null", "NULL", "Undefined", "0", "-1", "[]", "00000000-0000-0000-0000-000000000000"})
    EXPECT_TRUE(is_placeholder(id)) << id;
  for (const char* id : {"1", "nullable", "crm-1", "00"}) EXPECT_FALSE(is_placeholder(id)) << id;
}

TEST(EventTexts, are_cut_at_characters) {
  EXPECT_EQ(cut("grün", 3), "grü");
  EXPECT_EQ(cut("grün", 10), "grün");
  EXPECT_EQ(cut("", 3), "");
  EXPECT_EQ(cut("ab", 0), "");
}

TEST(EventTexts, a_field_of_an_answer_is_shown_only_where_it_can_be_nothing_else) {
  for (const char* good : {"time", "properties.time", "$insert_id", "items[0].price"})
    EXPECT_EQ(field_word(good), good);
  for (const char* bad : {"", "ada@example.com", "442079460018", "Ada Lovelace", "a\nb"})
    EXPECT_EQ(field_word(bad), "");
  EXPECT_EQ(field_word(std::string(65, 'a')), "");
}

TEST(Culprits, are_blamed_by_their_index_alone) {
  Reply reply;
  EXPECT_FALSE(blame(reply, 2, std::vector<Culprit>{{-1, "x"}, {2, "x"}, {1'000'000'000'000, "x"}}));
  EXPECT_TRUE(blame(reply, 2, std::vector<Culprit>{{1, "x"}}));
  EXPECT_EQ(reply.outcomes[0].kind, Outcome::Kind::accepted);
  EXPECT_EQ(reply.outcomes[1].reason, "x");
}

TEST(Culprits, a_person_is_rejected_with_one_of_their_records) {
  std::vector<Member> members(3);
  members[0].identifiers.resize(2);
  members[1].identifiers.resize(1);
  members[2].identifiers.resize(2);
  Batch batch;
  batch.members = members;
  EXPECT_EQ(records_in(batch), 5u);
  Reply reply = accepted(records_in(batch));
  blame(reply, 5, std::vector<Culprit>{{1, "no"}, {3, "neither"}});
  reply = to_members(std::move(reply), batch);
  ASSERT_EQ(reply.outcomes.size(), 3u);
  EXPECT_EQ(reply.outcomes[0].reason, "no");
  EXPECT_EQ(reply.outcomes[1].kind, Outcome::Kind::accepted);
  EXPECT_EQ(reply.outcomes[2].reason, "neither");
}

TEST(SlackTemplate, says_where_it_cannot_be_read) {
  EXPECT_TRUE(slack_template::check("plain {event} {{braces}}"));
  EXPECT_THAT(slack_template::check("ab } c").error().message, HasSubstr("character 4"));
  EXPECT_THAT(slack_template::check("a {event").error().message, HasSubstr("character 3"));
  EXPECT_THAT(slack_template::check("a {1 +}").error().message, HasSubstr("character 4"));
}

}  // namespace
}  // namespace tailrace::destinations::analytics
