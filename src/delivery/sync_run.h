// One sync while delivery runs: its plan, its batches under way, its standing in the ledger.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "delivery/cron.h"
#include "delivery/delivery.h"
#include "delivery/identifiers.h"
#include "delivery/latency_histogram.h"
#include "delivery/ledger.h"
#include "delivery/plan.h"
#include "delivery/renewals.h"

namespace tailrace::delivery {

// Why and since when a person's membership is as it is.
struct Cause {
  Time changed_at;
  Time received_at;
  bool live = false;  // counts for latency
};

// What a batch does for one person.
struct Item {
  enum class Kind : unsigned char {
    whole,        // the membership itself begins or ends
    identifiers,  // a member stays, with other identifiers
  };
  PersonId person;
  Kind kind = Kind::whole;
  bool live = false;
  Membership membership;        // as it stands in the ledger
  bool was_unanswered = false;  // before this batch; of a member whose old identifiers are removed
  // An addition of what may stand there already, of a member: a refusal says nothing of what stands.
  bool repeats = false;
  // Of an addition that goes kind by kind: what the platform refused, though it took other kinds.
  std::vector<destinations::UploadIdentifier> not_taken = {};
};

// A batch from its intent in the ledger until every one of its people has an answer.
struct ActiveBatch {
  Direction direction = Direction::add;
  std::uint64_t id = 0;
  std::vector<Item> items;
  std::vector<destinations::Member> members;  // members[i] belongs to items[i]
  std::uint32_t failures = 0;
  Time next_at = kForeverAgo;  // not before
  bool in_flight = false;
  bool reauthorised = false;  // the token was renewed for it, and it has had no other answer since
  std::string waiting_for;
  bool unanswered = false;  // the last attempt was met with silence
  bool renews = false;      // nothing but stays that go on

  // Where a request has room for one kind of identifier, the batch goes out kind by kind, under one id.
  std::set<IdentifierKind> kinds_done;
  std::vector<destinations::Member> part;  // of the kind that is under way
  std::vector<std::size_t> part_of;        // part[i] is of members[part_of[i]]
  struct Refusal {
    destinations::Outcome outcome;
    std::vector<destinations::UploadIdentifier> identifiers;
  };
  std::map<std::size_t, Refusal> refusals;  // of members, so far

  // The next kind to go out; missing: all have.
  std::optional<IdentifierKind> next_kind() const {
    std::optional<IdentifierKind> next;
    for (const auto& member : members) {
      for (const auto& identifier : member.identifiers) {
        if (!kinds_done.contains(identifier.kind))
          next = std::min(next.value_or(identifier.kind), identifier.kind);
      }
    }
    return next;
  }
};

// Identifiers in a removal that has no answer yet. An add of one of them waits, or the two would race at the
// platform.
class Locks {
 public:
  void lock(const destinations::Member& member) {
    for (const auto& identifier : member.identifiers) ++counts_[hash_of(identifier)];
  }
  void unlock(const destinations::Member& member) {
    for (const auto& identifier : member.identifiers) {
      const auto at = counts_.find(hash_of(identifier));
      if (at != counts_.end() && --at->second == 0) counts_.erase(at);
    }
  }
  bool any(std::span<const destinations::UploadIdentifier> identifiers) const {
    if (counts_.empty()) return false;
    for (const auto& identifier : identifiers) {
      if (counts_.contains(hash_of(identifier))) return true;
    }
    return false;
  }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> counts_;
};

// How many identifiers a membership has at the platform, where that is a member's.
inline std::uint64_t standing_identifiers(const Membership& membership) {
  return membership.state == Membership::State::member ? membership.uploaded.size() : 0;
}

// Whether everybody was taken again since the full upload was asked for, so far.
struct RenewalCheck {
  PersonId next{0};  // to be looked at
  bool is_through = false;
  std::uint64_t not_renewed = 0;
};

struct SyncRun {
  Connection connection;
  std::size_t connector = 0;  // syncs to one destination share its token and its rate
  destinations::Limits limits;
  Zone zone = Zone::utc();
  std::optional<Cron> cron;
  Direction protective = Direction::remove;

  Guard guard{{}};
  std::string held;             // by its guards, in words; empty: it is not
  std::vector<SyncRun*> twins;  // of a target one at most; who goes from one to the other is never in neither

