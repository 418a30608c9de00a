// The delivery ledger: what destinations answered, and what was uploaded for whom. Together with the log it
// is the whole truth; it is on disk (RocksDB), each change in one atomic batch, synced before the request it
// speaks of is sent.
//
// Per (sync, person): a Membership. Per (sync, identifier): its holders, for two people may share a phone,
// and a removal goes out only when the last holder leaves. Removal sends exactly what was added, even after
// the e-mail changed or the person is gone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "delivery/drift.h"
#include "delivery/guard.h"
#include "delivery/match_point.h"
#include "delivery/stream_state.h"
#include "delivery/warehouse_state.h"
#include "destinations/audience_destination.h"
#include "model/delivery_fact.h"

namespace rocksdb {
class Env;
}

namespace tailrace::delivery {

constexpr std::uint32_t kLedgerFormat = 7;

struct Membership {
  enum class State : unsigned char {
    adding,    // an add may have reached the platform; resend until it is known
    member,    // acknowledged
    removing,  // a removal may have reached it
    rejected,  // the platform (or we, before sending) refused the add; reason says why
    left,      // removal acknowledged; kept for its times until compacted
  };
  State state = State::adding;
  std::vector<destinations::UploadIdentifier> uploaded;  // what may stand at the platform for this person
  // Of a member: a request about some of `uploaded` has no answer, or one to add all of it again was refused.
  bool unanswered = false;
  Time changed_at;   // when the segment said so
  Time received_at;  // received_at of the record that caused it; equal to changed_at when time alone did
  Time acknowledged_at;
  std::string reason;  // of a refusal; never holds an identifier
  // When the request with the addition or the removal first went out. Zero: none was needed, or it went out
  // before format 3.
  Time sent_at;
  bool live = false;  // the change was no import and no back-fill: its latency counts
  Time refused_at;    // when the platform, or we, gave that reason; zero: there is none, or before format 3
  // Not zero: the refusal was dropped (dead_letters.h), for somebody whose identifiers had this fingerprint.
  std::uint64_t dropped = 0;
  // Of a member: when all of `uploaded` but what is to be removed was last added again. Zero: not since
  // acknowledged_at, or before format 4.
  Time renewed_at;
  // Of the attributes that the platform has answered for (delivery/identifiers.h): refused ones are not sent
  // again. Zero: it was told none, or before format 6.
  std::uint64_t attributes = 0;

  // Of a member: since when the platform counts their stay.
  Time stays_since() const { return std::max(acknowledged_at, renewed_at); }
  bool operator==(const Membership&) const = default;
};

// Removing from an audience whoever is not to be there (sweep.h).
struct Sweep {
  PersonId next{0}, end{0};  // known people who are still to be looked at
  // The platform is still to be asked to let go of whoever was last added before this. Zero: it is not.
  Time clear_before;
  Time removed_at;  // when somebody was last removed by it; zero: never

  bool is_on() const { return next < end || clear_before.ms != 0; }
  bool operator==(const Sweep&) const = default;
};

// A sync's standing, one record: audience id, counters, last success, failure.
struct SyncState {
  std::string audience_id;
  std::string destination;  // whose audience that is, by its name in the workspace; "" before format 2
  std::uint64_t sent = 0;   // records put into requests, resends counted once
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::uint64_t next_batch_id = 1;
  Time last_success_at;
  std::string stopped_reason;  // non-empty: not running until mended
  std::optional<destinations::Measurement> measured;
  Time measured_at;
  GuardState guards;
  Baseline baseline;
  bool frozen = false;       // by drift, until released
  bool starts_over = false;  // its audience is gone: what stood there is being forgotten
  Time reupload_asked_at;    // who stays there since before that is to be added again
  Sweep sweep;               // that goes with it
};

struct MembershipChange {
  PersonId person;
  Membership membership;
  // What stands in the ledger, where that is known without looking (nullptr: nothing that holds an
  // identifier); lent.
  std::optional<const Membership*> before = std::nullopt;
};

// After an `io` error the next call opens the store anew: a disk that was full and is no longer needs no
// restart. Whether the write that failed is in it then, a reader sees.
//
// Not thread-safe. Every read says `corrupt` when stored bytes do not keep to the grammar in ledger_format.h,
// and `io` when the disk does not answer.
class Ledger {
 public:
  // Creates the directory (mode 0700) where there is none. Errors: io, corrupt, unsupported (a store from a
  // newer version), conflict (another process has it open).
  // environment: whose disk, clock and threads RocksDB uses, lent; nullptr: the system's.
  static Result<std::unique_ptr<Ledger>> open(const std::string& directory,
                                              rocksdb::Env* environment = nullptr);
  virtual ~Ledger() = default;

