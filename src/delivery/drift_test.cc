#include "delivery/drift.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tailrace::delivery {
namespace {

using destinations::Measurement;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using Kind = Drift::Kind;

Measurement seen(std::int64_t size, std::string name = "VIP") {
  Measurement measured;
  measured.size = size;
  measured.name = std::move(name);
  measured.description = "best";
  measured.retention_days = 540;
  return measured;
}
// Ten thousand people were sent, of whom the platform knows six.
Baseline usual() { return followed({}, seen(6'000), 10'000); }

auto kinds(auto... kind) { return ElementsAre(Field(&Drift::kind, kind)...); }

TEST(Drift, none_at_the_first_sight_and_when_nothing_changed) {
  EXPECT_THAT(drift_of({}, seen(6'000), 10'000), IsEmpty());
  EXPECT_THAT(drift_of(usual(), seen(6'000), 10'000), IsEmpty());
}

TEST(Drift, an_audience_that_is_gone) {
  Measurement gone;
  gone.gone = true;
  EXPECT_THAT(drift_of(usual(), gone, 10'000), kinds(Kind::gone));
}

TEST(Drift, another_name_description_or_retention_is_an_edit) {
  EXPECT_THAT(drift_of(usual(), seen(6'000, "Mine"), 10'000),
              ElementsAre(Drift{Kind::edited, "its name is now \"Mine\", it was \"VIP\""}));
  Measurement measured = seen(6'000);
  measured.description = "worst";
  measured.retention_days = 30;
  EXPECT_THAT(drift_of(usual(), measured, 10'000), kinds(Kind::edited, Kind::edited));
}

TEST(Drift, what_a_platform_does_not_say_is_no_drift) {
  EXPECT_THAT(drift_of(usual(), Measurement{}, 10'000), IsEmpty());
}

TEST(Drift, a_flag_is_told_once) {
  Measurement flagged = seen(6'000);
  flagged.flag = "471 This audience is blocked";
  EXPECT_THAT(drift_of(usual(), flagged, 10'000),
              ElementsAre(Drift{Kind::flagged, "the platform says: 471 This audience is blocked"}));
  EXPECT_THAT(drift_of(adopted(usual(), flagged, 10'000), flagged, 10'000), IsEmpty());
}

TEST(Drift, members_who_vanish_without_us_are_decay) {
  EXPECT_THAT(drift_of(usual(), seen(3'000), 10'000), IsEmpty());
  EXPECT_THAT(drift_of(usual(), seen(2'999), 10'000), kinds(Kind::decayed));
  EXPECT_THAT(drift_of(usual(), seen(2'000), 4'000), IsEmpty()) << "we have removed most of them";
  EXPECT_THAT(drift_of(usual(), seen(6'000), 100'000), IsEmpty()) << "who was added is not counted at once";
}

TEST(Drift, a_slow_loss_is_seen_as_well) {
  Baseline baseline = usual();
  std::int64_t size = 6'000;
  while (drift_of(baseline, seen(size), 10'000).empty()) {
    baseline = followed(baseline, seen(size), 10'000);
    size -= 100;
    ASSERT_GT(size, 0);
  }
  EXPECT_EQ(size, 2'900);
}

TEST(Drift, more_than_we_sent_are_strangers) {
  EXPECT_THAT(drift_of(usual(), seen(13'500), 10'000), IsEmpty());
  const Measurement many = seen(13'501);
  EXPECT_THAT(drift_of(usual(), many, 10'000), kinds(Kind::foreign));
  EXPECT_THAT(drift_of(adopted(usual(), many, 10'000), many, 10'000), IsEmpty());
}

TEST(Drift, of_a_small_audience_sizes_say_nothing) {
  const Baseline small = followed({}, seen(500), 800);
  EXPECT_THAT(drift_of(small, seen(0), 800), IsEmpty());
  EXPECT_THAT(drift_of(small, seen(2'000), 800), IsEmpty());
}

}  // namespace
}  // namespace tailrace::delivery
