// Everything at once, under faults: see simulation.h. A failure prints its seed; TAILRACE_SEED=n replays that
// one, TAILRACE_SECONDS=n searches for so long.
#include <algorithm>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <spdlog/spdlog.h>

#include "property/seeds.h"
#include "sim/simulation.h"

namespace tailrace::testing {
namespace {

using ::testing::ElementsAre;

// A story of two syncs in which people are added.
constexpr std::uint64_t kShort = 106;

class Simulated : public ::testing::Test {
 protected:
  Simulated() { spdlog::set_level(spdlog::level::off); }
  ~Simulated() override { spdlog::set_level(spdlog::level::info); }

  static Outcome run(std::uint64_t seed, bool faults = true) {
    const SeedInHand in_hand(seed);
    const Outcome outcome =
        simulate({.seed = seed, .faults = faults, .trace = std::getenv("TAILRACE_TRACE") != nullptr});
    EXPECT_THAT(outcome.problems, ElementsAre()) << "seed " << seed;
    return outcome;
  }
};

TEST_F(Simulated, a_seed_gives_the_same_run_every_time) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) EXPECT_EQ(run(seed).digest, run(seed).digest);
}

TEST_F(Simulated, without_faults_platforms_hold_what_the_judge_expects_and_in_time) {
  std::uint64_t timed = 0;
  for (std::uint64_t seed = 100; seed < 170 && !HasFailure(); ++seed) timed += run(seed, false).timed;
  EXPECT_GT(timed, 10U);
}

// The first operation of the disk, then the second, ...: of the log, the snapshots and the ledger.
TEST_F(Simulated, whichever_disk_operation_fails_nothing_is_lost) {
  const SimulationOptions calm{.seed = kShort, .faults = false, .inputs_max = 12};
  const std::uint64_t operations = simulate(calm).disk_operations;
  for (std::uint64_t n = 1; n <= operations && !HasFailure(); ++n) {
    SimulationOptions options = calm;
    options.failing_operation = n;
    EXPECT_THAT(simulate(options).problems, ElementsAre()) << "operation " << n << " of " << operations;
  }
}

TEST_F(Simulated, after_whichever_disk_operation_the_power_goes_nothing_is_lost) {
  const SimulationOptions calm{.seed = kShort, .faults = false, .inputs_max = 12};
  const std::uint64_t operations = simulate(calm).disk_operations;
  for (std::uint64_t n = 1; n <= operations && !HasFailure(); ++n) {
    SimulationOptions options = calm;
    options.last_operation = n;
    EXPECT_THAT(simulate(options).problems, ElementsAre()) << "after " << n << " of " << operations;
  }
}

TEST_F(Simulated, the_judge_sees_one_identifier_that_is_missing) {
  int seen = 0;
  for (std::uint64_t seed = 200; seed < 220; ++seed) {
    const Outcome outcome = simulate({.seed = seed, .faults = false, .tamper = true});
    if (outcome.standing == 0) continue;
    EXPECT_FALSE(outcome.problems.empty()) << "seed " << seed;
    ++seen;
  }
  EXPECT_GT(seen, 5);
}

TEST_F(Simulated, the_judge_sees_one_event_that_is_missing) {
  int seen = 0;
  for (std::uint64_t seed = 200; seed < 220; ++seed) {
    const Outcome outcome = simulate({.seed = seed, .faults = false, .tamper = true});
    seen += std::ranges::any_of(outcome.problems, [](const std::string& problem) {
      return problem.find("nobody was told of") != std::string::npos ||
             problem.find("were told to nobody") != std::string::npos;
    });
  }
  EXPECT_GT(seen, 5);
}

// Seeds that once failed.
TEST_F(Simulated, what_failed_once_stays_mended) {
  for (const std::uint64_t seed : {2707589130U, 3167753231U, 437531613U, 1746462635U, 2219960575U}) run(seed);
}

// The seed is printed where it fails; it belongs into the list above then.
TEST_F(Simulated, so_they_do_after_all_faults) {
  Outcome all;
  int runs = 0;
  std::string seeds;
  for_fresh_seeds(20, [&](std::uint64_t seed) {
    all.add(run(seed));
    if (++runs <= 20) seeds += fmt::format(" {}", seed);
  });
  fmt::print("fresh seeds of the simulation:{}{}\n", seeds, runs > 20 ? " ..." : "");
  fmt::print(
      "simulated: {} runs, {} simulated hours: {} inputs, {} requests of which {} were lost, {} starts, {} "
      "power cuts, "
      "{} disk "
      "errors, {} snapshots, {} redactions, {} compressed files of the log, {} releases of what guards held, "
      "{} identifiers lost or "
      "taken up by platforms themselves, {} syncs uploaded again; in the end {} members of "
      "segments and {} identifiers at "
      "platforms; {} events told and {} of them again, {} never for a reason, {} dead letters, {} commands "
      "on them\n",
      runs, all.simulated.count / kHour.count, all.inputs, all.requests, all.lost_messages, all.boots,
      all.power_cuts, all.disk_errors, all.snapshots, all.redactions, all.compressed_files, all.releases,
      all.drifted, all.reuploads, all.members, all.standing, all.told, all.told_again, all.never_told,
      all.dead_letters, all.by_hand);
}

}  // namespace
}  // namespace tailrace::testing
