// The small parts of delivery: waits, rates, latencies, crontab lines.
#include <gtest/gtest.h>

#include "delivery/backoff.h"
#include "delivery/cron.h"
#include "delivery/latency_histogram.h"
#include "delivery/rate_limit.h"

namespace tailrace::delivery {
namespace {

Time at(std::string_view text) { return *parse_time(text); }

TEST(Backoff, ceiling_doubles_up_to_the_cap) {
  const Backoff backoff{.base = {500}, .cap = {300'000}};
  const std::pair<std::uint32_t, std::int64_t> table[] = {
      {1, 500}, {2, 1000}, {3, 2000}, {10, 256'000}, {11, 300'000}, {4'000'000'000, 300'000}};
  for (const auto& [failures, ceiling] : table)
    EXPECT_EQ(backoff.ceiling(failures).count, ceiling) << failures;
}

TEST(Backoff, jitter_is_full) {
  const Backoff backoff{.base = {4}, .cap = {4}};
  Random random(7);
  std::array<int, 5> seen{};
  for (int i = 0; i < 1000; ++i) ++seen.at(static_cast<std::size_t>(backoff.wait(1, {}, random).count));
  for (const int count : seen) EXPECT_GT(count, 100);
}

TEST(Backoff, honours_what_the_platform_asked_for) {
  Random random(7);
  EXPECT_EQ(Backoff{}.wait(1, Millis{42'000}, random).count, 42'000);
  EXPECT_EQ(Backoff{}.wait(3, Millis{-5}, random).count, 0);
}

TEST(Backoff, asks_less_often_than_it_is_told_to_when_that_has_not_helped) {
  Random random(7);
  std::int64_t waited = 0;
  for (int i = 0; i < 100; ++i) {
    const Millis wait = Backoff{}.wait(20, Millis{1000}, random);
    EXPECT_GE(wait.count, 1000);
    waited += wait.count;
  }
  EXPECT_GT(waited, 100 * 60'000);
}

TEST(LatencyHistogram, percentiles) {
  LatencyHistogram latencies;
  EXPECT_FALSE(latencies.percentile(0.5));
  for (int i = 1; i <= 10; ++i) latencies.record(Millis{i});
  EXPECT_EQ(latencies.percentile(0.5)->count, 5);
  EXPECT_EQ(latencies.percentile(0.99)->count, 10);
  EXPECT_EQ(latencies.percentile(1)->count, 10);
  EXPECT_EQ(latencies.count(), 10u);
}

TEST(LatencyHistogram, is_never_below_and_at_most_an_eighth_above) {
  for (std::int64_t value = 0; value < 10'000'000; value = value * 9 / 8 + 1) {
    LatencyHistogram latencies;
    latencies.record(Millis{value});
    EXPECT_GE(latencies.percentile(0.5)->count, value);
    EXPECT_LE(latencies.percentile(0.5)->count, value + value / 8) << value;
  }
}

TEST(LatencyHistogram, bears_extremes) {
  LatencyHistogram latencies;
  latencies.record(Millis{-1});
  latencies.record(kNever - kForeverAgo);
  EXPECT_EQ(latencies.percentile(0.5)->count, 0);
  EXPECT_GT(latencies.percentile(1)->count, kDay.count);
}

TEST(RateLimit, at_most_so_many_within_any_minute) {
  RateLimit rate(2);
  rate.on_send(Time{0});
  rate.on_send(Time{1000});
  EXPECT_EQ(rate.next_at(), Time{60'000});
  rate.on_send(Time{60'000});
  EXPECT_EQ(rate.next_at(), Time{61'000});
}

TEST(RateLimit, spreads_when_the_platform_runs_low) {
  RateLimit rate;
  rate.on_send(Time{5000});
  const std::pair<double, std::int64_t> table[] = {
      {79.9, 0}, {80, 1000}, {90, 30'500}, {100, 60'000}, {250, 60'000}};
  for (const auto& [percent, gap] : table) {
    rate.on_usage(percent);
    EXPECT_EQ(rate.next_at(), Time{5000 + gap}) << percent;
  }
}

TEST(Cron, next) {
  struct Row {
    const char* cron;
    const char* zone;
    const char* after;
    const char* next;
  };
  const Row table[] = {
      {"* * * * *", "UTC", "2026-03-01T10:00:00Z", "2026-03-01T10:01:00Z"},
      {"*/15 * * * *", "UTC", "2026-03-01T10:14:59.999Z", "2026-03-01T10:15:00Z"},
      {"0 6 * * mon-fri", "UTC", "2026-03-06T06:00:00Z", "2026-03-09T06:00:00Z"},
      {"0 6 * * 7", "UTC", "2026-03-02T00:00:00Z", "2026-03-08T06:00:00Z"},
      {"30 2 1,15 * *", "UTC", "2026-03-01T02:30:00Z", "2026-03-15T02:30:00Z"},
      {"0 0 29 feb *", "UTC", "2026-03-01", "2028-02-29"},
      // Both days restricted: either.
      {"0 0 13 * fri", "UTC", "2026-03-07", "2026-03-13"},
      {"0 0 13 * fri", "UTC", "2026-03-13", "2026-03-20"},
      {"0 6 * * *", "Europe/London", "2026-07-01T00:00:00Z", "2026-07-01T05:00:00Z"},
      {"0 6 * * *", "America/New_York", "2026-01-01T12:00:00Z", "2026-01-02T11:00:00Z"},
      // 01:30 does not exist that day: the instant after the gap.
      {"30 1 * * *", "Europe/London", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
      // 01:30 comes twice that day: once.
      {"30 1 * * *", "Europe/London", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"},
      {"30 1 * * *", "Europe/London", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
  };
  for (const Row& row : table) {
    const auto cron = Cron::parse(row.cron);
    ASSERT_TRUE(cron) << cron.error().message;
    EXPECT_EQ(format_time(cron->next_after(at(row.after), *Zone::named(row.zone))), format_time(at(row.next)))
        << row.cron << " " << row.zone << " after " << row.after;
  }
}

TEST(Cron, refuses_what_is_none) {
  for (const auto* text :
       {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *",
        "* * * * 8", "5-1 * * * *", "*/0 * * * *", "a * * * *", "1, * * * *", "-1 * * * *", "1- * * * *",
        "* * * * funday", "0 0 30 feb *", "0 0 31 4,6 *", "99999999999999999999 * * * *"})
    EXPECT_FALSE(Cron::parse(text)) << text;
  EXPECT_EQ(
      Cron::parse("0 25 * * *").error().message,
      "cron `0 25 * * *`: `25` is no hour; write 0 to 23, `*`, a range `1-5`, a list `1,3` or a step `*/2`");
}

}  // namespace
}  // namespace tailrace::delivery
