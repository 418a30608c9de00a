// Trying a property on many seeds: what fails is made small and printed as a report with its seed. A seed
// whose run ends the process (a broken invariant, a sanitizer) is named too.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "property/shrink.h"

namespace tailrace::testing {

// Tries one seed. A failure is added to the test; the report is of the smallest scenario that fails.
void expect_holds(const std::string& name, std::uint64_t seed, const Scenario& scenario,
                  const Property& property);

// Calls `each` with fresh seeds, at least `count` of them, until one fails. TAILRACE_SEED=N replays one,
// TAILRACE_SECONDS=N searches for so long.
void for_fresh_seeds(int count, const std::function<void(std::uint64_t)>& each);

// While it lives, the seed is written to stderr if the process is brought to an end.
class SeedInHand {
 public:
  explicit SeedInHand(std::uint64_t seed);
  ~SeedInHand();
  SeedInHand(const SeedInHand&) = delete;
  SeedInHand& operator=(const SeedInHand&) = delete;
};

}  // namespace tailrace::testing
