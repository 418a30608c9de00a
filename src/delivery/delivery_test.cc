#include "delivery/delivery.h"

#include <array>

#include "delivery/delivery_fixture.h"
#include "delivery/pass_notes.h"

namespace tailrace::delivery {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using State = Membership::State;

// --- batches and cadence

TEST_F(DeliveryTest, changes_wait_for_company_and_no_longer) {
  start();
  enter(kAda);
  EXPECT_EQ(delivery->next_poll_at(), kForeverAgo);
  EXPECT_THAT(poll(), IsEmpty());
  EXPECT_EQ(delivery->next_poll_at(), now + Millis{250});
  now = now + Millis{100};
  enter(kBob);
  EXPECT_THAT(poll(Millis{149}), IsEmpty());
  EXPECT_THAT(poll(Millis{1}),
              ElementsAre("add 1 to aud\nada email:ada@example.com\nbob email:bob@example.com\n"));
}

TEST_F(DeliveryTest, a_full_batch_does_not_wait) {
  destination.limits_.batch_records_max = 2;
  start();
  enter(kAda);
  enter(kBob);
  EXPECT_EQ(poll().size(), 1u);
}

TEST_F(DeliveryTest, in_and_out_before_the_flush_sends_nothing) {
  start();
  enter(kAda);
  poll();
  leave(kAda);
  EXPECT_THAT(poll_aged(), IsEmpty());
  EXPECT_TRUE(delivery->idle());
  EXPECT_EQ(status().sent, 0u);
}

TEST_F(DeliveryTest, every_waits_for_its_time_and_flush_does_not) {
  connections[0].sync.cadence = {workspace::Cadence::Kind::every, kMinute * 15, ""};
  now = *parse_time("2026-03-01T10:07:00Z");
  start();
  enter(kAda);
  EXPECT_THAT(poll(), IsEmpty());
  EXPECT_EQ(delivery->next_poll_at(), *parse_time("2026-03-01T10:15:00Z"));
  EXPECT_EQ(poll(kMinute * 8).size(), 1u);
  reply(200);
  enter(kBob);
  EXPECT_THAT(poll(kMinute), IsEmpty());
  delivery->flush(kFirst);
  EXPECT_EQ(poll().size(), 1u);
}

TEST_F(DeliveryTest, cron_is_in_the_time_zone) {
  connections[0].sync.cadence = {workspace::Cadence::Kind::cron, {}, "0 6 * * *"};
  connections[0].time_zone = "America/New_York";
  start();
  enter(kAda);
  poll();
  EXPECT_EQ(delivery->next_poll_at(), *parse_time("2026-03-01T11:00:00Z"));
}

TEST_F(DeliveryTest, a_bad_cron_or_limit_cannot_start) {
  start();
  auto bad = connections;
  bad[0].sync.cadence = {workspace::Cadence::Kind::cron, {}, "61 * * * *"};
  EXPECT_THAT(Delivery::create(bad, *ledger, profiles, random, {}).error().message, HasSubstr("sync `s`"));
  bad = connections;
  bad[0].config.settings["batch_records_max"] = "many";
  EXPECT_THAT(Delivery::create(bad, *ledger, profiles, random, {}).error().message,
              HasSubstr("batch_records_max"));
}

TEST_F(DeliveryTest, a_request_too_long_for_the_platform_is_cut) {
  destination.limits_.batch_bytes_max = 45;
  start();
  enter(kAda);
  enter(kBob);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre("add 2 to aud\nada email:ada@example.com\n",
                                       "add 3 to aud\nbob email:bob@example.com\n"));
}

// --- order

TEST_F(DeliveryTest, protective_changes_go_first_across_syncs) {
  add_sync("suppress", workspace::Effect::suppress);
  start();
  enter(kAda);
  enter(kBob, kSecond);
  run();
  leave(kAda);           // protects
  enter(kCy);            // does not
  enter(kCy, kSecond);   // protects
  leave(kBob, kSecond);  // does not
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre(HasSubstr("add"), StartsWith("remove 2 to aud\nada"),
                                       StartsWith("add 3 to aud\ncy"), StartsWith("remove 3 to aud\nbob")));
}

TEST_F(DeliveryTest, a_person_in_flight_waits_for_the_answer) {
  start();
  enter(kAda);
  poll();
  EXPECT_EQ(poll_aged().size(), 1u);
  leave(kAda);
  EXPECT_THAT(poll(kMinute), IsEmpty());
  reply(200);
  EXPECT_EQ(status().delivered, 1u);
  EXPECT_THAT(poll(), ElementsAre("remove 2 to aud\nada email:ada@example.com\n"));
}

TEST_F(DeliveryTest, an_addition_waits_while_a_removal_of_the_same_identifier_is_in_flight) {
  person(kBob, "bob", {{IdentifierKind::email, "ada@example.com", {}}});
  start();
  enter(kAda);
  run();
  leave(kAda);
  poll();
  EXPECT_EQ(poll_aged().size(), 1u);
  enter(kBob);
  EXPECT_THAT(poll(kMinute), IsEmpty());
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
}

// --- the ledger before the request

