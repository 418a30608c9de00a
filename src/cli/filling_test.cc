#include "cli/filling.h"

#include <gtest/gtest.h>

namespace tailrace::cli {
namespace {

using Progress = engine::Engine::Progress;

TEST(Filling, says_nothing_when_nothing_is_filled) { EXPECT_EQ(filling_in_words({}, kSecond), ""); }

TEST(Filling, says_what_is_done_and_how_long_it_will_take) {
  const Progress progress{.step = Progress::Step::records,
                          .filling = "Order Placed, Refunded",
                          .done = 120'000,
                          .total = 400'000,
                          .share = 0.25};
  EXPECT_EQ(filling_in_words(progress, kSecond * 3),
            "a new workspace is being filled: 25 %, about 9s left (step 2 of 3: records of Order Placed, "
            "Refunded read again, 120,000 of 400,000)");
}

TEST(Filling, makes_no_guess_from_the_first_moments) {
  const Progress progress{
      .step = Progress::Step::columns, .filling = "X", .done = 5, .total = 1'000, .share = 0.005};
  EXPECT_EQ(filling_in_words(progress, kSecond),
            "a new workspace is being filled: 0 % (step 1 of 3: columns of X, people 5 of 1,000)");
}

}  // namespace
}  // namespace tailrace::cli
