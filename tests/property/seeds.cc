#include "property/seeds.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace tailrace::testing {
namespace {

std::uint64_t seed_in_hand = 0;
bool any_in_hand = false;

void name_seed() {
  if (any_in_hand) std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed_in_hand));
}
void name_seed_at_abort(int) { name_seed(); }  // the process still ends

}  // namespace

SeedInHand::SeedInHand(std::uint64_t seed) {
  seed_in_hand = seed;
  any_in_hand = true;
  std::signal(SIGABRT, name_seed_at_abort);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(name_seed);
#endif
}

SeedInHand::~SeedInHand() { any_in_hand = false; }

void expect_holds(const std::string& name, std::uint64_t seed, const Scenario& scenario,
                  const Property& property) {
  const SeedInHand in_hand(seed);
  const auto finding = property(scenario);
  if (!finding) return;
  const Shrunk small = shrink(scenario, *finding, property);
  ADD_FAILURE() << fmt::format("{}, seed {}, made small in {} tries:\n\n{}", name, seed, small.tries,
                               report(small.scenario, small.finding));
}

void for_fresh_seeds(int count, const std::function<void(std::uint64_t)>& each) {
  if (const char* seed = std::getenv("TAILRACE_SEED")) return each(std::strtoull(seed, nullptr, 10));
  const char* seconds = std::getenv("TAILRACE_SECONDS");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds ? std::atoi(seconds) : 0);
  std::random_device device;
  for (int i = 0; (i < count || std::chrono::steady_clock::now() < end) && !::testing::Test::HasFailure();
       ++i)
    each(device());
}

}  // namespace tailrace::testing
