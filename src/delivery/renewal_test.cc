// Stays that end by themselves at the platform, and everybody added again.
#include "delivery/delivery_fixture.h"
#include "delivery/renewals.h"

namespace tailrace::delivery {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;
using workspace::DriftPolicy;

constexpr Millis kLife = kDay * 40;

class RenewalTest : public DeliveryTest {
 protected:
  RenewalTest() {
    destination.life = kLife;
    platform.now = now;
  }
  // The bodies that go out until all is quiet, answered by the platform.
  std::vector<std::string> bodies_until_quiet() {
    std::vector<std::string> all;
    for (int i = 0; i < 20; ++i) {
      for (std::string& body : poll()) all.push_back(std::move(body));
      while (!sends.empty()) reply(platform.handle(sends.front().request));
      if (delivery->idle()) break;
      now = std::max(now, std::min(delivery->next_poll_at(), now + kHour));
    }
    return all;
  }
};

TEST_F(RenewalTest, a_member_is_added_again_when_three_quarters_have_passed) {
  start({kAda});
  run();
  const Time entered = delivery->membership(kFirst, kAda)->acknowledged_at;
  now = entered + kDay * 29;
  EXPECT_THAT(poll(), IsEmpty());
  now = entered + kDay * 30;
  EXPECT_THAT(bodies_until_quiet(), ElementsAre("add 2 to aud\nada email:ada@example.com\n"));
  const auto ada = delivery->membership(kFirst, kAda);
  EXPECT_EQ(ada->acknowledged_at, entered);
  EXPECT_GE(ada->renewed_at, entered + kDay * 30);
  EXPECT_FALSE(ada->unanswered);
  // It is no entry and no change of the segment, and the next is due after as long again.
  EXPECT_EQ(delivery->take_entries().size(), 1u);
  EXPECT_EQ(status().latency_count, 0u);
  now = entered + kDay * 59;
  EXPECT_THAT(poll(), IsEmpty());
  now = entered + kDay * 61;
  EXPECT_EQ(bodies_until_quiet().size(), 1u);
}

TEST_F(RenewalTest, after_a_restart_as_well_and_whoever_left_is_not_added) {
  start({kAda, kBob});
  run();
  leave(kBob);
  run();
  now = now + kDay * 31;
  start({kAda});
  EXPECT_THAT(bodies_until_quiet(), ElementsAre("add 3 to aud\nada email:ada@example.com\n"));
  start({kAda});
  EXPECT_THAT(bodies_until_quiet(), IsEmpty());
}

TEST_F(RenewalTest, the_platform_may_say_that_members_stay_shorter) {
  destination.measures = true;
  platform.stays_days = 8;
  start({kAda});
  run();
  now = now + kDay * 7;
  EXPECT_EQ(bodies_until_quiet().front(), "add 2 to aud\nada email:ada@example.com\n");
}

TEST_F(RenewalTest, changes_go_before_renewals_at_the_same_destination) {
  destination.limits_.requests_per_minute = 60;
  add_sync("t", workspace::Effect::suppress);
  start({kAda, kBob});
  run();
  enter(kCy, kSecond);
  EXPECT_THAT(poll(), IsEmpty());  // waits for company
  now = now + kDay * 31;
  const auto bodies = bodies_until_quiet();
  ASSERT_EQ(bodies.size(), 3u);
  EXPECT_THAT(bodies.front(), StartsWith("add 2 to aud\ncy "));
}

TEST_F(RenewalTest, they_get_a_request_in_ten_where_changes_never_end) {
  destination.limits_ = {.batch_records_max = 1, .requests_per_minute = 6};
  start({kAda});
  run();
  now = now + kDay * 31;
  // There is always another change, and more of them than the rate lets through.
  std::vector<std::string> bodies;
  std::optional<std::size_t> renewed;
  for (std::uint32_t i = 0; i < 3'000 && !renewed; ++i) {
    const PersonId stranger{100 + i};
    person(stranger, fmt::format("p{}", i), {{IdentifierKind::email, fmt::format("e{}", i), {}}});
    enter(stranger);
    for (std::string& body : poll()) {
      if (body.contains("ada ")) renewed = bodies.size();
      bodies.push_back(std::move(body));
    }
    while (!sends.empty()) reply(platform.handle(sends.front().request));
    now = now + Millis{5'000};
  }
  ASSERT_TRUE(renewed) << bodies.size() << " requests";
  EXPECT_GT(*renewed, 300u);  // an hour of patience, at six a minute
  EXPECT_LT(*renewed, 400u);
}

TEST_F(RenewalTest, one_renewal_at_a_time_leaves_a_place_for_what_protects) {
  add_sync("t", workspace::Effect::suppress);
  start({kAda, kBob});
  run();
  now = now + kDay * 31;
  EXPECT_EQ(poll().size(), 1u);  // of two syncs
  enter(kCy, kSecond);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre(StartsWith("add 2 to aud\ncy ")));
}

TEST_F(RenewalTest, an_identifier_that_is_to_go_is_removed_though_the_others_are_renewed) {
  connections[0].sync.effect = workspace::Effect::suppress;
  person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}, {IdentifierKind::phone, "7", {}}});
  start({kAda});
  run();
  now = now + kDay * 31;
  person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}});
  delivery->on_profile_change(kAda);
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
  EXPECT_EQ(status().renewing, 0u);
  EXPECT_EQ(delivery->membership(kFirst, kAda)->renewed_at,
            delivery->membership(kFirst, kAda)->stays_since());
}

