#include "server/core.h"

#include <gtest/gtest.h>

namespace tailrace::server {
namespace {

workspace::SyncConfig sync_with_holdout(std::uint32_t per_million) {
  workspace::SyncConfig sync;
  sync.name = "Winback";
  sync.holdout_per_million = per_million;
  return sync;
}

std::uint32_t held_out_of(const workspace::SyncConfig& sync, std::uint32_t people) {
  std::uint32_t count = 0;
  for (std::uint32_t person = 0; person < people; ++person) count += held_out(sync, PersonId(person));
  return count;
}

TEST(Holdout, holds_out_the_share_it_names) {
  EXPECT_EQ(held_out_of(sync_with_holdout(0), 10'000), 0u);
  EXPECT_EQ(held_out_of(sync_with_holdout(1'000'000), 10'000), 10'000u);
  // 10 % of 20,000 with a standard deviation of 42.
  EXPECT_NEAR(held_out_of(sync_with_holdout(100'000), 20'000), 2'000, 210);
}

TEST(Holdout, is_the_same_at_every_replay_and_differs_by_salt) {
  const auto sync = sync_with_holdout(500'000);
  auto salted = sync;
  salted.holdout_salt = "another";
  std::uint32_t differing = 0;
  for (std::uint32_t person = 0; person < 1'000; ++person) {
    EXPECT_EQ(held_out(sync, PersonId(person)), held_out(sync, PersonId(person)));
    differing += held_out(sync, PersonId(person)) != held_out(salted, PersonId(person));
  }
  EXPECT_NEAR(differing, 500, 80);
}

TEST(Secrets, are_read_from_where_they_are_named) {
  using workspace::SecretReference;
  ::setenv("TAILRACE_TEST_SECRET", "value", 1);
  EXPECT_EQ(*resolve_secret({SecretReference::Kind::environment, "TAILRACE_TEST_SECRET"}, "."), "value");
  const auto unset = resolve_secret({SecretReference::Kind::environment, "TAILRACE_TEST_UNSET"}, ".");
  EXPECT_EQ(unset.error().message, "the environment variable TAILRACE_TEST_UNSET is not set");
  const auto missing = resolve_secret({SecretReference::Kind::file, "no/such/file"}, "/tmp");
  EXPECT_EQ(missing.error().message, "the file /tmp/no/such/file cannot be read or is empty");
}

}  // namespace
}  // namespace tailrace::server
