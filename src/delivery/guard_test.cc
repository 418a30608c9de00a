#include "delivery/guard.h"

#include <gtest/gtest.h>

namespace tailrace::delivery {
namespace {

using destinations::BatchKind;
using workspace::Effect;
using workspace::Guards;
using Hold = GuardSide::Hold;
using Standing = Guard::Standing;

constexpr Time kNow{1'767'225'600'000};

// An audience of a thousand people that has been filled, of whom so many wait to leave or to enter.
Standing leaving(std::uint64_t people) {
  return {.people = 1'000, .wanted = 1'000 - people, .adding = 0, .removing = people};
}
Standing entering(std::uint64_t people) {
  return {.people = 1'000, .wanted = 1'000 + people, .adding = people, .removing = 0};
}

Guards share(std::uint32_t per_million) {
  return {.change_share_per_million = per_million,
          .change_count = {},
          .size_min = 0,
          .safe_side = Guards::SafeSide::none};
}
Guards count(std::uint64_t people) {
  return {.change_share_per_million = {},
          .change_count = people,
          .size_min = 0,
          .safe_side = Guards::SafeSide::none};
}
Guards least(std::uint64_t people) {
  return {.change_share_per_million = {},
          .change_count = {},
          .size_min = people,
          .safe_side = Guards::SafeSide::none};
}

struct Case {
  Guard guard;
  GuardState state{.additions = {}, .removals = {}, .slot = 0, .filled = true};
  Time now = kNow;

  Hold removals(const Standing& standing) {
    guard.judge(standing, now, state);
    return state.removals.hold;
  }
  Hold additions(const Standing& standing) {
    guard.judge(standing, now, state);
    return state.additions.hold;
  }
  std::string words(BatchKind kind, const Standing& standing) { return guard.held(kind, standing, state); }
};

TEST(Guard, a_share_of_the_members_may_leave_and_no_more) {
  Case one{Guard(share(200'000))};
  EXPECT_EQ(one.removals(leaving(200)), Hold::none);
  EXPECT_EQ(one.removals(leaving(201)), Hold::change);
  EXPECT_EQ(one.words(BatchKind::remove, leaving(201)),
            "201 removals: more than max_change 20% of 1,000 members an hour");
  EXPECT_EQ(one.words(BatchKind::add, leaving(201)), "");
}

TEST(Guard, what_left_in_the_last_hour_counts_and_what_left_before_does_not) {
  Case one{Guard(share(200'000))};
  one.state.begin(BatchKind::remove, 150, one.now);
  Standing standing = leaving(100);
  standing.people = 850;
  EXPECT_EQ(one.removals(standing), Hold::change);
  EXPECT_EQ(one.words(BatchKind::remove, standing),
            "100 removals besides 150 in the last hour: more than max_change 20% of 1,000 members an hour");
  one.state.removals.hold = Hold::none;
  one.now = one.now + kHour + kMinute * 5;
  EXPECT_EQ(one.removals(standing), Hold::none);
}

TEST(Guard, fewer_than_a_hundred_people_pass_no_share_but_a_count) {
  EXPECT_EQ(Case{Guard(share(10'000))}.removals(leaving(99)), Hold::none);
  EXPECT_EQ(Case{Guard(count(50))}.removals(leaving(50)), Hold::none);
  EXPECT_EQ(Case{Guard(count(50))}.removals(leaving(51)), Hold::change);
}

TEST(Guard, a_first_fill_is_no_change) {
  Case one{Guard(count(50))};
  one.state.filled = false;
  EXPECT_EQ(one.additions(entering(500)), Hold::none);
  EXPECT_EQ(one.additions(entering(0)), Hold::none);
  EXPECT_EQ(one.additions(entering(51)), Hold::change);
}

TEST(Guard, a_share_of_nobody_holds_nobody) {
  Case one{Guard(share(200'000))};
  EXPECT_EQ(one.additions({.people = 0, .wanted = 5'000, .adding = 5'000, .removing = 0}), Hold::none);
}

TEST(Guard, held_is_held_until_released_or_taken_back) {
  Case one{Guard(count(50))};
  EXPECT_EQ(one.removals(leaving(60)), Hold::change);
  one.now = one.now + kHour * 5;
  EXPECT_EQ(one.removals(leaving(40)), Hold::change) << "an edit that was taken back in part";
  EXPECT_EQ(one.removals(leaving(0)), Hold::none);
  EXPECT_EQ(one.removals(leaving(40)), Hold::none);
}

TEST(Guard, a_release_lets_through_as_many_as_wait_and_no_more) {
  Case one{Guard(count(50))};
  one.removals(leaving(60));
  one.state.removals.release_asked = true;
  EXPECT_EQ(one.removals(leaving(60)), Hold::none);
  one.state.begin(BatchKind::remove, 40, one.now);
  EXPECT_EQ(one.removals(leaving(20)), Hold::none);
  EXPECT_EQ(one.removals(leaving(20 + 50)), Hold::none) << "fifty more are as many as may go in an hour";
  EXPECT_EQ(one.removals(leaving(20 + 51)), Hold::change);
  EXPECT_EQ(one.state.removals.last_hour(), 0u) << "what was released is not counted";
}

TEST(Guard, an_audience_does_not_fall_below_its_least_size) {
  Case one{Guard(least(900))};
  EXPECT_EQ(one.removals(leaving(100)), Hold::none);
  EXPECT_EQ(one.removals(leaving(101)), Hold::size);
  EXPECT_EQ(one.words(BatchKind::remove, leaving(101)), "101 removals would leave 899 people (min_size 900)");
  EXPECT_EQ(one.removals(leaving(100)), Hold::none) << "somebody came back";
  EXPECT_EQ(one.removals({.people = 800, .wanted = 700, .adding = 0, .removing = 100}), Hold::none)
      << "it is smaller already";
}

TEST(Guard, never_empty_holds_the_last_ones) {
  Case one{Guard(least(1))};
  EXPECT_EQ(one.removals(leaving(999)), Hold::none);
  EXPECT_EQ(one.removals(leaving(1'000)), Hold::size);
  EXPECT_EQ(one.words(BatchKind::remove, leaving(1'000)),
            "1,000 removals would leave 0 people (never_empty)");
}

TEST(Guard, the_safe_side_is_never_held) {
  Guards rules = count(50);
  rules.safe_side = Guards::SafeSide::removals;
  EXPECT_EQ(Case{Guard(rules)}.removals(leaving(1'000)), Hold::none);
  EXPECT_EQ(Case{Guard(rules)}.additions(entering(51)), Hold::change);
}

TEST(Guard, what_suppresses_keeps_half_unless_told_otherwise) {
  Case one{Guard(Guards::of(Effect::suppress))};
  EXPECT_EQ(one.removals(leaving(500)), Hold::none);
  EXPECT_EQ(one.removals(leaving(501)), Hold::change);
  EXPECT_EQ(one.additions(entering(100'000)), Hold::none);
  EXPECT_FALSE(Guard(Guards::of(Effect::target)).any());
}

TEST(Guard, a_hold_ends_with_its_rule) {
  Case one{Guard(count(50))};
  one.removals(leaving(60));
  one.guard = Guard(least(1));
  EXPECT_EQ(one.removals(leaving(60)), Hold::none);
}

TEST(Guard, a_clock_that_is_set_back_starts_no_new_hour) {
  Case one{Guard(count(50))};
  one.state.begin(BatchKind::remove, 50, one.now);
  one.now = one.now - kHour * 3;
  EXPECT_EQ(one.removals(leaving(1)), Hold::change);
}

}  // namespace
}  // namespace tailrace::delivery
