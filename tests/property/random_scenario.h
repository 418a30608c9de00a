// Random histories that arrive in random order, and workspaces to judge them by.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "property/scenario.h"
#include "support/oracle.h"
#include "support/random_world.h"

namespace tailrace::testing {

inline constexpr Time kStart = RandomWorldOptions{}.start;
inline constexpr RandomWorldOptions kSmall{.people_max = 4, .events_per_person_max = 8};

// In order of receipt; mostly on time, some late, some from the future.
std::vector<Step> random_steps(Random& random, const OracleWorld& world);
Travel random_travel(Random& random);

// Without segments. `holds_back`: its taxonomy does not know kHeldBack.
workspace::Workspace empty_workspace(const OracleWorld& world, bool holds_back);
// A segment of every form.
workspace::Workspace fixed_workspace(const OracleWorld& world);

struct WorkspaceOptions {
  bool holds_back = false;
  bool ranks = true;
  bool fixed_times = true;  // calendar words and fixed instants
  bool nested = true;       // segments speak of segments that speak of segments
};
// Five segments.
workspace::Workspace random_workspace(Random& random, const OracleWorld& world,
                                      const WorkspaceOptions& options);

// Adds the segment if it can be checked and compiled beside those before it.
bool add_segment(workspace::Workspace& workspace, const std::string& name, const std::string& text);

// The same seed gives the same scenario. What happens around the inputs is left open.
Scenario fixed_scenario(Random& random, std::uint64_t seed);
Scenario random_scenario(Random& random, std::uint64_t seed);

// Few people with few identifiers, of which many are the same, under rules of identity that change once.
Scenario identity_scenario(Random& random, std::uint64_t seed);
// Nothing holds anybody back, and nobody takes an anonymous id that is another's: the order does not matter.
Scenario unlimited_identity_scenario(Random& random, std::uint64_t seed);

}  // namespace tailrace::testing