  Plan plan;
  SyncState state;
  std::unordered_map<PersonId, Cause> causes;  // of pending changes; those of set_desired have none
  Time desired_at;
  bool desired_known = false;      // nothing is sent before set_desired
  bool needs_no_audience = false;  // the destination has none to create
  Locks removing;
  std::vector<std::unique_ptr<ActiveBatch>> active;
  LatencyHistogram latencies;          // of live changes: each person's last in the ledger, and all since
  std::uint64_t latencies_within = 0;  // the objective
  Millis objective;

  // Cadence: a window is open for as many people as were pending when it opened.
  std::uint64_t window = 0;
  bool flush = false;
  std::optional<Time> pending_since;
  std::optional<Time> next_due;

  std::uint32_t in_flight = 0;
  std::uint32_t ledger_failures = 0;   // in a row
  Time held_back_until = kForeverAgo;  // by the ledger
  Time ask_again_at = kNever;          // for the removals that were refused because the audience is too small
  Roaring too_small;                   // whose
  Time probe_at = kForeverAgo;         // of a stopped sync: when one request tries again
  std::string blocked;                 // cannot go on in this process
  std::string waiting_for;             // the reason of the last failure that was not a batch's

  bool creating = false;  // or looking for one: a request is out
  bool sought = false;    // no audience of this name is there
  std::string find_page;  // where looking goes on
  Time create_at = kForeverAgo;
  std::uint32_t create_failures = 0;

  std::optional<Time> inspect_at;  // when the audience is looked at though nothing changed
  std::vector<Drift::Kind> drift;  // as it was seen last
  std::string drift_text;
  bool adopt_next = false;  // what is seen next is taken as it is
  bool update_wanted = false;
  bool updating = false;
  bool clearing = false;  // a request to let go of others is out
  Time clear_at = kForeverAgo;
  RenewalCheck check;                // before that
  std::uint32_t clear_failures = 0;  // in a row
  bool start_over_wanted = false;

  std::optional<Millis> declared_life;     // of a membership, as the destination says
  std::optional<std::int64_t> stays_days;  // as the platform said last
  Renewals renewals;                       // of members, where their stays end
  std::optional<Time> renewing_since;      // somebody is to be added again

  std::uint64_t identifiers = 0;    // of members, that the platform has accepted
  std::optional<MatchPoint> noted;  // the latest of its history
  std::string configuration;        // of the next one

  bool end_told = false;  // of its credentials

  std::optional<Pass> pass;
  std::vector<std::pair<Direction, PersonId>> rehearsal;  // of a pass in a dry run: still to be built

  std::optional<Time> attributes_due;  // of all members, to be compared

  bool measure_wanted = false;
  bool measuring = false;
  Time measure_at = kForeverAgo;
  std::uint32_t measure_failures = 0;  // in a row

  const std::string& name() const { return connection.sync.name; }
  bool is_in_pass() const { return pass && pass->is_on(); }
  bool carries_attributes() const { return !connection.sync.attributes.empty(); }
  bool is_dry() const { return connection.sync.mode == workspace::Mode::dry_run; }
  // Whether it may send at all.
  bool runs() const {
    return desired_known && blocked.empty() && !is_dry() && (!connection.rests || is_in_pass());
  }
  bool stopped() const { return !blocked.empty() || !state.stopped_reason.empty(); }
  std::uint64_t ready() const {
    return plan.ready(Direction::add) + plan.ready(Direction::remove) + plan.ready_to_compare();
  }
  std::uint64_t ready(Direction direction) const { return plan.ready(direction) + plan.ready_to_compare(); }
  // How long a member stays at the platform by itself; missing: until removed.
  std::optional<Millis> life() const {
    if (!declared_life) return std::nullopt;
    Millis life = *declared_life;
    for (const auto& days : {state.baseline.retention_days, stays_days}) {
      if (days && *days > 0) life = std::min(life, kDay * *days);
    }
    return life;
  }
  // The next batch's id, counted on in `next`. Some platforms want it unique per account, so it carries the
  // sync's name; it stays below 2^53, which JSON numbers hold exactly.
  std::uint64_t take_batch_id(SyncState& next) const {
    constexpr std::uint64_t kCounterBits = 32;
    const std::uint64_t counter = next.next_batch_id++ & ((1ull << kCounterBits) - 1);
    return (hash64(name()) >> 43 << kCounterBits) | counter;
  }
  void record_latency(const Item& item, Time acknowledged_at) {
    if (item.live) note_latency(acknowledged_at - item.membership.received_at);
  }
  void note_latency(Millis latency) {
    latencies.record(latency);
    latencies_within += latency <= objective;
  }
};

}  // namespace tailrace::delivery
