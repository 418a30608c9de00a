// A scenario on the engine, compared with the brute-force judge at every step: members, instants of change,
// time travel, restarts and changes of the workspace in the middle.
#pragma once

#include <functional>
#include <optional>

#include "base/random.h"
#include "property/scenario.h"
#include "support/oracle.h"

namespace tailrace::testing {

// What the judge gets to know: everything. Tests of the tests tell it less.
using Telling = std::function<void(OracleWorld&)>;

// The first thing that differs. Where `scenario` leaves open what happens around the inputs, `random` decides
// and the scenario keeps it, so that the run can be repeated without; null: nothing happens there.
std::optional<Finding> run_against_judge(Scenario& scenario, Random* random, const Telling& telling = {});

}  // namespace tailrace::testing
