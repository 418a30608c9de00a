// Makes a scenario that fails small: segments and all else in the workspaces, inputs, what happens around
// them, expressions and values are taken away for as long as the property still fails.
//
//   const Shrunk small = shrink(scenario, finding, property);
//   ADD_FAILURE() << report(small.scenario, small.finding);
#pragma once

#include <functional>
#include <optional>

#include "property/scenario.h"

namespace tailrace::testing {

// What is wrong with a scenario; nothing: it holds. The same scenario gives the same answer.
using Property = std::function<std::optional<Finding>(const Scenario&)>;

struct Shrunk {
  Scenario scenario;
  Finding finding;
  int tries = 0;
};

// `finding` is what `property` says of `scenario`. Any finding counts as the failure. Ends after
// `seconds_max` at the latest, with the smallest scenario so far.
Shrunk shrink(const Scenario& scenario, const Finding& finding, const Property& property,
              int seconds_max = 60);

}  // namespace tailrace::testing
