// The ends a person waits for, against a plain map.
#include "segments/window_ends.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "base/random.h"

namespace tailrace::segments {
namespace {

constexpr std::uint32_t kPeople = 4;

// person -> item -> when.
using Plain = std::map<std::uint32_t, std::map<WindowEnds::Item, Time>>;

Time first_of(const std::map<WindowEnds::Item, Time>& ends) {
  Time first = kNever;
  for (const auto& [item, at] : ends) first = std::min(first, at);
  return first;
}

void expect_same(const WindowEnds& ends, Plain& plain, Time t) {
  for (std::uint32_t person = 0; person < kPeople; ++person) {
    ASSERT_EQ(ends.first(PersonId(person)), first_of(plain[person]));
    std::map<WindowEnds::Item, Time> due, expected;
    ends.each_due(PersonId(person), t, [&](WindowEnds::Item item) {
      EXPECT_TRUE(due.emplace(item, ends.at(PersonId(person), item)).second);
    });
    for (const auto& [item, at] : plain[person]) {
      if (at <= t) expected.emplace(item, at);
    }
    ASSERT_EQ(due, expected);
  }
}

// Items as far apart as `step`, so many at once that `most` are waited for.
void walk_at_random(std::uint64_t seed, std::uint32_t most, std::uint32_t step) {
  Random random(seed);
  WindowEnds ends;
  Plain plain;
  std::int64_t now = 0;
  for (std::uint32_t i = 0; i < 20 * most; ++i) {
    const auto person = static_cast<std::uint32_t>(random.below(kPeople));
    const auto item = static_cast<WindowEnds::Item>(random.below(most)) * step;
    now += static_cast<std::int64_t>(random.below(3));
    const Time until =
        random.below(3) == 0 ? kNever : Time{now + 1 + static_cast<std::int64_t>(random.below(500))};
    ends.wait(PersonId(person), item, until, Time{now});
    auto& of_person = plain[person];
    const auto known = of_person.find(item);
    if (known == of_person.end() || known->second <= Time{now} || known->second > until)
      of_person[item] = until;
    if (of_person[item] == kNever) of_person.erase(item);
    if (random.below(10 * most) == 0) {
      ends.clear(PersonId(person));
      of_person.clear();
    }
    ASSERT_EQ(ends.at(PersonId(person), item), of_person.contains(item) ? of_person[item] : kNever);
    if (i % (most / 4 + 1) == 0) expect_same(ends, plain, Time{now});
  }
  ByteWriter out;
  ends.save(out);
  const std::string bytes = out.take();
  WindowEnds restored;
  ByteReader in(bytes);
  ASSERT_TRUE(restored.restore(in));
  EXPECT_TRUE(in.done());
  expect_same(restored, plain, Time{now});
}

TEST(WindowEnds, are_a_map_that_knows_its_first_and_those_that_are_due) {
  walk_at_random(1, 3, 1);
  walk_at_random(2, 40, 1);
  walk_at_random(3, 100, 1);
  walk_at_random(4, 3'000, 1);
  walk_at_random(5, 1'000, 64);
  walk_at_random(6, 1'000, 4096);
}

TEST(WindowEnds, know_nothing_of_people_they_have_not_met) {
  WindowEnds ends;
  ends.clear(PersonId(7));
  ends.wait(PersonId(7), 1, kNever, Time{0});
  EXPECT_EQ(ends.first(PersonId(7)), kNever);
  EXPECT_EQ(ends.at(PersonId(7), 1), kNever);
}

TEST(WindowEnds, refuse_damaged_bytes) {
  WindowEnds ends;
  ends.wait(PersonId(3), 1, Time{5}, Time{0});
  ByteWriter out;
  ends.save(out);
  const std::string bytes = out.take();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    WindowEnds restored;
    ByteReader in(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(restored.restore(in)) << size;
  }
}

TEST(WindowEnds, an_end_far_off_is_noted_no_later_than_it_is) {
  WindowEnds ends;
  const Time far = Time{253'402'300'799'999};  // the year 9999
  const Time near = Time{1'767'225'600'000};
  const PersonId person(0);
  ends.wait(person, 1, far, near);
  EXPECT_LE(ends.first(person), far);
  EXPECT_GT(ends.first(person), near + kDay * 365 * 4'000);
  ends.wait(person, 2, Time{-5}, Time{-10});
  EXPECT_EQ(ends.first(person), Time{-5});
  EXPECT_EQ(ends.at(person, 2), Time{-5});
}

}  // namespace
}  // namespace tailrace::segments