TEST_F(DeliveryTest, the_intent_is_in_the_ledger_before_the_request) {
  start();
  enter(kAda);
  poll();
  poll_aged();
  EXPECT_EQ(state_of(kAda), State::adding);
  EXPECT_EQ(delivery->membership(kFirst, kAda)->uploaded.front().value, "ada@example.com");
  reply(200);
  EXPECT_EQ(state_of(kAda), State::member);
  leave(kAda);
  poll();
  poll_aged();
  EXPECT_EQ(state_of(kAda), State::removing);
  reply(200);
  EXPECT_EQ(state_of(kAda), State::left);
  EXPECT_THAT(delivery->membership(kFirst, kAda)->uploaded, IsEmpty());
}

TEST_F(DeliveryTest, after_a_crash_what_is_unknown_follows_what_is_desired) {
  start();
  enter(kAda);
  enter(kBob);
  poll();
  poll_aged();
  start({kAda});
  EXPECT_THAT(poll(), ElementsAre("remove 2 to aud\nbob email:bob@example.com\n",
                                  "add 3 to aud\nada email:ada@example.com\n"));
  run();
  EXPECT_EQ(state_of(kBob), State::left);
  EXPECT_EQ(status().sent, 3u);  // Ada's resend is not counted again
}

TEST_F(DeliveryTest, entries_are_acknowledged_additions) {
  start();
  enter(kAda);
  poll();
  poll_aged();
  EXPECT_THAT(delivery->take_entries(), IsEmpty());
  reply(200);
  const auto entries = delivery->take_entries();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].person, kAda);
  EXPECT_EQ(entries[0].at, now);
  EXPECT_THAT(delivery->take_entries(), IsEmpty());
}

TEST_F(DeliveryTest, a_sync_moved_to_another_destination_is_stopped_while_people_stand_at_the_first) {
  start();
  enter(kAda);
  run();
  const std::string first = connections[0].sync.destination;
  connections[0].sync.destination = "another";
  start({kAda, kBob});
  EXPECT_THAT(poll(kMinute), IsEmpty());
  EXPECT_THAT(status().state, HasSubstr("of destination \"" + first + "\""));
  // Once everybody has left, nothing stands in the way.
  connections[0].sync.destination = first;
  start();
  run();
  connections[0].sync.destination = "another";
  start({kBob});
  run();
  EXPECT_EQ(state_of(kBob), State::member);
}

TEST_F(DeliveryTest, a_sync_moved_to_another_audience_is_stopped_with_the_mend) {
  start();
  enter(kAda);
  run();
  connections[0].sync.audience_id = "other";
  start({kAda, kBob});
  EXPECT_THAT(poll(kMinute), IsEmpty());
  EXPECT_THAT(status().state, HasSubstr("stopped: its people stand in audience aud"));
}

// --- identifiers

TEST_F(DeliveryTest, a_shared_identifier_goes_with_its_last_holder) {
  for (const PersonId who : {kAda, kBob})
    profiles.people[who].identifiers.push_back({IdentifierKind::phone, "7", {}});
  start();
  enter(kAda);
  enter(kBob);
  run();
  leave(kAda);
  run();
  EXPECT_THAT(audience(), ElementsAre("email:bob@example.com", "phone:7"));
  leave(kBob);
  run();
  EXPECT_THAT(audience(), IsEmpty());
}

TEST_F(DeliveryTest, holders_who_leave_together_leave_nothing) {
  for (const PersonId who : {kAda, kBob}) person(who, "x", {{IdentifierKind::phone, "7", {}}});
  start();
  enter(kAda);
  enter(kBob);
  run();
  leave(kAda);
  leave(kBob);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre("remove 2 to aud\nx phone:7\n"));
  run();
  EXPECT_EQ(state_of(kAda), State::left);
  EXPECT_EQ(state_of(kBob), State::left);
}

TEST_F(DeliveryTest, a_removal_sends_what_was_added_though_the_email_changed) {
  start();
  enter(kAda);
  run();
  person(kAda, "ada", {{IdentifierKind::email, "new@example.com", {}}});
  leave(kAda);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre("remove 2 to aud\nada email:ada@example.com\n"));
}

TEST_F(DeliveryTest, a_deleted_person_is_removed_and_leaves_no_identifier_behind) {
  start();
  enter(kAda);
  run();
  profiles.people[kAda] = {
      .id = kAda, .golden_id = "", .identifiers = {}, .traits = {}, .consent = {}, .deleted = true};
  delivery->on_profile_change(kAda);
  run();
  EXPECT_THAT(audience(), IsEmpty());
  EXPECT_THAT(delivery->membership(kFirst, kAda)->uploaded, IsEmpty());
}

TEST_F(DeliveryTest, a_changed_profile_of_a_member_is_exact_and_in_protective_order) {
  start();
  enter(kAda);
  run();
  person(kAda, "ada", {{IdentifierKind::email, "new@example.com", {}}});
  delivery->on_profile_change(kAda);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre("remove 2 to aud\nada email:ada@example.com\n"));
  reply(200);
  EXPECT_THAT(poll(), ElementsAre("add 3 to aud\nada email:new@example.com\n"));
  reply(200);
  run();
  EXPECT_EQ(delivery->take_entries().size(), 1u);  // a new address is no new entry
}

