// Guards, twins and destinations that do not answer, as they work together with delivery.
#include "delivery/delivery_fixture.h"

namespace tailrace::delivery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;
using State = Membership::State;

class GuardedTest : public DeliveryTest {
 protected:
  workspace::Guards& guards(SyncId sync = kFirst) { return connections[sync.value].sync.guards; }
  std::vector<std::string> alerts() {
    std::vector<std::string> texts;
    for (auto& alert : delivery->take_alerts()) texts.push_back(std::move(alert.text));
    return texts;
  }
  void start_with_all_three() {
    start({kAda, kBob, kCy});
    run();
    ASSERT_EQ(status().delivered, 3u);
  }
};

// --- guards

TEST_F(GuardedTest, an_edit_that_empties_an_audience_sends_nothing_until_released) {
  guards().size_min = 1;
  start_with_all_three();
  for (const PersonId who : {kAda, kBob, kCy}) leave(who);
  poll();
  EXPECT_THAT(poll_aged(), IsEmpty());
  EXPECT_EQ(status().state, "held: 3 removals would leave 0 people (never_empty)");
  EXPECT_EQ(status().pending, 3u);
  EXPECT_THAT(alerts(), ElementsAre(StartsWith("held: 3 removals")));
  EXPECT_TRUE(delivery->idle());
  EXPECT_EQ(*delivery->release(kFirst, now), 3u);
  run();
  EXPECT_THAT(audience(), IsEmpty());
  EXPECT_THAT(alerts(), ElementsAre("no longer held: it goes on"));
}

TEST_F(GuardedTest, a_release_of_what_is_not_held_is_refused) {
  start();
  EXPECT_EQ(delivery->release(kFirst, now).error().message, "the sync \"s\" holds nothing back");
}

TEST_F(GuardedTest, a_hold_outlives_the_process_and_so_does_its_release) {
  guards().change_count = 1;
  start_with_all_three();
  leave(kAda);
  leave(kBob);
  poll();
  start({kCy});
  poll();
  EXPECT_THAT(poll_aged(), IsEmpty());
  EXPECT_THAT(status().state, StartsWith("held: 2 removals"));
  ASSERT_TRUE(delivery->release(kFirst, now));
  start({kCy});
  run();
  EXPECT_THAT(audience(), ElementsAre("email:cy@example.com"));
}

TEST_F(GuardedTest, an_edit_that_is_taken_back_ends_the_hold) {
  guards().size_min = 3;
  start_with_all_three();
  leave(kAda);
  poll();
  EXPECT_THAT(poll_aged(), IsEmpty());
  enter(kAda);
  run();
  EXPECT_EQ(status().state, "idle");
  EXPECT_EQ(status().sent, 3u);
}

TEST_F(GuardedTest, a_workspace_without_the_rule_ends_the_hold) {
  guards().size_min = 3;
  start_with_all_three();
  leave(kAda);
  poll();
  guards() = {};
  start({kBob, kCy});
  run();
  EXPECT_THAT(audience(), UnorderedElementsAre("email:bob@example.com", "email:cy@example.com"));
}

TEST_F(GuardedTest, the_other_side_goes_on) {
  guards().change_count = 1;
  start({kAda, kBob});
  run();
  leave(kAda);
  leave(kBob);
  enter(kCy);
  run();
  EXPECT_THAT(audience(),
              UnorderedElementsAre("email:ada@example.com", "email:bob@example.com", "email:cy@example.com"));
  EXPECT_THAT(status().state, StartsWith("held: 2 removals"));
}

TEST_F(GuardedTest, a_trickle_is_held_when_the_hour_has_seen_enough) {
  guards().change_count = 2;
  start_with_all_three();
  for (const PersonId who : {kAda, kBob, kCy}) {
    leave(who);
    run();
    now = now + kMinute;
  }
  EXPECT_THAT(audience(), ElementsAre("email:cy@example.com"));
  EXPECT_THAT(status().state, HasSubstr("1 removals besides 2 in the last hour"));
}

TEST_F(GuardedTest, deleted_people_and_withdrawn_consent_leave_a_held_sync) {
  guards().size_min = 3;
  connections[0].sync.consent_purpose = "ads";
  start_with_all_three();
  profiles.people[kAda].deleted = true;
  profiles.people[kBob].consent = {{"ads", false}};
  for (const PersonId who : {kAda, kBob, kCy}) {
    leave(who);
    delivery->on_profile_change(who);
  }
  run();
  EXPECT_THAT(audience(), ElementsAre("email:cy@example.com"));
  EXPECT_EQ(status().pending, 1u);
}

