// What the ledger keeps of a stream sync: how far it has come, what it must not forget on the way, and what
// was refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"

namespace tailrace::delivery {

// A walk over the log: what lies before `cursor` is settled (accepted, refused, or a dead letter). Where a
// platform cannot tell a second copy of an event, more is known: reading came as far as `read`, and of what
// lies before it only `unsettled` is not settled. Elsewhere `read` is `cursor` and `unsettled` empty.
struct StreamWalk {
  struct Unsettled {
    Position position;
    bool sent = false;  // in a request whose answer is not known
    bool operator==(const Unsettled&) const = default;
  };
  Position cursor;
  Position read;
  std::vector<Unsettled> unsettled;  // in order

  bool operator==(const StreamWalk&) const = default;
};

// Events of the past are sent once more, beside what comes in.
struct StreamReplay {
  StreamWalk walk;
  Position begin;
  Position end;             // not included
  Time from = kForeverAgo;  // event times
  Time to = kNever;         // not included
  bool operator==(const StreamReplay&) const = default;
};

struct StreamState {
  bool begun = false;
  StreamWalk live;
  std::optional<StreamReplay> replay;
  bool paused = false;     // by command
  std::uint64_t sent = 0;  // events put into requests, resends counted once
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;  // by the platform
  Time last_success_at;
  std::string stopped_reason;  // non-empty: not running until mended

  bool operator==(const StreamState&) const = default;
};

// An event that the platform refused, or that nobody knows the fate of.
struct StreamDeadLetter {
  Position position;
  PersonId person;
  std::string event;       // our name of it
  Time at;                 // when it became one
  std::string reason;      // holds no value of the person
  bool ambiguous = false;  // sent, and never answered

  bool operator==(const StreamDeadLetter&) const = default;
};

// Events that were never sent, by reason, since the sync began.
struct StreamRefusals {
  std::string reason;  // "at: older than 7d, and the platform takes no such events"
  std::uint64_t count = 0;
  Position last;  // of these: one to look at
  PersonId person;
  Time last_at;

  bool operator==(const StreamRefusals&) const = default;
};

}  // namespace tailrace::delivery
