#include "server/request_rate.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tailrace::server {
namespace {

constexpr std::int64_t kMilli = 1'000'000;

int taken(RequestRate& rate, int asked, std::int64_t now) {
  int count = 0;
  for (int i = 0; i < asked; ++i) count += rate.take(now);
  return count;
}

TEST(RequestRate, lets_a_second_of_requests_come_at_once_and_then_one_for_each_share_of_it) {
  RequestRate rate(10);
  EXPECT_EQ(taken(rate, 100, 5'000 * kMilli), 10);
  EXPECT_EQ(taken(rate, 100, 5'099 * kMilli), 0);
  EXPECT_EQ(taken(rate, 100, 5'100 * kMilli), 1);
  EXPECT_EQ(taken(rate, 100, 5'300 * kMilli), 2);
  EXPECT_EQ(taken(rate, 100, 60'000 * kMilli), 10);
}

TEST(RequestRate, of_nothing_is_no_limit) {
  RequestRate rate(0);
  EXPECT_EQ(taken(rate, 1'000, 0), 1'000);
}

TEST(RequestRate, counts_requests_of_all_threads) {
  RequestRate rate(1'000);
  std::atomic<int> count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { count += taken(rate, 1'000, kMilli); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, 1'000);
}

}  // namespace
}  // namespace tailrace::server
