// Removing from an audience whoever is not to be there, though nothing here says that they are.
#include "delivery/sweep.h"

#include "delivery/delivery_fixture.h"

namespace tailrace::delivery {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class SweepTest : public DeliveryTest {
 protected:
  SweepTest() {
    // A platform that can let go of whoever was last added before an instant, when it has worked a day.
    destination.processing_time = {.most = kDay, .about = "", .source = ""};
    destination.clears = true;
    platform.now = now;
  }
  Delivery::Reupload sweep(Delivery::Others others = Delivery::Others::remove) {
    const auto asked = delivery->reupload(kFirst, others, now);
    EXPECT_TRUE(asked) << asked.error().message;
    return asked.value_or(Delivery::Reupload{});
  }
  // Somebody adds people by hand, or an earlier ledger did.
  void put_there(std::initializer_list<std::string> identifiers) {
    for (const std::string& each : identifiers) {
      platform.audiences["s"].insert(each);
      platform.since[{"s", each}] = platform.now;
    }
  }
  void wait(Millis length) {
    now = now + length;
    platform.now = now;
  }
  // Members are looked at first.
  std::vector<std::string> poll_for_clear() {
    std::vector<std::string> bodies;
    for (int i = 0; i < 5 && bodies.empty(); ++i) bodies = poll();
    return bodies;
  }
  // As run(), with the platform's clock.
  std::vector<std::string> bodies_until_quiet() {
    std::vector<std::string> all;
    for (int i = 0; i < 60; ++i) {
      for (std::string& body : poll()) all.push_back(std::move(body));
      while (!sends.empty()) reply(platform.handle(sends.front().request));
      if (delivery->idle()) break;
      wait(std::max(Millis{0}, std::min(delivery->next_poll_at(), now + kHour) - now));
    }
    return all;
  }
};

TEST_F(SweepTest, a_known_person_who_is_not_to_be_there_goes) {
  start({kAda});
  run();
  put_there({"email:bob@example.com"});
  EXPECT_EQ(sweep().others, 4u);  // ids up to that of cy
  EXPECT_THAT(bodies_until_quiet(),
              ElementsAre("add 2 to aud\nada email:ada@example.com\n",
                          "remove 3 to aud\nbob email:bob@example.com\ncy email:cy@example.com\n"));
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
  EXPECT_EQ(state_of(kBob), Membership::State::left);
}

TEST_F(SweepTest, whom_a_ledger_from_a_copy_has_forgotten_go) {
  start({kAda});
  run();
  TemporaryDirectory copy;
  ASSERT_TRUE(ledger->checkpoint(copy.path()));
  enter(kBob);
  enter(kCy);
  run();
  leave(kBob);  // cy stays
  const auto people = std::vector{kAda, kCy};
  delivery.reset();
  ledger.reset();
  std::filesystem::remove_all(directory.path());
  std::filesystem::copy(copy.path(), directory.path(), std::filesystem::copy_options::recursive);
  start(people);
  run();
  EXPECT_TRUE(audience().contains("email:bob@example.com"));
  sweep();
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com", "email:cy@example.com"));
}

TEST_F(SweepTest, a_sync_that_is_tried_out_names_nobody_else) {
  connections[0].sync.mode = workspace::Mode::test;
  start({kAda});
  run();
  const auto refused = delivery->reupload(kFirst, Delivery::Others::remove, now);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("in mode test"));
  EXPECT_TRUE(delivery->reupload(kFirst, Delivery::Others::leave, now));
}

TEST_F(SweepTest, what_is_asked_for_anew_while_a_platform_lets_go_is_not_forgotten) {
  start({kAda});
  run();
  wait(kHour * 2);
  sweep();
  bodies_until_quiet();
  wait(kDay);
  EXPECT_EQ(poll_for_clear().size(), 1u);
  const Time again = now;
  sweep();
  reply(200);
  bodies_until_quiet();
  wait(kDay);
  EXPECT_THAT(bodies_until_quiet(), ElementsAre("clear aud before " + format_time(again - kSweepMargin)));
}

TEST_F(SweepTest, without_it_a_full_upload_leaves_them) {
  start({kAda});
  run();
  put_there({"email:bob@example.com"});
  EXPECT_EQ(sweep(Delivery::Others::leave).others, 0u);
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com", "email:bob@example.com"));
}

TEST_F(SweepTest, what_a_member_has_too_stays) {
  person(kBob, "bob", {{IdentifierKind::email, "bob@example.com", {}}, {IdentifierKind::phone, "7", {}}});
  person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}, {IdentifierKind::phone, "7", {}}});
  start({kAda});
  run();
  put_there({"email:bob@example.com"});
  sweep();
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com", "phone:7"));
}

TEST_F(SweepTest, only_those_who_agreed_are_named) {
  connections[0].sync.consent_purpose = "ads";
  profiles.people[kAda].consent = {{"ads", true}};
  profiles.people[kBob].consent = {{"ads", false}};
  start({kAda});
  run();
  sweep();
  EXPECT_THAT(bodies_until_quiet(), Each(Not(HasSubstr("bob"))));
  EXPECT_FALSE(delivery->membership(kFirst, kCy));  // said nothing
}

TEST_F(SweepTest, whoever_is_deleted_or_has_nothing_usable_is_not_named) {
  profiles.people[kBob].deleted = true;
  person(kCy, "cy", {{IdentifierKind::email, "bad", {}}});
  start({kAda});
  run();
  sweep();
  EXPECT_THAT(bodies_until_quiet(), ElementsAre("add 2 to aud\nada email:ada@example.com\n"));
}

