#include "cli/leftover.h"

#include <gtest/gtest.h>

#include "delivery/fake_platform.h"

namespace tailrace::cli {
namespace {

using delivery::Membership;

TEST(Leftover, counts_whoever_may_stand_at_the_platform) {
  const delivery::TemporaryDirectory directory;
  auto ledger = delivery::Ledger::open(directory.path());
  ASSERT_TRUE(ledger) << ledger.error().message;
  const auto membership = [](Membership::State state, bool uploaded) {
    Membership result;
    result.state = state;
    if (uploaded) result.uploaded = {{.kind = IdentifierKind::email, .value = "5f2c"}};
    return result;
  };
  delivery::SyncState state;
  state.audience_id = "2384";
  state.destination = "Ads";
  ASSERT_TRUE((*ledger)->write("Stop",
                               {{{PersonId{1}, membership(Membership::State::member, true)},
                                 {PersonId{2}, membership(Membership::State::adding, true)},
                                 {PersonId{3}, membership(Membership::State::removing, true)},
                                 {PersonId{4}, membership(Membership::State::left, false)},
                                 {PersonId{5}, membership(Membership::State::rejected, false)}}},
                               state));
  workspace::SyncConfig sync;
  sync.name = "Stop";
  sync.effect = workspace::Effect::suppress;
  const auto leftover = leftover_of(sync, **ledger);
  ASSERT_TRUE(leftover) << leftover.error().message;
  EXPECT_EQ(leftover->people, 3U);
  EXPECT_EQ(
      leftover_in_words(*leftover),
      "The sync \"Stop\" goes away: 3 people stay in its audience 2384 at \"Ads\", and ads stay stopped "
      "for them. To empty it, keep the sync, write `lifecycle: retired` into it and apply that first.");
}

TEST(Leftover, of_a_target_that_is_being_emptied) {
  EXPECT_EQ(leftover_in_words({.sync = "Viewers",
                               .destination = "Hook",
                               .audience_id = "",
                               .effect = workspace::Effect::target,
                               .is_retired = true,
                               .people = 1}),
            "The sync \"Viewers\" goes away: 1 person stays in its audience at \"Hook\", and its ads go on "
            "reaching them. It is retired already: wait until `tailrace status` says that nobody is in it.");
}

}  // namespace
}  // namespace tailrace::cli
