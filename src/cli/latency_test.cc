#include "cli/latency.h"

#include <gmock/gmock.h>

namespace tailrace::cli {
namespace {

using ::testing::HasSubstr;

std::string row(std::uint64_t changes, std::uint64_t within, delivery::Unprotected unprotected = {}) {
  delivery::SyncStatus status;
  status.sync = "ads";
  status.latency_count = changes;
  status.latency_within = within;
  status.objective = kMinute;
  status.unprotected = unprotected;
  return latency_table({&status, 1}, Time{10'000}).print(Format::json);
}

TEST(Latency, keeps_its_objective_when_99_of_100_do) {
  EXPECT_THAT(row(200, 198), HasSubstr(R"("within it":"99.0 %","objective":"kept")"));
  EXPECT_THAT(row(200, 197), HasSubstr(R"("within it":"98.5 %","objective":"missed")"));
  EXPECT_THAT(row(10'000, 9'999), HasSubstr(R"("within it":"99.9 %")"));  // not 100
}

TEST(Latency, of_no_change_is_neither_kept_nor_missed) {
  EXPECT_THAT(row(0, 0), HasSubstr(R"("within it":null,"objective":null)"));
}

TEST(Latency, says_how_many_are_still_targetable_and_since_when) {
  EXPECT_THAT(row(1, 1, {3, Time{9'250}}), HasSubstr(R"("still targetable":3,"oldest ms":750)"));
  EXPECT_THAT(row(1, 1), HasSubstr(R"("still targetable":0,"oldest ms":null)"));
}

}  // namespace
}  // namespace tailrace::cli