TEST_F(SweepTest, whoever_enters_meanwhile_ends_in_the_audience) {
  start({kAda});
  run();
  sweep();
  poll();
  enter(kBob);
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com", "email:bob@example.com"));
  EXPECT_EQ(state_of(kBob), Membership::State::member);
}

TEST_F(SweepTest, the_guards_of_a_sync_do_not_hold_it) {
  connections[0].sync.guards.change_count = 1;
  start({kAda});
  run();
  put_there({"email:bob@example.com", "email:cy@example.com"});
  sweep();
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
  EXPECT_FALSE(status().held);
}

TEST_F(SweepTest, it_goes_on_after_the_process_ended_at_any_request) {
  for (std::uint32_t i = 10; i < 40; ++i)
    person(PersonId{i}, fmt::format("p{}", i), {{IdentifierKind::email, fmt::format("e{}", i), {}}});
  destination.limits_.batch_records_max = 4;
  for (int cut = 0; cut < 12; ++cut) {
    SCOPED_TRACE(cut);
    start({kAda});
    run();
    put_there({"email:bob@example.com", "email:e10", "email:e39"});
    sweep();
    for (int i = 0; i < cut && !delivery->idle(); ++i) {
      poll();
      if (!sends.empty()) reply(platform.handle(sends.front().request));
    }
    start({kAda});
    run();
    EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
  }
}

TEST_F(SweepTest, a_removal_that_the_platform_refuses_is_a_dead_letter) {
  start({kAda});
  run();
  put_there({"email:bob@example.com"});
  sweep();
  for (int i = 0; i < 20 && !delivery->idle(); ++i) {
    poll(Millis{1'000});
    while (!sends.empty()) {
      const bool is_removal = sends.front().request.body.starts_with("remove");
      is_removal ? reply(200, "not now\nok\n") : reply(platform.handle(sends.front().request));
    }
  }
  const auto letters = *delivery->dead_letters(kFirst);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].person, kBob);
  EXPECT_EQ(letters[0].of, DeadLetter::Of::removal);
}

TEST_F(SweepTest, strangers_go_where_the_platform_can_let_go_of_them) {
  start({kAda});
  run();
  put_there({"email:stranger@example.com"});
  wait(kHour * 2);
  const Time asked = now;
  EXPECT_EQ(sweep().clears_from, asked + kDay);
  // Not before it has worked off what it was told.
  EXPECT_THAT(bodies_until_quiet(), Each(Not(HasSubstr("clear"))));
  EXPECT_THAT(status().state, HasSubstr("on its platform is asked to let go of others"));
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com", "email:stranger@example.com"));
  wait(kDay);
  EXPECT_THAT(bodies_until_quiet(), ElementsAre("clear aud before " + format_time(asked - kSweepMargin)));
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
  EXPECT_EQ(status().state, "idle");
  wait(kDay);
  EXPECT_THAT(bodies_until_quiet(), IsEmpty());
}

TEST_F(SweepTest, nobody_is_let_go_while_a_member_was_not_taken_again) {
  start({kAda, kBob});
  run();
  wait(kHour * 2);
  platform.poison = {"email:bob@example.com"};
  sweep();
  bodies_until_quiet();
  wait(kDay * 2);
  EXPECT_THAT(bodies_until_quiet(), Each(Not(HasSubstr("clear"))));
  const auto alerts = delivery->take_alerts();
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_THAT(alerts[0].text, HasSubstr("are left there: 1 who stand in it were not taken again"));
  EXPECT_THAT(audience(), UnorderedElementsAre("email:ada@example.com", "email:bob@example.com"));
}

TEST_F(SweepTest, letting_go_is_asked_again_after_a_failure_and_after_a_restart) {
  start({kAda});
  run();
  put_there({"email:stranger@example.com"});
  wait(kHour * 2);
  sweep();
  bodies_until_quiet();
  wait(kDay);
  EXPECT_EQ(poll_for_clear().size(), 1u);
  reply(503);
  EXPECT_THAT(poll(), IsEmpty());
  wait(kHour);
  EXPECT_EQ(poll_for_clear().size(), 1u);  // and no answer
  start({kAda});
  bodies_until_quiet();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
}

TEST_F(SweepTest, a_platform_that_refuses_to_let_go_is_told_of_once) {
  start({kAda});
  run();
  wait(kHour * 2);
  sweep();
  bodies_until_quiet();
  wait(kDay);
  EXPECT_EQ(poll_for_clear().size(), 1u);
  reply(400);
  EXPECT_EQ(delivery->take_alerts().size(), 1u);
  wait(kDay);
  EXPECT_THAT(bodies_until_quiet(), IsEmpty());
}

TEST_F(SweepTest, a_smaller_audience_is_no_loss_then) {
  destination.measures = true;
  for (std::uint32_t i = 10; i < 10 + 2'000; ++i)
    person(PersonId{i}, fmt::format("p{}", i), {{IdentifierKind::email, fmt::format("e{}", i), {}}});
  std::vector<PersonId> many;
  for (std::uint32_t i = 10; i < 10 + 2'000; ++i) many.emplace_back(i);
  destination.limits_.batch_records_max = 1'000;
  platform.audience_size = "6000";  // as many strangers and more
  start(many);
  run();
  delivery->take_alerts();
  sweep();
  run();
  platform.audience_size = "2000";
  wait(kDay);
  run();
  EXPECT_THAT(delivery->take_alerts(), IsEmpty());
}

}  // namespace
}  // namespace tailrace::delivery
