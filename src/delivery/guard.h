// Guards: a sync whose audience would change too fast, or become too small, does not send those changes until
// somebody has looked. What they protect against is a careless edit or a broken source of events: both look
// like many people entering or leaving at once.
//
//   max_change  so many additions, and so many removals, within an hour: a share of the members as they were
//               an hour ago, a count, or both (whichever is passed first). A first fill is no change, and
//               fewer than a hundred people pass no share.
//   min_size    a removal that would take the audience below it; never_empty is a min_size of one
//
// Additions and removals are held each by themselves, and all of them: a part of a change that is too large
// is as wrong as the whole. What is held for max_change waits until it is released, or until nothing waits
// any more because the edit was taken back; what is held for min_size goes as soon as the audience would be
// large enough. A release lets through as many as wait then. One side can be declared safe: it is never held.
// People who were deleted or withdrew their consent are no part of this, they always leave.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/time.h"
#include "destinations/audience_destination.h"
#include "workspace/workspace.h"

namespace tailrace::delivery {

// Additions, or removals. Kept in the ledger.
struct GuardSide {
  enum class Hold : unsigned char { none, change, size };
  static constexpr std::size_t kSlots = 12;

  Hold hold = Hold::none;
  Time held_at;                                // when the hold began
  bool release_asked = false;                  // by `release`, and not yet followed
  std::uint64_t released = 0;                  // people who may still go, whatever max_change says
  std::array<std::uint32_t, kSlots> recent{};  // changes begun in the last hour, by five minutes

  std::uint64_t last_hour() const {
    std::uint64_t sum = 0;
    for (const std::uint32_t count : recent) sum += count;
    return sum;
  }
  bool operator==(const GuardSide&) const = default;
};

struct GuardState {
  GuardSide additions, removals;
  std::int64_t slot = 0;  // the newest of `recent`: five minutes since 1970
  bool filled = false;    // all who were to be in the audience have been, once

  GuardSide& side(destinations::BatchKind kind) {
    return kind == destinations::BatchKind::add ? additions : removals;
  }
  const GuardSide& side(destinations::BatchKind kind) const {
    return kind == destinations::BatchKind::add ? additions : removals;
  }
  // So many additions or removals are begun.
  void begin(destinations::BatchKind kind, std::uint64_t people, Time now);
  // Forgets what is more than an hour ago.
  void let_time_pass(Time now);
  bool operator==(const GuardState&) const = default;
};

class Guard {
 public:
  explicit Guard(const workspace::Guards& rules) : rules_(rules) {}

  // A sync's audience at an instant.
  struct Standing {
    std::uint64_t people = 0;    // at the platform, as far as we know
    std::uint64_t wanted = 0;    // in the end, when all that waits has gone
    std::uint64_t adding = 0;    // who wait and were not begun
    std::uint64_t removing = 0;  // the same
  };
  // Begins and ends holds, follows releases. True when something in `state` is to be kept.
  bool judge(const Standing& standing, Time now, GuardState& state) const;

  // Why this side is held, or would be, in words: "3,012 removals would pass max_change 50% of 4,100 members
  // an hour". Empty: it is not.
  std::string held(destinations::BatchKind kind, const Standing& standing, const GuardState& state) const;

  bool any() const { return rules_.change_share_per_million || rules_.change_count || rules_.size_min > 0; }

 private:
  bool is_safe(destinations::BatchKind kind) const;
  bool passes_change(destinations::BatchKind kind, const Standing& standing, const GuardState& state) const;
  bool passes_share(destinations::BatchKind kind, const Standing& standing, const GuardState& state,
                    std::uint64_t changes) const;
  GuardSide::Hold breach(destinations::BatchKind kind, const Standing& standing,
                         const GuardState& state) const;

  workspace::Guards rules_;
};

}  // namespace tailrace::delivery