TEST_F(DeliveryTest, who_has_nothing_to_upload_is_visible_and_asked_again_when_it_changes) {
  person(kAda, "ada", {{IdentifierKind::phone, "bad", {}}});
  person(kBob, "bob", {});
  start();
  enter(kAda);
  enter(kBob);
  run();
  EXPECT_EQ(status().without_identifier, 2u);
  EXPECT_EQ(status().sent, 0u);
  const auto rejections = delivery->rejections(kFirst, 10);
  ASSERT_EQ(rejections.size(), 2u);
  EXPECT_EQ(rejections[0].reason, "no usable identifier: phone malformed");
  EXPECT_EQ(rejections[1].reason, "no usable identifier: has no email or phone");
  start({kAda, kBob});
  EXPECT_EQ(status().without_identifier, 2u);
  person(kBob, "bob", {{IdentifierKind::phone, "7", {}}});
  delivery->on_profile_change(kBob);
  run();
  EXPECT_THAT(audience(), ElementsAre("phone:7"));
  EXPECT_EQ(status().without_identifier, 1u);
}

// --- answers

TEST_F(DeliveryTest, the_same_batch_goes_again_after_what_the_platform_asked_for) {
  start();
  enter(kAda);
  poll();
  const auto first = poll_aged();
  reply(429, "", {{"Retry-After", "12"}});
  EXPECT_EQ(status().state, "waiting for 12s: HTTP 429");
  EXPECT_THAT(poll(Millis{11'999}), IsEmpty());
  EXPECT_EQ(delivery->next_poll_at(), now + Millis{1});
  EXPECT_EQ(poll(Millis{1}), first);
  EXPECT_EQ(status().sent, 1u);
}

TEST_F(DeliveryTest, an_unanswered_request_goes_again_within_the_cap_for_ever) {
  start();
  enter(kAda);
  poll();
  const auto first = poll_aged();
  for (int i = 0; i < 30; ++i) {
    reply(fail(Error::Code::unavailable, "connection reset"));
    EXPECT_THAT(status().state, StartsWith("waiting for "));
    EXPECT_FALSE(delivery->idle());
    poll(options.retry_cap);
    ASSERT_EQ(sends.size(), 1u);
    EXPECT_EQ(sends[0].request.body, first[0]);
  }
}

TEST_F(DeliveryTest, bisection_finds_the_poison_and_the_rest_arrives) {
  platform.poison = {"email:bob@example.com"};
  start();
  for (const PersonId who : {kAda, kBob, kCy}) enter(who);
  run();
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com", "email:cy@example.com"));
  EXPECT_EQ(state_of(kBob), State::rejected);
  EXPECT_EQ(delivery->rejections(kFirst, 10)[0].reason, "HTTP 400");
  EXPECT_EQ(status().accepted, 2u);
  EXPECT_EQ(status().rejected, 1u);
  EXPECT_EQ(status().pending, 0u);
}

TEST_F(DeliveryTest, a_named_culprit_is_refused_and_the_rest_goes_again_under_a_new_id) {
  platform.poison = {"email:bob@example.com"};
  platform.names_culprits = true;
  start();
  for (const PersonId who : {kAda, kBob, kCy}) enter(who);
  poll();
  poll_aged();
  reply(platform.handle(sends.front().request));
  EXPECT_THAT(poll(), ElementsAre("add 2 to aud\nada email:ada@example.com\ncy email:cy@example.com\n"));
  EXPECT_EQ(delivery->membership(kFirst, kBob)->reason, "malformed hash");
}

TEST_F(DeliveryTest, a_refused_record_is_kept_and_asked_again_on_a_new_profile) {
  start();
  enter(kAda);
  enter(kBob);
  poll();
  poll_aged();
  reply(200, "ok\ntoo short\n");
  poll();
  EXPECT_TRUE(delivery->idle());
  EXPECT_EQ(delivery->rejections(kFirst, 1)[0].reason, "too short");
  delivery->on_profile_change(kBob);
  poll();
  EXPECT_EQ(poll_aged().size(), 1u);
}

TEST_F(DeliveryTest, a_refused_removal_stays_visible_and_does_not_spin) {
  start();
  enter(kAda);
  run();
  leave(kAda);
  poll();
  poll_aged();
  reply(200, "unknown record\n");
  EXPECT_TRUE(delivery->idle());
  EXPECT_EQ(state_of(kAda), State::removing);
  EXPECT_EQ(delivery->membership(kFirst, kAda)->reason, "unknown record");
}

TEST_F(DeliveryTest, stop_stops_one_sync_and_tries_again_with_one_request) {
  connections[0].sync.destination = "a";
  add_sync("other", workspace::Effect::target).sync.destination = "b";
  destination.limits_.batch_records_max = 1;
  start();
  enter(kAda);
  enter(kBob);
  enter(kAda, kSecond);
  ASSERT_EQ(poll().size(), 2u);
  reply(403);
  reply(200);
  EXPECT_EQ(status().state, "stopped: HTTP 403");
  EXPECT_EQ(status(kSecond).delivered, 1u);
  poll();
  EXPECT_TRUE(delivery->idle());
  EXPECT_THAT(poll(Millis{299'999}), IsEmpty());
  ASSERT_EQ(poll(Millis{1}).size(), 1u);
  reply(200);
  EXPECT_EQ(poll().size(), 1u);
  run();
  EXPECT_EQ(status().state, "idle");
  EXPECT_EQ(status().delivered, 2u);
}

TEST_F(DeliveryTest, a_stopped_sync_says_so_after_a_restart_and_tries_at_once) {
  start();
  enter(kAda);
  poll();
  poll_aged();
  reply(403);
  start({kAda});
  EXPECT_EQ(status().state, "stopped: HTTP 403");
  EXPECT_EQ(poll().size(), 1u);
}

TEST_F(DeliveryTest, an_answer_of_the_wrong_length_stops) {
  start();
  enter(kAda);
  poll();
  poll_aged();
  reply(200, "ok\nok\n");
  EXPECT_EQ(status().state, "stopped: the answer speaks of 2 records, 1 were sent");
}

// --- tokens, audiences, limits, measurement

TEST_F(DeliveryTest, a_token_is_fetched_once_for_all_syncs_and_renewed_early) {
  destination.has_tokens = true;
  add_sync("other", workspace::Effect::target);
  start();
  enter(kAda);
  enter(kAda, kSecond);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre("token"));
  reply(200, "secret");
  EXPECT_EQ(poll().size(), 2u);
  EXPECT_EQ(*sends[0].request.headers.get("Authorization"), "secret");
  reply(200);
  reply(200);
  poll();
  enter(kBob);
  poll(kMinute * 55);
  EXPECT_THAT(poll_aged(), ElementsAre("token"));
}

TEST_F(DeliveryTest, a_refused_token_is_renewed_once_then_the_sync_stops) {
  destination.has_tokens = true;
  start();
  enter(kAda);
  poll();
  poll_aged();
  reply(200, "t1");
  const auto batch = poll();
  reply(401);
  EXPECT_THAT(poll(), ElementsAre("token"));
  reply(200, "t2");
  EXPECT_EQ(poll(), batch);
  reply(401);
  EXPECT_EQ(status().state, "stopped: HTTP 401");
}

TEST_F(DeliveryTest, a_token_that_cannot_be_had_is_said) {
  destination.has_tokens = true;
  start();
  enter(kAda);
  poll();
  poll_aged();
  reply(400);
  EXPECT_EQ(status().state, "stopped: no access token: invalid_grant");
  EXPECT_THAT(poll(Millis{299'999}), IsEmpty());
  EXPECT_THAT(poll(Millis{1}), ElementsAre("token"));
}

TEST_F(DeliveryTest, the_audience_is_created_first_and_only_once) {
  destination.creates = true;
  connections[0].sync.audience_id = "";
  start();
  enter(kAda);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre("create"));
  reply(200, "aud-9");
  EXPECT_THAT(poll(), ElementsAre(StartsWith("add 1 to aud-9\n")));
  start({kAda});
  EXPECT_THAT(poll(), ElementsAre(StartsWith("add 2 to aud-9\n")));
}

TEST_F(DeliveryTest, an_audience_that_cannot_be_created_stops_the_sync) {
  destination.creates = true;
  connections[0].sync.audience_id = "";
  start();
  enter(kAda);
  poll();
  poll_aged();
  reply(403);
  EXPECT_EQ(status().state, "stopped: cannot create the audience: no permission to create");
}

TEST_F(DeliveryTest, requests_per_minute_hold_over_all_syncs_to_a_destination) {
  destination.limits_ = {.batch_records_max = 1, .requests_per_minute = 2};
  add_sync("other", workspace::Effect::target);
  start();
  for (const SyncId sync : {kFirst, kSecond}) {
    enter(kAda, sync);
    enter(kBob, sync);
  }
  EXPECT_EQ(poll().size(), 2u);
  reply(200);
  reply(200);
  EXPECT_THAT(poll(Millis{59'999}), IsEmpty());
  EXPECT_EQ(poll(Millis{1}).size(), 2u);
}

TEST_F(DeliveryTest, a_platform_near_its_budget_is_asked_less_often) {
  destination.limits_.batch_records_max = 1;
  start();
  enter(kAda);
  enter(kBob);
  poll();
  reply(200, "", {{"Usage", "90"}});
  EXPECT_THAT(poll(Millis{30'499}), IsEmpty());
  EXPECT_EQ(poll(Millis{1}).size(), 1u);
}

TEST_F(DeliveryTest, the_audience_is_measured_until_the_answer_stays) {
  destination.measures = true;
  start();
  enter(kAda);
  poll();
  poll_aged();
  reply(200);
  EXPECT_FALSE(delivery->idle());
  EXPECT_THAT(poll(), ElementsAre("measure aud"));
  reply(200, "40");
  EXPECT_EQ(status().measured->size, 40);
  EXPECT_TRUE(delivery->idle());
  EXPECT_THAT(poll(Millis{59'999}), IsEmpty());
  EXPECT_THAT(poll(Millis{1}), ElementsAre("measure aud"));
  reply(200, "40");
  EXPECT_THAT(poll(kHour), IsEmpty());
}

TEST_F(DeliveryTest, while_its_platform_fails_an_audience_is_measured_less_and_less_often) {
  destination.measures = true;
  start();
  enter(kAda);
  poll();
  poll_aged();
  reply(200);
  EXPECT_THAT(poll(), ElementsAre("measure aud"));
  for (const Millis wait : {kMinute, kMinute * 2, kMinute * 4}) {
    reply(fail(Error::Code::unavailable, "timed out"));
    EXPECT_THAT(poll(wait - Millis{1}), IsEmpty());
    EXPECT_THAT(poll(Millis{1}), ElementsAre("measure aud"));
  }
}

TEST_F(DeliveryTest, latency_counts_live_changes_alone) {
  start();
  delivery->on_change(kFirst, {now, now, {}, kBob, Change::entered}, Delivery::Origin::backfill);
  enter(kAda);
  poll();
  poll_aged();
  now = now + Millis{50};
  reply(200);
  EXPECT_EQ(status().latency_count, 1u);
  EXPECT_GE(status().latency_p50->count, 300);
  EXPECT_LE(status().latency_p99->count, 337);
}

// --- objectives and protection

TEST_F(DeliveryTest, an_objective_is_the_syncs_own_or_its_cadence) {
  using workspace::Cadence;
  connections[0].sync.objective = tailrace::kSecond * 5;
  add_sync("realtime", workspace::Effect::target);
  add_sync("every", workspace::Effect::target).sync.cadence = {Cadence::Kind::every, kHour * 6, ""};
  add_sync("weekdays", workspace::Effect::target).sync.cadence = {Cadence::Kind::cron, {}, "0 6 * * 1-5"};
  start();
  const auto all = delivery->status();
  EXPECT_EQ(all[0].objective, tailrace::kSecond * 5);
  EXPECT_EQ(all[1].objective, kMinute);
  EXPECT_EQ(all[2].objective, kHour * 6);
  EXPECT_EQ(all[3].objective, kDay * 3);  // from Friday to Monday
}

TEST_F(DeliveryTest, latencies_are_counted_against_the_objective_and_survive_a_restart) {
  connections[0].sync.objective = Millis{300};
  start();
  enter(kAda);
  run();  // 250 ms
  enter(kBob);
  poll();
  poll(Millis{250});
  now = now + Millis{51};
  reply(200);
  const auto check = [&] {
    EXPECT_EQ(status().latency_count, 2u);
    EXPECT_EQ(status().latency_within, 1u);
    EXPECT_GE(status().latency_p95, Millis{301});
  };
  check();
  start({kAda, kBob});
  check();
}

TEST_F(DeliveryTest, who_left_a_target_is_unprotected_until_it_is_acknowledged) {
  start();
  enter(kAda);
  EXPECT_EQ(status().unprotected.people, 0u);  // an addition protects nobody here
  run();
  now = now + kHour;
  const Time left = now;
  leave(kAda);
  EXPECT_EQ(status().unprotected.people, 1u);
  EXPECT_EQ(status().unprotected.since, left);
  poll();
  poll(Millis{250});  // in flight
  EXPECT_EQ(status().unprotected.people, 1u);
  EXPECT_EQ(status().unprotected.since, left);
  reply(200);
  EXPECT_EQ(status().unprotected.people, 0u);
  EXPECT_FALSE(status().unprotected.since);
}

TEST_F(DeliveryTest, who_is_to_be_suppressed_is_unprotected_until_they_are) {
  connections[0].sync.effect = workspace::Effect::suppress;
  start({kAda});
  EXPECT_EQ(status().unprotected.people, 1u);
  EXPECT_EQ(status().unprotected.since, now);
  run();
  leave(kAda);
  EXPECT_EQ(status().unprotected.people, 0u);
}

// --- dead letters

class DeadLetters : public DeliveryTest {
 protected:
  // "addition of 1: reason", in order; dropped ones with a dot.
  std::vector<std::string> letters() {
    static constexpr std::array kNames{"addition", "removal", "identifiers"};
    const auto found = delivery->dead_letters(kFirst);
    EXPECT_TRUE(found) << found.error().message;
    std::vector<std::string> texts;
    for (const DeadLetter& letter : *found)
      texts.push_back(fmt::format("{} of {}: {}{}", kNames[static_cast<std::size_t>(letter.of)],
                                  letter.person.value, letter.reason, letter.dropped ? " ." : ""));
    return texts;
  }
  // Ada and Bob are refused, Bob first.
  void refuse_both() {
    start();
    enter(kBob);
    poll();
    poll_aged();
    reply(200, "blocked\n");
    enter(kAda);
    poll();
    poll_aged();
    reply(200, "blocked\n");
  }
  std::vector<std::string> next_requests() {
    poll();
    return poll_aged();
  }
};

TEST_F(DeadLetters, are_in_the_order_of_their_refusal_with_its_time) {
  refuse_both();
  EXPECT_THAT(letters(), ElementsAre("addition of 2: blocked", "addition of 1: blocked"));
  EXPECT_EQ(delivery->dead_letters(kFirst)->back().at, now);
  EXPECT_EQ(status().dead_letters, 2u);
}

TEST_F(DeadLetters, a_retry_asks_again_for_exactly_those_in_the_order_given) {
  destination.limits_.batch_records_max = 1;
  options.in_flight_per_sync = 3;
  refuse_both();
  enter(kCy);
  const PersonId both[] = {kBob, kAda};
  EXPECT_EQ(delivery->retry(kFirst, both), 2u);
  EXPECT_EQ(status().dead_letters, 0u);
  EXPECT_THAT(poll(), ElementsAre(HasSubstr("bob@"), HasSubstr("ada@")));
  EXPECT_EQ(delivery->retry(kFirst, both), 0u);  // they are dead letters no more
}

TEST_F(DeadLetters, of_whom_others_are_not_retried) {
  refuse_both();
  const PersonId one[] = {kAda};
  EXPECT_EQ(delivery->retry(kFirst, one), 1u);
  EXPECT_THAT(next_requests(), ElementsAre(AllOf(HasSubstr("ada@"), Not(HasSubstr("bob@")))));
}

TEST_F(DeadLetters, a_dropped_one_rests_through_restarts_where_others_are_asked_again) {
  refuse_both();
  const PersonId one[] = {kBob};
  EXPECT_EQ(*delivery->drop(kFirst, one), 1u);
  EXPECT_EQ(*delivery->drop(kFirst, one), 0u);
  EXPECT_EQ(status().dead_letters, 1u);
  EXPECT_EQ(status().dropped, 1u);
  EXPECT_EQ(delivery->retry(kFirst, one), 0u);
  start({kAda, kBob});
  EXPECT_EQ(status().dropped, 1u);
  EXPECT_THAT(letters(), ElementsAre("addition of 2: blocked .", "addition of 1: blocked"));
  EXPECT_THAT(next_requests(), ElementsAre(AllOf(HasSubstr("ada@"), Not(HasSubstr("bob@")))));
}

TEST_F(DeadLetters, a_dropped_one_comes_back_with_another_identifier_also_while_nothing_ran) {
  refuse_both();
  const PersonId both[] = {kAda, kBob};
  EXPECT_EQ(*delivery->drop(kFirst, both), 2u);
  person(kAda, "ada", {{IdentifierKind::email, "ada.new@example.com", {}}});
  delivery->on_profile_change(kAda);
  EXPECT_THAT(next_requests(), ElementsAre(HasSubstr("ada.new@")));
  reply(200);
  person(kBob, "bob", {{IdentifierKind::email, "bob.new@example.com", {}}});
  start({kAda, kBob});
  EXPECT_THAT(next_requests(), ElementsAre(HasSubstr("bob.new@")));
}

TEST_F(DeadLetters, a_dropped_one_comes_back_with_a_new_membership) {
  refuse_both();
  const PersonId one[] = {kAda};
  EXPECT_EQ(*delivery->drop(kFirst, one), 1u);
  leave(kAda);
  EXPECT_EQ(status().dropped, 0u);
  enter(kAda);
  EXPECT_THAT(next_requests(), ElementsAre(HasSubstr("ada@")));
}

TEST_F(DeadLetters, who_has_nothing_to_upload_is_one_and_can_be_dropped) {
  person(kAda, "ada", {});
  start();
  enter(kAda);
  next_requests();
  ASSERT_THAT(letters(), ElementsAre(StartsWith("addition of 1: no usable identifier")));
  const PersonId one[] = {kAda};
  EXPECT_EQ(*delivery->drop(kFirst, one), 1u);
  start({kAda});
  run();
  EXPECT_EQ(status().dropped, 1u);
}

TEST_F(DeadLetters, a_refused_removal_is_one_and_dropped_it_is_not_sent_again) {
  start();
  enter(kAda);
  run();
  leave(kAda);
  next_requests();
  reply(200, "locked\n");
  EXPECT_THAT(letters(), ElementsAre("removal of 1: locked"));
  EXPECT_EQ(delivery->dead_letters(kFirst)->front().at, now);
  const PersonId one[] = {kAda};
  EXPECT_EQ(*delivery->drop(kFirst, one), 1u);
  start();
  EXPECT_THAT(next_requests(), IsEmpty());
  EXPECT_THAT(letters(), ElementsAre("removal of 1: locked ."));
  EXPECT_EQ(status().unprotected.people, 0u);
}

TEST_F(DeadLetters, an_exchange_of_identifiers_that_was_refused_is_one_until_it_is_not_wanted_any_more) {
  connections[0].sync.effect = workspace::Effect::suppress;
  start();
  enter(kAda);
  run();
  person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}, {IdentifierKind::phone, "7", {}}});
  delivery->on_profile_change(kAda);
  next_requests();
  reply(200, "no phones\n");
  EXPECT_THAT(letters(), ElementsAre("identifiers of 1: no phones"));
  person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}});
  start({kAda});
  run();
  EXPECT_THAT(letters(), IsEmpty());
}

// --- receipts

TEST_F(DeliveryTest, a_receipt_has_every_step_of_the_last_change) {
  start();
  EXPECT_FALSE(delivery->receipt(kFirst, kAda)->membership);
  const Time entered = now;
  enter(kAda);
  poll();
  Receipt receipt = *delivery->receipt(kFirst, kAda);
  EXPECT_EQ(receipt.pending, destinations::BatchKind::add);
  EXPECT_EQ(receipt.changed_at, entered);
  EXPECT_EQ(receipt.waiting, "waiting for its turn");
  poll(Millis{250});
  const Time sent = now;
  receipt = *delivery->receipt(kFirst, kAda);
  EXPECT_TRUE(receipt.in_flight);
  EXPECT_EQ(receipt.waiting, "sent, and not answered yet");
  EXPECT_EQ(receipt.membership->sent_at, sent);
  now = now + Millis{90};
  reply(200);
  receipt = *delivery->receipt(kFirst, kAda);
  EXPECT_FALSE(receipt.pending);
  EXPECT_EQ(receipt.waiting, "");
  const Membership& membership = *receipt.membership;
  EXPECT_EQ(membership.state, State::member);
  EXPECT_EQ(membership.received_at, entered);
  EXPECT_EQ(membership.sent_at, sent);
  EXPECT_EQ(membership.acknowledged_at, now);
  EXPECT_TRUE(membership.live);
}

TEST_F(DeliveryTest, a_receipt_names_the_first_request_not_the_resent_one_even_after_a_crash) {
  start();
  const Time entered = now;
  enter(kAda);
  poll();
  poll(Millis{250});
  const Time sent = now;
  reply(fail(Error::Code::unavailable, "no route"));
  Receipt receipt = *delivery->receipt(kFirst, kAda);
  EXPECT_THAT(receipt.waiting, StartsWith("waiting for "));
  EXPECT_THAT(receipt.waiting, HasSubstr("no route"));
  now = now + kHour;
  start({kAda});
  run();
  receipt = *delivery->receipt(kFirst, kAda);
  EXPECT_EQ(receipt.membership->state, State::member);
  EXPECT_EQ(receipt.membership->changed_at, entered);
  EXPECT_EQ(receipt.membership->sent_at, sent);
  EXPECT_EQ(receipt.membership->acknowledged_at, now);
}

TEST_F(DeliveryTest, a_receipt_of_a_removal_has_the_times_of_the_removal) {
  start();
  enter(kAda);
  run();
  now = now + kHour;
  const Time left = now;
  leave(kAda);
  EXPECT_EQ(delivery->receipt(kFirst, kAda)->pending, destinations::BatchKind::remove);
  run();
  const Receipt receipt = *delivery->receipt(kFirst, kAda);
  EXPECT_EQ(receipt.membership->state, State::left);
  EXPECT_EQ(receipt.membership->changed_at, left);
  EXPECT_EQ(receipt.membership->sent_at, left + Millis{250});
}

TEST_F(DeliveryTest, a_receipt_of_somebody_who_cannot_be_sent_says_why_and_that_nothing_was_sent) {
  person(kAda, "ada", {});
  start();
  enter(kAda);
  run();
  Receipt receipt = *delivery->receipt(kFirst, kAda);
  EXPECT_TRUE(receipt.refused);
  EXPECT_THAT(receipt.membership->reason, StartsWith("no usable identifier"));
  EXPECT_EQ(receipt.membership->sent_at, Time{});
  EXPECT_EQ(receipt.waiting, "");
}

TEST_F(DeliveryTest, a_receipt_names_the_time_of_a_cadence) {
  connections[0].sync.cadence = {workspace::Cadence::Kind::every, kMinute * 15, ""};
  now = *parse_time("2026-03-01T10:07:00Z");
  start();
  enter(kAda);
  poll();
  EXPECT_EQ(delivery->receipt(kFirst, kAda)->waiting, "waiting for 2026-03-01T10:15:00.000Z, by its cadence");
}

TEST_F(DeliveryTest, an_answer_to_nothing_is_ignored) {
  start();
  delivery->on_reply(12'345, HttpResponse{200, {}, ""}, now);
  EXPECT_TRUE(poll().empty());
}

// --- dry runs and passes

TEST_F(DeliveryTest, a_dry_run_sends_nothing_and_says_what_would_go) {
  destination.creates = destination.measures = destination.has_tokens = true;
  connections[0].sync.audience_id.clear();
  start({kAda});
  enter(kBob);
  connections[0].sync.mode = workspace::Mode::dry_run;
  start({kAda, kBob});
  leave(kBob);
  enter(kCy);
  EXPECT_THAT(poll(kDay), IsEmpty());
  EXPECT_EQ(status().state, "dry run: 2 would be added, 0 removed; nothing is sent");
  EXPECT_EQ(status().mode, workspace::Mode::dry_run);
  EXPECT_TRUE(delivery->idle());
}

TEST_F(DeliveryTest, a_pass_of_a_dry_run_builds_what_would_go) {
  person(kBob, "bob", {{IdentifierKind::email, "bad@example", {}}});
  start({kCy});
  run();
  connections[0].sync.mode = workspace::Mode::dry_run;
  start({kAda, kBob});
  ASSERT_TRUE(delivery->begin_pass(kFirst, 100, now));
  EXPECT_FALSE(delivery->idle());
  EXPECT_THAT(poll(), IsEmpty());
  EXPECT_THAT(notes(delivery->pass(kFirst)),
              ElementsAre("1 add would be sent", "1 remove would be sent",
                          "1 add not sent: no usable identifier: email malformed"));
  EXPECT_TRUE(delivery->pass(kFirst)->done);
  EXPECT_EQ(status().without_identifier, 0u) << "the ledger knows nothing of it";
}

TEST_F(DeliveryTest, a_dry_run_holds_no_twin_back) {
  connections[0].sync.twin = "stop";
  add_sync("stop", workspace::Effect::suppress).sync.mode = workspace::Mode::dry_run;
  start({kAda});
  run();
  leave(kAda);
  enter(kAda, kSecond);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre(StartsWith("remove")));
}

TEST_F(DeliveryTest, a_pass_sends_so_many_whatever_the_cadence_says) {
  connections[0].sync.cadence = {workspace::Cadence::Kind::every, kDay, ""};
  person(kBob, "bob", {});
  start({kAda, kBob, kCy});
  EXPECT_THAT(poll(), IsEmpty());
  ASSERT_TRUE(delivery->begin_pass(kFirst, 2, now));
  EXPECT_EQ(delivery->begin_pass(kFirst, 2, now).error().code, Error::Code::conflict);
  EXPECT_THAT(poll(), ElementsAre("add 1 to aud\nada email:ada@example.com\n"));
  EXPECT_FALSE(delivery->pass(kFirst)->done);
  reply(200);
  poll();
  EXPECT_TRUE(delivery->pass(kFirst)->done);
  EXPECT_THAT(notes(delivery->pass(kFirst)),
              ElementsAre("1 add accepted", "1 add not sent: no usable identifier: has no email or phone"));
  EXPECT_THAT(poll(kMinute), IsEmpty()) << "one more waits for the cadence";
}

TEST_F(DeliveryTest, a_sync_that_rests_sends_in_a_pass_alone) {
  connections[0].rests = true;
  start({kAda});
  EXPECT_THAT(poll(kHour), IsEmpty());
  EXPECT_TRUE(delivery->idle());
  ASSERT_TRUE(delivery->begin_pass(kFirst, 10, now));
  EXPECT_EQ(poll().size(), 1u);
  reply(200);
  poll();
  enter(kBob);
  EXPECT_THAT(poll(kHour), IsEmpty());
}

TEST_F(DeliveryTest, a_pass_names_the_platforms_refusals_and_ends_when_the_sync_stops) {
  start({kAda, kBob});
  ASSERT_TRUE(delivery->begin_pass(kFirst, 10, now));
  poll();
  reply(403);
  poll();
  EXPECT_TRUE(delivery->pass(kFirst)->done);
  EXPECT_TRUE(status().stopped);
  ASSERT_TRUE(delivery->begin_pass(kFirst, 10, now)) << "it tries again";
  EXPECT_EQ(poll().size(), 1u);
}

// --- credentials

TEST_F(DeliveryTest, new_credentials_are_used_at_once_and_mend_a_sync_that_was_refused) {
  destination.has_tokens = true;
  start({kAda});
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre("token"));
  reply(400);
  EXPECT_THAT(poll(), IsEmpty());
  EXPECT_THAT(status().state, StartsWith("stopped: no access token"));
  EXPECT_THAT(delivery->take_refused_credentials(), ElementsAre("fake"));
  EXPECT_THAT(delivery->take_refused_credentials(), IsEmpty());
  delivery->renew_credentials("another", {}, now);
  EXPECT_THAT(poll(), IsEmpty());
  delivery->renew_credentials("fake", {{"key", "new"}}, now);
  EXPECT_THAT(poll(), ElementsAre("token"));
}

TEST_F(DeliveryTest, two_weeks_before_its_credentials_end_it_says_so_once) {
  connections[0].credentials_end_at = now + kDay * 30;
  start();
  poll();
  EXPECT_THAT(delivery->take_alerts(), IsEmpty());
  EXPECT_LE(delivery->next_poll_at(), now + kDay * 16);
  poll(kDay * 16);
  const auto alerts = delivery->take_alerts();
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0].text, "its credentials end on 2026-03-31: give it new ones before");
  poll(kDay);
  EXPECT_THAT(delivery->take_alerts(), IsEmpty());
}

// --- one kind of identifier a request

TEST_F(DeliveryTest, a_batch_goes_out_kind_by_kind_where_a_request_takes_one) {
  destination.single = true;
  person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}, {IdentifierKind::phone, "7", {}}});
  start({kAda, kBob});
  poll();
  EXPECT_THAT(poll_aged(),
              ElementsAre("add 1 to aud\nada email:ada@example.com\nbob email:bob@example.com\n"));
  reply(200);
  EXPECT_EQ(status().delivered, 0u);
  EXPECT_THAT(poll(), ElementsAre("add 1 to aud\nada phone:7\n"));
  reply(200);
  EXPECT_EQ(status().delivered, 2u);
  EXPECT_EQ(status().identifiers, 3u);
  leave(kAda);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre("remove 2 to aud\nada email:ada@example.com\n"));
  reply(200);
  EXPECT_THAT(poll(), ElementsAre("remove 2 to aud\nada phone:7\n"));
  reply(200);
  EXPECT_EQ(state_of(kAda), State::left);
  EXPECT_EQ(status().identifiers, 1u);
}

TEST_F(DeliveryTest, somebody_of_whom_one_kind_was_refused_is_in_with_the_other) {
  destination.single = true;
  person(kAda, "ada", {{IdentifierKind::email, "ada@example.com", {}}, {IdentifierKind::phone, "7", {}}});
  start({kAda});
  poll();
  poll_aged();
  reply(200);
  EXPECT_EQ(poll().size(), 1u);
  reply(200, "rejected ada");
  EXPECT_EQ(state_of(kAda), State::member);
  EXPECT_EQ(status().identifiers, 1u);
  leave(kAda);
  poll();
  EXPECT_THAT(poll_aged(), ElementsAre("remove 2 to aud\nada email:ada@example.com\n"));
}

}  // namespace
}  // namespace tailrace::delivery
