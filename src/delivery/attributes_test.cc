// What an audience sync tells of its people beside their identifiers.
#include "delivery/delivery_fixture.h"
#include "delivery/identifiers.h"

namespace tailrace::delivery {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class AttributesTest : public DeliveryTest {
 protected:
  AttributesTest() {
    connections[0].sync.attributes = {{"ltv", "Lifetime value"}, {"plan", "plan"}};
    know(kAda, "120.5", "pro");
    know(kBob, "7", "free");
  }
  void know(PersonId who, const std::string& ltv, const std::string& plan) {
    PersonProfile& profile = profiles.people[who];
    profile.attributes = {{"ltv", ltv.empty() ? Value() : Value::of(*Number::parse(ltv))}};
    profile.traits = Value::with(Value::Kind::object);
    if (!plan.empty()) profile.traits.members.emplace_back("plan", Value::of(plan));
  }
  void change_attributes(PersonId who, const std::string& ltv, const std::string& plan) {
    know(who, ltv, plan);
    delivery->on_attributes_change(who);
  }
  // What goes out once it has waited for company.
  std::vector<std::string> due() {
    std::vector<std::string> bodies = poll();
    for (std::string& body : poll_aged()) bodies.push_back(std::move(body));
    return bodies;
  }
  std::vector<std::string> all_of(std::vector<std::string> bodies) {
    while (!sends.empty()) reply(platform.handle(sends.front().request));
    return bodies;
  }
};

TEST_F(AttributesTest, go_with_the_addition_by_the_name_they_have_there_and_not_with_the_removal) {
  start();
  enter(kAda);
  EXPECT_THAT(
      all_of(due()),
      ElementsAre("add 1 to aud\nada email:ada@example.com [{\"Lifetime value\":120.5,\"plan\":\"pro\"}]\n"));
  leave(kAda);
  EXPECT_THAT(all_of(due()), ElementsAre("remove 2 to aud\nada email:ada@example.com\n"));
}

TEST_F(AttributesTest, a_member_is_told_of_again_when_one_changes) {
  start();
  enter(kAda);
  run();
  change_attributes(kAda, "130", "");
  EXPECT_THAT(
      all_of(due()),
      ElementsAre("add 2 to aud\nada email:ada@example.com [{\"Lifetime value\":130,\"plan\":null}]\n"));
  EXPECT_EQ(audience(), std::set<std::string>{"email:ada@example.com"});
  EXPECT_EQ(state_of(kAda), Membership::State::member);
  EXPECT_EQ(delivery->take_entries().size(), 1u);
}

TEST_F(AttributesTest, nothing_is_sent_where_they_are_what_they_were) {
  start();
  enter(kAda);
  run();
  change_attributes(kAda, "120.5", "pro");
  EXPECT_THAT(due(), IsEmpty());
  delivery->on_attributes_change(kBob);  // no member
  EXPECT_THAT(due(), IsEmpty());
  EXPECT_TRUE(delivery->idle());
}

TEST_F(AttributesTest, what_time_alone_changes_is_found_within_a_quarter_of_an_hour) {
  start();
  enter(kAda);
  enter(kBob);
  run();
  know(kAda, "0", "pro");
  EXPECT_THAT(poll(kMinute * 10), IsEmpty());
  poll(kMinute * 6);
  EXPECT_THAT(
      all_of(due()),
      ElementsAre("add 2 to aud\nada email:ada@example.com [{\"Lifetime value\":0,\"plan\":\"pro\"}]\n"));
}

TEST_F(AttributesTest, what_changed_while_nothing_ran_is_found_at_the_start) {
  start();
  enter(kAda);
  run();
  know(kAda, "130", "pro");
  start({kAda});
  run();
  EXPECT_EQ(delivery->membership(kFirst, kAda)->attributes,
            fingerprint(carried_attributes(profiles.people[kAda], connections[0].sync.attributes)));
  start({kAda});
  EXPECT_THAT(due(), IsEmpty());
}

TEST_F(AttributesTest, a_change_during_a_request_goes_after_it) {
  start();
  enter(kAda);
  due();
  change_attributes(kAda, "130", "pro");
  EXPECT_THAT(due(), IsEmpty());
  reply(200);
  run();
  EXPECT_EQ(delivery->membership(kFirst, kAda)->attributes,
            fingerprint(carried_attributes(profiles.people[kAda], connections[0].sync.attributes)));
}

TEST_F(AttributesTest, without_an_answer_all_goes_again) {
  start();
  enter(kAda);
  run();
  change_attributes(kAda, "130", "pro");
  EXPECT_EQ(due().size(), 1u);
  start({kAda});  // after a crash; nobody knows what arrived
  const std::vector<std::string> bodies = due();
  EXPECT_THAT(
      all_of(bodies),
      ElementsAre("add 3 to aud\nada email:ada@example.com [{\"Lifetime value\":130,\"plan\":\"pro\"}]\n"));
  EXPECT_FALSE(delivery->membership(kFirst, kAda)->unanswered);
}

TEST_F(AttributesTest, a_refusal_is_told_and_not_asked_again_until_they_change_again) {
  start();
  enter(kAda);
  run();
  change_attributes(kAda, "130", "much too long");
  EXPECT_EQ(due().size(), 1u);
  reply(200, "too long\n");
  EXPECT_EQ(status().dead_letters, 1u);
  EXPECT_EQ(state_of(kAda), Membership::State::member);
  delivery->on_attributes_change(kAda);
  EXPECT_THAT(due(), IsEmpty());
  change_attributes(kAda, "130", "pro");
  EXPECT_EQ(due().size(), 1u);
  reply(200);
  EXPECT_EQ(status().dead_letters, 0u);
  EXPECT_FALSE(delivery->membership(kFirst, kAda)->unanswered);
}

TEST_F(AttributesTest, a_sync_without_them_is_left_alone) {
  connections[0].sync.attributes.clear();
  start();
  enter(kAda);
  run();
  change_attributes(kAda, "130", "pro");
  EXPECT_THAT(due(), IsEmpty());
}

TEST_F(AttributesTest, other_attributes_in_the_workspace_are_sent_for_everybody) {
  start();
  enter(kAda);
  run();
  connections[0].sync.attributes = {{"plan", "tier"}};
  start({kAda});
  const std::vector<std::string> bodies = due();
  EXPECT_THAT(all_of(bodies), ElementsAre("add 2 to aud\nada email:ada@example.com [{\"tier\":\"pro\"}]\n"));
}

}  // namespace
}  // namespace tailrace::delivery
