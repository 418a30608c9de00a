// What delivery gave up on until something changes: additions, removals and exchanges of identifiers that the
// platform refused, and people with nothing usable to upload. They live in the ledger, as memberships with a
// reason.
//
// A dead letter is asked again when the person's profile or membership changes, and (where the platform
// refused it) when delivery starts. retry() asks again now; drop() lets it rest through restarts until their
// identifiers or their membership change.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "delivery/ledger.h"

namespace tailrace::delivery {

class ProfileSource;
struct SyncRun;

struct DeadLetter {
  enum class Of : unsigned char {
    addition,
    removal,      // the person stays in the audience at the platform
    identifiers,  // of a member, whose old ones stand there
  };
  PersonId person;
  Of of = Of::addition;
  std::string reason;  // never holds an identifier
  Time at;             // of the refusal; zero where a version before format 3 wrote it
  bool dropped = false;
};

// In order of (at, person). Errors: of the ledger.
Result<std::vector<DeadLetter>> dead_letters(const SyncRun& run, Ledger& ledger);

// Those of `people` that are dead letters, neither dropped nor under way, become pending again, and go before
// others in this order. How many.
std::size_t retry_dead_letters(SyncRun& run, std::span<const PersonId> people);

// Those of `people` that are dead letters, neither dropped nor under way, are dropped, in ledger and run. How
// many. Errors: of the ledger; then those before have been.
Result<std::size_t> drop_dead_letters(SyncRun& run, Ledger& ledger, ProfileSource& profiles,
                                      std::span<const PersonId> people);

}  // namespace tailrace::delivery