TEST_F(GuardedTest, deleted_people_leave_a_sync_that_was_held_before_a_restart) {
  guards().size_min = 3;
  start_with_all_three();
  leave(kAda);
  leave(kBob);
  poll();
  profiles.people[kAda].deleted = true;
  start({kCy});
  run();
  EXPECT_THAT(audience(), UnorderedElementsAre("email:bob@example.com", "email:cy@example.com"));
}

TEST_F(GuardedTest, changed_identifiers_are_no_change_of_the_audience) {
  guards().size_min = 3;
  start_with_all_three();
  leave(kAda);
  person(kBob, "bob", {{IdentifierKind::phone, "7", {}}});
  delivery->on_profile_change(kBob);
  run();
  EXPECT_THAT(audience(), UnorderedElementsAre("email:ada@example.com", "phone:7", "email:cy@example.com"));
}

// --- twins: kFirst targets, kSecond suppresses

class TwinTest : public GuardedTest {
 protected:
  TwinTest() {
    connections[0].sync.twin = "suppress";
    add_sync("suppress", workspace::Effect::suppress);
  }
  const std::set<std::string>& suppressed() { return platform.audiences["suppress"]; }
  void buys(PersonId who) {
    leave(who);
    enter(who, kSecond);
  }
};

TEST_F(TwinTest, nobody_leaves_before_the_twin_has_them_and_everybody_leaves_then) {
  start();
  enter(kAda);
  run();
  buys(kAda);
  poll();
  ASSERT_THAT(poll_aged(), ElementsAre(StartsWith("add 1 to aud\nada")));
  EXPECT_THAT(poll(kHour), IsEmpty());
  reply(200);
  EXPECT_THAT(poll(), ElementsAre(StartsWith("remove 2 to aud\nada"))) << "at once";
}

TEST_F(TwinTest, on_the_way_back_the_audience_comes_first) {
  start();
  enter(kAda, kSecond);
  run();
  leave(kAda, kSecond);
  enter(kAda);
  poll();
  ASSERT_THAT(poll_aged(), ElementsAre(StartsWith("add 1 to aud\nada")));
  EXPECT_EQ(sends.front().request.url, "s");
  EXPECT_THAT(poll(kHour), IsEmpty());
  reply(200);
  EXPECT_THAT(poll(), ElementsAre(StartsWith("remove 2 to aud\nada")));
  EXPECT_EQ(sends.front().request.url, "suppress");
}

TEST_F(TwinTest, a_twin_that_goes_once_a_day_is_not_waited_for_a_day) {
  connections[1].sync.cadence = {workspace::Cadence::Kind::every, kDay, ""};
  start();
  enter(kAda);
  run();
  buys(kAda);
  run();
  EXPECT_THAT(audience(), IsEmpty());
  EXPECT_THAT(suppressed(), ElementsAre("email:ada@example.com"));
}

TEST_F(TwinTest, whom_the_twin_cannot_take_leaves_all_the_same) {
  start();
  enter(kAda);
  run();
  buys(kAda);
  poll();
  poll_aged();
  reply(200, "malformed hash\n");
  run();
  EXPECT_THAT(audience(), IsEmpty());
}

TEST_F(TwinTest, a_twin_that_is_stopped_is_waited_for_and_named) {
  connections[1].sync.destination = "other";
  start();
  enter(kAda);
  run();
  buys(kAda);
  poll();
  poll_aged();
  reply(403);
  poll();
  EXPECT_EQ(status().state, "pending: waits for its twin \"suppress\"");
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
}

TEST_F(TwinTest, whom_the_platform_keeps_because_few_are_left_the_twin_takes_until_it_lets_go) {
  start();
  enter(kAda);
  run();
  leave(kAda);
  poll();
  poll_aged();
  reply(200, "too small\n");
  const auto add = poll();
  ASSERT_THAT(add, ElementsAre(StartsWith("add 1 to aud\nada")));
  EXPECT_EQ(sends.front().request.url, "suppress");
  reply(platform.handle(sends.front().request));
  EXPECT_THAT(suppressed(), ElementsAre("email:ada@example.com"));
  EXPECT_THAT(delivery->membership(kFirst, kAda)->reason, StartsWith("the audience would become too small"));
  // Later it lets go, and so does the twin.
  sends.clear();
  now = now + kHour * 6;
  run();
  EXPECT_THAT(audience(), IsEmpty());
  EXPECT_THAT(suppressed(), IsEmpty());
}