TEST_F(RenewalTest, a_refusal_is_a_dead_letter_and_what_stands_is_removed_all_the_same) {
  start({kAda});
  run();
  platform.poison = {"email:ada@example.com"};
  now = now + kDay * 31;
  EXPECT_EQ(bodies_until_quiet().size(), 1u);
  EXPECT_EQ(state_of(kAda), Membership::State::member);
  const auto letters = delivery->dead_letters(kFirst);
  ASSERT_EQ(letters->size(), 1u);
  EXPECT_THAT(poll(kDay), IsEmpty());
  // Asked again, once the cause is mended.
  platform.poison.clear();
  const PersonId ada[] = {kAda};
  EXPECT_EQ(delivery->retry(kFirst, ada), 1u);
  EXPECT_EQ(bodies_until_quiet().size(), 1u);
  EXPECT_TRUE(delivery->dead_letters(kFirst)->empty());
  EXPECT_FALSE(delivery->membership(kFirst, kAda)->unanswered);
  leave(kAda);
  run();
  EXPECT_THAT(audience(), IsEmpty());
}

TEST_F(RenewalTest, what_was_refused_when_it_was_sent_again_after_a_crash_is_still_removed) {
  start({kAda});
  run();
  person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}, {IdentifierKind::phone, "7", {}}});
  delivery->on_profile_change(kAda);
  poll();
  EXPECT_EQ(poll_aged().size(), 1u);  // the phone; its answer is lost
  platform.poison = {"phone:7"};
  start({kAda});
  run();
  leave(kAda);
  run();
  EXPECT_THAT(audience(), IsEmpty());
}

TEST_F(RenewalTest, a_sync_that_stopped_tries_again_with_a_renewal_where_nothing_else_waits) {
  start({kAda});
  run();
  enter(kBob);
  poll();
  poll_aged();
  reply(403);
  leave(kBob);
  now = now + kDay * 31;
  poll();
  ASSERT_FALSE(sends.empty());
  while (!sends.empty()) reply(platform.handle(sends.front().request));
  run();
  EXPECT_EQ(status().state, "idle");
  EXPECT_GE(delivery->membership(kFirst, kAda)->renewed_at, now - kDay);
}

TEST_F(RenewalTest, everybody_is_added_again_on_request_also_after_a_restart) {
  destination.life.reset();
  destination.limits_.batch_records_max = 1;
  start({kAda, kBob});
  run();
  platform.audiences["s"].clear();  // it has lost them, and says nothing
  now = now + kMinute;
  EXPECT_EQ(delivery->reupload(kFirst, Delivery::Others::leave, now)->people, 2u);
  EXPECT_EQ(status().state, "adding 2 members again");
  EXPECT_EQ(poll().size(), 1u);
  reply(platform.handle(sends.front().request));
  now = now + kMinute;
  start({kAda, kBob});
  run();
  EXPECT_EQ(audience().size(), 2u);
  start({kAda, kBob});
  EXPECT_THAT(bodies_until_quiet(), IsEmpty());
}

TEST_F(RenewalTest, an_audience_that_decayed_is_filled_again_where_the_policy_says_so) {
  destination.life.reset();
  destination.measures = true;
  connections[0].sync.drift = DriftPolicy::reassert;
  std::vector<PersonId> people;
  for (std::uint32_t i = 10; i < 2'010; ++i) {
    people.emplace_back(i);
    person(PersonId{i}, fmt::format("p{}", i), {{IdentifierKind::phone, std::to_string(i), {}}});
  }
  platform.audience_size = "2000";
  start(people);
  run();
  const auto look_again = [&] {
    now = now + options.inspect_every;
    poll();
    run();
  };
  look_again();
  platform.audiences["s"].clear();
  platform.audience_size = "100";
  look_again();
  EXPECT_EQ(audience().size(), 2'000u);
  // It counts late: within a week nobody is added a third time.
  platform.audiences["s"].clear();
  for (int i = 0; i < 8; ++i) look_again();
  EXPECT_EQ(audience().size(), 0u);
  now = now + kDay * 6;
  look_again();
  EXPECT_EQ(audience().size(), 2'000u);
}

TEST(Renewals, gives_who_was_noted_until_then_and_some_hours_more) {
  Renewals renewals;
  EXPECT_FALSE(renewals.first());
  renewals.note(PersonId{1}, Time{kDay.count});
  renewals.note(PersonId{2}, Time{kDay.count + kHour.count});
  renewals.note(PersonId{3}, Time{kDay.count * 2});
  renewals.note(PersonId{4}, Time{-1});
  EXPECT_EQ(renewals.first(), Time{-kHour.count * 6});
  EXPECT_THAT(renewals.take(Time{}, 10), ElementsAre(PersonId{4}));
  EXPECT_THAT(renewals.take(Time{kDay.count}, 1), ElementsAre(PersonId{1}));
  EXPECT_THAT(renewals.take(Time{kDay.count}, 10), ElementsAre(PersonId{2}));
  EXPECT_THAT(renewals.take(Time{kDay.count}, 10), IsEmpty());
  EXPECT_THAT(renewals.take(Time{kDay.count * 2}, 10), ElementsAre(PersonId{3}));
  EXPECT_FALSE(renewals.first());
}

}  // namespace
}  // namespace tailrace::delivery
