// Audiences that change at their platform, as delivery meets them.
#include "delivery/delivery_fixture.h"

namespace tailrace::delivery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;
using workspace::DriftPolicy;

class DriftingTest : public DeliveryTest {
 protected:
  DriftingTest() {
    destination.measures = true;
    destination.creates = true;
    connections[0].sync.audience_id.clear();
  }
  void start_filled(DriftPolicy policy) {
    connections[0].sync.drift = policy;
    start({kAda, kBob});
    run();
    look_again();
    ASSERT_EQ(status().state, "idle");
    delivery->take_alerts();
  }
  // Until the audience has been looked at once more, and all is done that follows.
  void look_again() {
    now = now + options.inspect_every;
    poll();
    run();
    now = now + kMinute;
    poll();
    run();
  }
  std::vector<std::string> alerts() {
    std::vector<std::string> texts;
    for (auto& alert : delivery->take_alerts()) texts.push_back(std::move(alert.text));
    return texts;
  }
};

TEST_F(DriftingTest, an_edit_is_told_once_and_the_sync_goes_on) {
  start_filled(DriftPolicy::alert);
  platform.name = "theirs";
  look_again();
  look_again();
  EXPECT_THAT(alerts(), ElementsAre("drifted: its name is now \"theirs\", it was \"ours\""));
  EXPECT_THAT(status().state, StartsWith("drifted: its name"));
  enter(kCy);
  run();
  EXPECT_EQ(status().delivered, 3u);
  platform.name = "ours";
  look_again();
  EXPECT_THAT(alerts(), ElementsAre("is as it should be again at its platform"));
  EXPECT_EQ(status().state, "idle");
}

TEST_F(DriftingTest, an_edit_that_is_adopted_holds_from_then_on) {
  start_filled(DriftPolicy::adopt);
  platform.name = "theirs";
  look_again();
  EXPECT_EQ(status().state, "idle");
  start({kAda, kBob});
  run();
  look_again();
  EXPECT_EQ(status().state, "idle");
}

TEST_F(DriftingTest, an_edit_that_is_reasserted_is_undone) {
  start_filled(DriftPolicy::reassert);
  platform.name = "theirs";
  look_again();
  look_again();
  EXPECT_EQ(platform.name, "ours");
  EXPECT_EQ(status().state, "idle");
}

TEST_F(DriftingTest, a_sync_that_freezes_sends_nothing_until_released) {
  start_filled(DriftPolicy::freeze);
  platform.name = "theirs";
  look_again();
  leave(kAda);
  enter(kCy);
  run();
  EXPECT_THAT(audience(), UnorderedElementsAre("email:ada@example.com", "email:bob@example.com"));
  EXPECT_THAT(status().state, StartsWith("held: frozen, for its audience drifted: its name is now"));
  start({kBob, kCy});
  run();
  EXPECT_THAT(status().state, StartsWith("held: frozen"));
  ASSERT_TRUE(delivery->release(kFirst, now));
  run();
  look_again();
  EXPECT_THAT(audience(), UnorderedElementsAre("email:bob@example.com", "email:cy@example.com"));
  EXPECT_EQ(status().state, "idle") << "what it is called now is taken as it is";
}

TEST_F(DriftingTest, deleted_people_leave_a_frozen_sync) {
  start_filled(DriftPolicy::freeze);
  platform.name = "theirs";
  look_again();
  profiles.people[kAda].deleted = true;
  leave(kAda);
  delivery->on_profile_change(kAda);
  run();
  EXPECT_THAT(audience(), ElementsAre("email:bob@example.com"));
}

TEST_F(DriftingTest, a_change_that_is_refused_because_the_audience_is_gone_goes_into_the_new_one) {
  start_filled(DriftPolicy::reassert);
  platform.gone = true;
  platform.audiences.clear();
  enter(kCy);
  leave(kBob);
  poll();
  while (sends.empty()) poll_aged();
  while (!sends.empty()) {
    if (sends.front().request.body.starts_with("measure")) {
      reply(platform.handle(sends.front().request));
    } else {
      reply(403);
    }
  }
  EXPECT_TRUE(status().stopped);
  for (int i = 0; i < 5 && platform.gone; ++i) {
    poll(kMinute);
    while (!sends.empty()) {
      const bool is_lost = platform.gone && FakePlatform::is_batch(sends.front().request);
      reply(is_lost ? HttpResponse{403, {}, ""} : platform.handle(sends.front().request));
    }
  }
  run();
  EXPECT_FALSE(platform.gone);
  EXPECT_THAT(audience(), UnorderedElementsAre("email:ada@example.com", "email:cy@example.com"));
  EXPECT_EQ(status().state, "idle");
}

TEST_F(DriftingTest, an_audience_that_is_gone_is_told) {
  start_filled(DriftPolicy::alert);
  platform.gone = true;
  look_again();
  EXPECT_THAT(alerts(), ElementsAre(HasSubstr("no such audience")));
  EXPECT_EQ(status().audience_id, "aud-new");
}

TEST_F(DriftingTest, an_audience_that_is_gone_is_made_anew_and_filled) {
  start_filled(DriftPolicy::reassert);
  platform.gone = true;
  platform.audiences.clear();
  leave(kBob);
  look_again();
  look_again();
  EXPECT_FALSE(platform.gone);
  EXPECT_THAT(audience(), ElementsAre("email:ada@example.com"));
  EXPECT_EQ(status().delivered, 1u);
  EXPECT_EQ(status().state, "idle");
  EXPECT_THAT(delivery->membership(kFirst, kBob)->uploaded, IsEmpty());
  // And it is known after a restart.
  start({kAda});
  run();
  EXPECT_EQ(status().sent, 3u) << "two, and one again";
}

TEST_F(DriftingTest, an_audience_that_was_named_by_its_id_is_never_made_anew) {
  connections[0].sync.audience_id = "aud-7";
  start_filled(DriftPolicy::reassert);
  platform.gone = true;
  look_again();
  EXPECT_TRUE(platform.gone);
  EXPECT_EQ(status().audience_id, "aud-7");
}

}  // namespace
}  // namespace tailrace::delivery
