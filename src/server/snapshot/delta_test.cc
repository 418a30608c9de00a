#include "server/snapshot/delta.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/random.h"

namespace tailrace::server {
namespace {

std::string bytes_of(Random& random, std::size_t size, std::uint64_t alphabet = 256) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.below(alphabet));
  return bytes;
}

void expect_delta(const std::string& before, const std::string& after, std::size_t bytes_max) {
  const std::string delta = delta_of(before, after);
  EXPECT_LE(delta.size(), bytes_max);
  const auto applied = apply_delta(before, delta, after.size());
  ASSERT_TRUE(applied);
  EXPECT_EQ(*applied, after);
}

TEST(Delta, of_bytes_that_changed_in_place_is_little_more_than_those) {
  Random random(1);
  const std::string before = bytes_of(random, 100'000);
  std::string after = before;
  for (int i = 0; i < 100; ++i) after.replace(random.below(after.size() - 10), 10, bytes_of(random, 10));
  expect_delta(before, after, 100 * (10 + 8));
  expect_delta(before, before, 8);
}

TEST(Delta, of_what_an_insertion_has_moved_is_little_more_than_what_was_inserted) {
  Random random(2);
  const std::string before = bytes_of(random, 100'000);
  std::string after = before;
  for (int i = 0; i < 50; ++i) after.insert(random.below(after.size()), bytes_of(random, 20));
  for (int i = 0; i < 50; ++i) after.erase(random.below(after.size() - 7), 7);
  expect_delta(before, after, 50 * (20 + 10) + 50 * 30);
  std::string turned = before;
  std::rotate(turned.begin(), turned.begin() + 40'000, turned.end());
  expect_delta(before, turned, 64);
}

TEST(Delta, of_strings_that_have_nothing_in_common_is_the_newer_one) {
  Random random(3);
  const std::string before = bytes_of(random, 1000);
  const std::string after = bytes_of(random, 1000);
  expect_delta(before, after, 1000 + 8);
  expect_delta("", after, 1000 + 8);
  expect_delta(before, "", 0);
  expect_delta("", "", 0);
}

TEST(Delta, gives_the_newer_string_whatever_both_are) {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    Random random(seed);
    // Few letters, so that all kinds of repetition come about.
    const std::uint64_t alphabet = 1 + random.below(4);
    const std::string before = bytes_of(random, random.below(300), alphabet);
    std::string after = random.below(10) == 0 ? bytes_of(random, random.below(300), alphabet) : before;
    for (std::uint64_t edits = random.below(6); edits > 0; --edits) {
      const std::size_t at = random.below(after.size() + 1);
      after.replace(at, std::min<std::size_t>(after.size() - at, random.below(40)),
                    bytes_of(random, random.below(40), alphabet));
    }
    SCOPED_TRACE(seed);
    expect_delta(before, after, after.size() + 16);
  }
}

TEST(Delta, that_is_damaged_gives_an_error_or_other_bytes_but_no_more_than_asked_for) {
  Random random(4);
  const std::string before = bytes_of(random, 500);
  std::string after = before;
  after.replace(100, 5, "other");
  after.insert(300, "something more");
  const std::string delta = delta_of(before, after);
  std::uint64_t refused = 0;
  for (std::size_t bit = 0; bit < delta.size() * 8; ++bit) {
    std::string damaged = delta;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    const auto applied = apply_delta(before, damaged, after.size());
    if (applied) {
      EXPECT_LE(applied->size(), after.size());
    } else {
      EXPECT_EQ(applied.error().code, Error::Code::corrupt);
      ++refused;
    }
  }
  EXPECT_GT(refused, 10U);
  EXPECT_FALSE(apply_delta(before, delta, after.size() - 1));
  EXPECT_FALSE(apply_delta(before.substr(0, 400), delta, after.size()));
  EXPECT_FALSE(apply_delta(before, delta.substr(0, delta.size() - 1), after.size()));
}

}  // namespace
}  // namespace tailrace::server
