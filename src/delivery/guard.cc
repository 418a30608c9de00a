#include "delivery/guard.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "base/grouped.h"

namespace tailrace::delivery {
namespace {

using destinations::BatchKind;
using workspace::Guards;

constexpr std::int64_t kSlotMillis = kHour.count / static_cast<std::int64_t>(GuardSide::kSlots);
constexpr std::uint64_t kPassNoShare = 100;  // changes an hour
constexpr std::uint64_t kMillion = 1'000'000;

std::uint64_t waiting_of(BatchKind kind, const Guard::Standing& standing) {
  return kind == BatchKind::add ? standing.adding : standing.removing;
}

// The members an hour ago.
std::uint64_t members_before(const Guard::Standing& standing, const GuardState& state) {
  const std::uint64_t left = standing.people + state.removals.last_hour();
  const std::uint64_t entered = state.additions.last_hour();
  return left > entered ? left - entered : 0;
}

// Changes of this hour that nobody has released.
std::uint64_t changes_of(BatchKind kind, const Guard::Standing& standing, const GuardState& state) {
  const GuardSide& side = state.side(kind);
  const std::uint64_t waiting = waiting_of(kind, standing);
  return side.last_hour() + (waiting > side.released ? waiting - side.released : 0);
}

std::string percent(std::uint32_t per_million) {
  return fmt::format("{:g}%", static_cast<double>(per_million) / 10'000);
}

}  // namespace

void GuardState::let_time_pass(Time now) {
  const std::int64_t newest = now.ms / kSlotMillis;
  // A clock that was set back starts no new hour.
  for (std::int64_t gone = std::min<std::int64_t>(newest - slot, GuardSide::kSlots); gone > 0; --gone) {
    for (GuardSide* side : {&additions, &removals}) {
      std::rotate(side->recent.begin(), side->recent.end() - 1, side->recent.end());
      side->recent.front() = 0;
    }
  }
  slot = std::max(slot, newest);
}

void GuardState::begin(BatchKind kind, std::uint64_t people, Time now) {
  let_time_pass(now);
  GuardSide& begun = side(kind);
  const std::uint64_t covered = std::min(begun.released, people);
  begun.released -= covered;
  if (kind == BatchKind::add && !filled) return;  // a first fill is no change
  begun.recent.front() += static_cast<std::uint32_t>(people - covered);
}

bool Guard::is_safe(BatchKind kind) const {
  return rules_.safe_side ==
         (kind == BatchKind::add ? Guards::SafeSide::additions : Guards::SafeSide::removals);
}

bool Guard::passes_share(BatchKind kind, const Standing& standing, const GuardState& state,
                         std::uint64_t changes) const {
  if (!rules_.change_share_per_million || changes < kPassNoShare) return false;
  const std::uint64_t before = members_before(standing, state);
  if (kind == BatchKind::add && before == 0) return false;  // no share can be said of nobody
  return changes * kMillion > before * *rules_.change_share_per_million;
}

bool Guard::passes_change(BatchKind kind, const Standing& standing, const GuardState& state) const {
  if (kind == BatchKind::add && !state.filled) return false;
  const std::uint64_t changes = changes_of(kind, standing, state);
  return (rules_.change_count && changes > *rules_.change_count) ||
         passes_share(kind, standing, state, changes);
}

GuardSide::Hold Guard::breach(BatchKind kind, const Standing& standing, const GuardState& state) const {
  using Hold = GuardSide::Hold;
  const std::uint64_t waiting = waiting_of(kind, standing);
  if (is_safe(kind) || waiting <= state.side(kind).released) return Hold::none;
  const bool counts = rules_.change_share_per_million || rules_.change_count;
  if ((counts && state.side(kind).hold == Hold::change) || passes_change(kind, standing, state))
    return Hold::change;
  const bool was_larger = standing.people >= rules_.size_min || state.side(kind).hold == Hold::size;
  const bool shrinks = was_larger && standing.wanted < rules_.size_min;
  return kind == BatchKind::remove && shrinks ? Hold::size : Hold::none;
}

bool Guard::judge(const Standing& standing, Time now, GuardState& state) const {
  const GuardState before = state;
  state.let_time_pass(now);
  state.filled = state.filled || standing.adding == 0;
  for (const BatchKind kind : {BatchKind::add, BatchKind::remove}) {
    GuardSide& side = state.side(kind);
    const std::uint64_t waiting = waiting_of(kind, standing);
    side.released = std::min(side.released, waiting);
    if (side.release_asked) {
      side.release_asked = false;
      side.released = waiting;
    }
    const GuardSide::Hold hold = breach(kind, standing, state);
    if (hold != GuardSide::Hold::none && side.hold == GuardSide::Hold::none) side.held_at = now;
    side.hold = hold;
  }
  // The counts of an hour alone are written with the changes they count.
  const auto kept = [](const GuardSide& side) {
    return std::tuple(side.hold, side.release_asked, side.released);
  };
  return before.filled != state.filled || kept(before.additions) != kept(state.additions) ||
         kept(before.removals) != kept(state.removals);
}

std::string Guard::held(BatchKind kind, const Standing& standing, const GuardState& state) const {
  const GuardSide::Hold hold = breach(kind, standing, state);
  if (hold == GuardSide::Hold::none) return {};
  const std::string waiting = grouped(waiting_of(kind, standing));
  const std::string_view what = kind == BatchKind::add ? "additions" : "removals";
  if (hold == GuardSide::Hold::size) {
    const std::string rule =
        rules_.size_min == 1 ? "never_empty" : fmt::format("min_size {}", grouped(rules_.size_min));
    return fmt::format("{} {} would leave {} people ({})", waiting, what, grouped(standing.wanted), rule);
  }
  const std::uint64_t last_hour = state.side(kind).last_hour();
  const std::string also =
      last_hour == 0 ? "" : fmt::format(" besides {} in the last hour", grouped(last_hour));
  std::string limit;
  if (rules_.change_share_per_million) {
    limit = fmt::format("{} of {} members", percent(*rules_.change_share_per_million),
                        grouped(members_before(standing, state)));
  }
  if (rules_.change_count)
    limit += (limit.empty() ? "" : " or ") + fmt::format("{} people", grouped(*rules_.change_count));
  return fmt::format("{} {}{}: more than max_change {} an hour", waiting, what, also, limit);
}

}  // namespace tailrace::delivery