TEST_F(TwinTest, the_twin_still_stands_in_after_a_restart) {
  start();
  enter(kAda);
  run();
  leave(kAda);
  poll();
  poll_aged();
  reply(200, "too small\n");
  start();
  poll();
  ASSERT_THAT(poll_aged(), ElementsAre(StartsWith("add")));
  EXPECT_EQ(sends.front().request.url, "suppress");
}

TEST_F(TwinTest, the_twin_goes_on_standing_in_where_the_removal_was_dropped) {
  start();
  enter(kAda);
  run();
  leave(kAda);
  poll();
  poll_aged();
  reply(200, "too small\n");
  const PersonId one[] = {kAda};
  ASSERT_EQ(*delivery->drop(kFirst, one), 1u);
  start();
  run();
  now = now + kHour * 12;
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
  EXPECT_THAT(suppressed(), ElementsAre("email:ada@example.com"));
}

TEST_F(TwinTest, a_receipt_says_that_somebody_waits_for_the_twin) {
  start();
  enter(kAda);
  run();
  buys(kAda);
  poll();
  poll_aged();
  EXPECT_EQ(delivery->receipt(kFirst, kAda)->waiting, "waiting for its twin \"suppress\"");
  EXPECT_EQ(status().unprotected.people, 1u);
  reply(200);
  run();
  EXPECT_EQ(status().unprotected.people, 0u);
}

// --- destinations that do not answer

TEST_F(DeliveryTest, a_dead_destination_is_tried_with_one_request_at_a_time) {
  for (int i = 0; i < 6; ++i) add_sync(fmt::format("s{}", i), workspace::Effect::target);
  start({kAda});
  ASSERT_EQ(poll(Millis{1000}).size(), 0u);
  ASSERT_EQ(poll(Millis{1000}).size(), 7u);
  for (int i = 0; i < 7; ++i) reply(503);
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(status().state, HasSubstr("the destination does not answer"));
    now = std::max(now, std::min(delivery->next_poll_at(), now + kHour));
    poll();
    if (sends.empty()) continue;
    ASSERT_EQ(sends.size(), 1u);
    reply(fail(Error::Code::unavailable, "connection refused"));
  }
}

TEST_F(DeliveryTest, a_destination_that_is_there_again_gets_at_once_what_waited) {
  for (int i = 0; i < 6; ++i) add_sync(fmt::format("s{}", i), workspace::Effect::target);
  start({kAda});
  poll(Millis{1000});
  poll(Millis{1000});
  for (int i = 0; i < 7; ++i) reply(503);
  for (int i = 0; i < 8; ++i) {
    while (sends.empty()) {
      now = std::max(now, delivery->next_poll_at());
      poll();
    }
    reply(503);
  }
  while (sends.empty()) {
    now = std::max(now, delivery->next_poll_at());
    poll();
  }
  reply(200);
  EXPECT_EQ(poll().size(), 6u);
}

TEST_F(DeliveryTest, a_dead_destination_does_not_slow_another) {
  add_sync("other", workspace::Effect::target).sync.destination = "other";
  start();
  for (int i = 0; i < 10; ++i) {
    enter(kAda);
    enter(kAda, kSecond);
    poll();
    poll_aged();
    while (!sends.empty()) {
      const bool dead = sends.front().request.url == "s";
      reply(dead ? 503 : 200);
    }
    EXPECT_EQ(status(kSecond).delivered, 1u);
    leave(kAda, kSecond);
    poll();
    poll_aged();
    while (!sends.empty()) reply(sends.front().request.url == "s" ? 503 : 200);
    EXPECT_EQ(status(kSecond).delivered, 0u);
  }
}

TEST_F(DeliveryTest, a_platform_that_is_too_busy_is_left_alone_by_all_syncs_to_it) {
  add_sync("other", workspace::Effect::target);
  start();
  enter(kAda);
  poll();
  poll_aged();
  reply(429, "", {{"Retry-After", "30"}});
  enter(kBob, kSecond);
  EXPECT_THAT(poll(Millis{29'999}), IsEmpty());
  EXPECT_FALSE(poll(Millis{1}).empty());
}

}  // namespace
}  // namespace tailrace::delivery