  virtual Result<std::optional<Membership>> find(const std::string& sync, PersonId person) = 0;
  // result[i] belongs to people[i]; one look-up for all.
  virtual Result<std::vector<std::optional<Membership>>> find_many(const std::string& sync,
                                                                   std::span<const PersonId> people) = 0;
  // In order of person.
  virtual Result<void> for_each(const std::string& sync,
                                const std::function<void(PersonId, const Membership&)>& visit) = 0;
  // Holders of an identifier (its kind and value) in a sync's audience, as of the last write, in order.
  virtual Result<std::vector<PersonId>> holders(const std::string& sync,
                                                const destinations::UploadIdentifier& identifier) = 0;

  // Writes memberships and keeps the holders in step (states adding, member and removing hold; rejected and
  // left do not). A membership that becomes `member` from any other state is an entry at its
  // acknowledged_at. Atomic and on disk on return. A person named twice ends as named last.
  virtual Result<void> write(const std::string& sync, std::span<const MembershipChange> changes,
                             const SyncState& state) = 0;
  virtual Result<SyncState> state(const std::string& sync) = 0;  // of an unknown sync: a new one
  virtual Result<void> write_state(const std::string& sync, const SyncState& state) = 0;

  // The history of a sync's match rate, oldest first; of at most `latest` points.
  virtual Result<void> add_match_point(const std::string& sync, const MatchPoint& point) = 0;
  virtual Result<std::vector<MatchPoint>> match_points(const std::string& sync, std::size_t latest) = 0;

  // Of a stream sync; of an unknown one: a new state.
  virtual Result<StreamState> stream_state(const std::string& sync) = 0;
  struct StreamChange {
    std::vector<StreamDeadLetter> dead;    // new ones, or in the place of those at the same position
    std::vector<Position> mended;          // dead letters that are no more
    std::vector<StreamRefusals> refusals;  // in the place of those of the same reason
    std::vector<DeliveryFact> settled;     // for warehouses; without ids
  };
  // Atomic and on disk on return.
  virtual Result<void> write_stream(const std::string& sync, const StreamState& state,
                                    const StreamChange& change) = 0;
  // In the order of the log.
  virtual Result<void> for_each_stream_dead_letter(
      const std::string& sync, const std::function<void(const StreamDeadLetter&)>& visit) = 0;
  // In order of their reasons.
  virtual Result<std::vector<StreamRefusals>> stream_refusals(const std::string& sync) = 0;

  virtual Result<WarehouseState> warehouse_state(
      const std::string& sync) = 0;  // of an unknown one: a new state
  virtual Result<void> write_warehouse(const std::string& sync, const WarehouseState& state) = 0;
  // Whether write() and write_stream() also keep how each membership and event ended, for warehouses, in the
  // same atomic batch. At first: no.
  virtual void keep_deliveries(bool keep) = 0;
  virtual Result<std::uint64_t> deliveries_end() = 0;  // the id of the next one
  // Those with ids in [from, to), in order.
  virtual Result<void> for_each_delivery(std::uint64_t from, std::uint64_t to,
                                         const std::function<void(const DeliveryFact&)>& visit) = 0;
  virtual Result<void> drop_deliveries(std::uint64_t before) = 0;

  // `entered sync`: acknowledged additions, for the engine; called for all syncs at start. In order of
  // person, then time.
  virtual Result<void> for_each_entry(const std::string& sync,
                                      const std::function<void(PersonId, Time)>& visit) = 0;

  // A ledger of its own in `directory`, as of the last write: files that nobody changes, which share their
  // blocks with this one where they can. What is in `directory` goes first. Errors: io.
  virtual Result<void> checkpoint(const std::string& directory) = 0;
  // Reads every block against its checksum and every value against the grammar, and holds the holders
  // against the memberships. One sentence per damage; none: all is well. Errors: io.
  virtual Result<std::vector<std::string>> verify() = 0;
  // For a ledger that was brought back from a copy: ids of batches that the lost one may have used since are
  // skipped, as platforms would take those for batches they know. Errors: io.
  virtual Result<void> skip_batch_ids() = 0;
};
// Removes what checkpoint() wrote. Errors: io.
Result<void> remove_checkpoint(const std::string& directory);

}  // namespace tailrace::delivery
