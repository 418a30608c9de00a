// Who else may stand in an audience though nothing here says so: a ledger that was brought back from a copy
// has forgotten those who were added since and have left; somebody else has added people by hand.
//
// No platform says who is in an audience, but a removal names whom it removes. So a sweep removes everybody
// who is known and is not to be there: with the identifiers they have now, save those that a member has too,
// and only those who agreed to the sync's purpose, as the platform is told of them. Where the platform can
// let go of whoever was last added before an instant (AudienceDestination::encode_clear), it is asked to once
// everybody was added again; that takes out those of whom nothing is known here, too.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "delivery/ledger.h"

namespace tailrace::delivery {

class ProfileSource;
struct SyncRun;

// Some other clock may be behind ours by this; whoever came in the last hour before a full upload is not let
// go by it.
constexpr Millis kSweepMargin = kHour;
// Platforms count late: for so long after a removal a smaller audience says nothing.
constexpr Millis kSweptSettles = kDay * 2;

// Looks at some people, of whom those who are not to be in the audience are to be removed from then on, in
// ledger and run. Gives how many those are. Errors: of the ledger; then nobody was.
Result<std::size_t> sweep_some(SyncRun& run, Ledger& ledger, ProfileSource& profiles, std::size_t people_max,
                               Time now);

// Looks at some members: whom the platform has not taken again since the full upload was asked for is counted
// in run.check. Errors: of the ledger.
Result<void> check_renewed(SyncRun& run, Ledger& ledger, std::size_t people_max);

}  // namespace tailrace::delivery
