// A history as one value, which a property is tried on and which can be made smaller: workspaces, what
// arrives in which order, what happens around that, and what is asked in the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "model/person.h"
#include "model/value.h"
#include "workspace/workspace.h"

namespace tailrace::testing {

// Something that arrives.
struct Input {
  enum class Kind : unsigned char { event, trait, consent, sync_entry, join, merge, removal };
  Kind kind = Kind::event;
  std::string who;    // "u3", the anonymous "anon-3", or an e-mail or phone ("+...") of whom it says no id
  std::string other;  // join, merge: the user into whom `who` goes; of merge also an e-mail or phone
  Time time;
  Time received_at;
  std::string name;  // of the event, trait, purpose or sync
  Value value;       // properties, the trait's value, consent
  std::string message_id;
  std::size_t serial = 0;  // stays its own when other inputs are taken away
};

// By what an input names somebody.
IdentifierKind kind_of(std::string_view who);

// An input, and what happens around it. What is not decided yet a run with a Random decides when it comes
// there, and keeps; a run without one takes it for no.
struct Step {
  Input input;
  std::optional<bool> works;     // before it: a slice of pending back-fill, if there is any
  std::optional<bool> judges;    // the way to its time is compared, change by change
  std::optional<bool> repeats;   // after it an earlier message comes again,
  std::size_t repeated = 0;      // the one of this serial
  std::optional<bool> restarts;  // after it, unless back-fill is pending
};

// A question about the past: members at an instant, and changes in (from, to].
struct Travel {
  Time at;
  Time from;
  Time to;
};

struct Scenario {
  std::uint64_t seed = 0;   // for what a property chooses by itself
  bool holds_back = false;  // the first taxonomy does not know kHeldBack
  workspace::Workspace first;
  std::optional<workspace::Workspace> second;
  std::size_t change = 0;   // the second comes before the step of this index
  std::vector<Step> steps;  // in order of receipt
  Step end;                 // only what happens around it: the days after the last input
  std::optional<std::vector<Travel>> travels;
};

inline constexpr std::string_view kHeldBack = "Cart Started";

// What came out otherwise than it should. Thrown where it is found; who tries a property catches it.
struct Finding {
  std::string what;
  std::string expected;
  std::string got;
};

// To be read as a report of the bug, in the words of tests/spec (support/text_spec.h).
std::string report(const Scenario& scenario, const Finding& finding);

}  // namespace tailrace::testing
