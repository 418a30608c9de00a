// Which of a person's identifiers a sync uploads, and what a change of that does to those who are in.
#include "delivery/identifiers.h"

#include <gmock/gmock.h>

#include "delivery/delivery_fixture.h"

namespace tailrace::delivery {
namespace {

using ::testing::ElementsAre;

class UsableIdentifiers : public ::testing::Test {
 protected:
  UsableIdentifiers() {
    sync_.identifiers = {IdentifierKind::email, IdentifierKind::phone};
    for (const char* email : {"Ada@Example.com", "ada@example.com", "ada.old@example.com"})
      ada_.identifiers.push_back({IdentifierKind::email, email, {}});
    for (const char* phone : {"+44 20 7946 0018", "+442079460019"})
      ada_.identifiers.push_back({IdentifierKind::phone, phone, {}});
  }
  // "email phone phone", by what Meta would be sent.
  std::string kinds() const {
    const auto* meta = destinations::find_audience_destination("meta_custom_audiences");
    std::string text;
    for (const auto& one : usable_identifiers(ada_, sync_, *meta, {}).identifiers)
      text += (text.empty() ? "" : " ") + std::string(to_string(one.kind));
    return text;
  }

  PersonProfile ada_;
  workspace::SyncConfig sync_;
};

TEST_F(UsableIdentifiers, are_the_primary_ones) { EXPECT_EQ(kinds(), "email phone"); }

TEST_F(UsableIdentifiers, of_a_kind_all_where_the_sync_says_so_and_the_same_once) {
  sync_.every_value = {IdentifierKind::email};
  EXPECT_EQ(kinds(), "email email phone") << "of three e-mails two are the same in lower case";
}

TEST_F(UsableIdentifiers, are_the_next_where_the_platform_cannot_take_the_primary) {
  ada_.identifiers[0].value = "nonsense";
  EXPECT_EQ(kinds(), "email phone");
}

TEST_F(UsableIdentifiers, of_user_ids_are_all) {
  sync_.identifiers = {IdentifierKind::external_id};
  for (const char* id : {"u1", "u2"}) ada_.identifiers.push_back({IdentifierKind::external_id, id, {}});
  EXPECT_EQ(kinds(), "external_id external_id");
}

TEST_F(DeliveryTest, a_suppression_by_other_identifiers_begins_before_the_one_there_was_ends) {
  connections[0].sync.effect = workspace::Effect::suppress;
  connections[0].sync.identifiers = {IdentifierKind::email};
  person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}, {IdentifierKind::phone, "7", {}}});
  start({kAda});
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
  connections[0].sync.identifiers = {IdentifierKind::phone};
  start({kAda});
  std::vector<std::string> sent;
  for (int i = 0; i < 10; ++i) {
    for (const std::string& body : poll(Millis{1000})) sent.push_back(body.substr(0, body.find(' ')));
    while (!sends.empty()) reply(platform.handle(sends.front().request));
    EXPECT_FALSE(audience().empty());
  }
  EXPECT_THAT(sent, ElementsAre("add", "remove"));
  EXPECT_THAT(audience(), ElementsAre("phone:7"));
}

}  // namespace
}  // namespace tailrace::delivery
