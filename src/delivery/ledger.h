// The delivery ledger: what destinations answered, and what was uploaded for whom. Together with the log it
// is the whole truth; it is on disk (RocksDB), each change in one atomic batch, synced before the request it
// speaks of is sent.
//
// Per (sync, person): a Membership. Per (sync, identifier): its holders, for two people may share a phone,
// and a removal goes out only when the last holder leaves. Removal sends exactly what was added, even after
// the e-mail changed or the person is gone.
#pragma once

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
#include "destinations/destination.h"

namespace tailrace::delivery {

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
  Time changed_at;                                       // when the segment said so
  Time received_at;  // received_at of the record that caused it; equal to changed_at when time alone did
  Time acknowledged_at;
  std::string reason;
};

// A sync's standing, one record: audience id, counters, last success, failure.
struct SyncState {
  std::string audience_id;
  std::uint64_t sent = 0;  // records put into requests, resends counted once
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::uint64_t next_batch_id = 1;
  Time last_success_at;
  std::string stopped_reason;  // non-empty: not running until mended
  std::optional<destinations::Measurement> measured;
  Time measured_at;
};

struct MembershipChange {
  PersonId person;
  Membership membership;
};

class Ledger {
 public:
  // Errors: io, corrupt, unsupported (a store from a newer version).
  static Result<std::unique_ptr<Ledger>> open(const std::string& directory);
  virtual ~Ledger() = default;

  virtual std::optional<Membership> find(const std::string& sync, PersonId person) = 0;
  virtual void for_each(const std::string& sync,
                        const std::function<void(PersonId, const Membership&)>& visit) = 0;
  // Holders of an identifier in a sync's audience, as of the last write.
  virtual std::vector<PersonId> holders(const std::string& sync,
                                        const destinations::UploadIdentifier& identifier) = 0;

  // Writes memberships and keeps the holders in step (states adding, member and removing hold; rejected and
  // left do not). Atomic and on disk on return.
  virtual Result<void> write(const std::string& sync, std::span<const MembershipChange> changes,
                             const SyncState& state) = 0;
  virtual SyncState state(const std::string& sync) = 0;
  virtual Result<void> write_state(const std::string& sync, const SyncState& state) = 0;

  // `entered sync`: acknowledged additions, for the engine; called for all syncs at start.
  virtual void for_each_entry(const std::string& sync, const std::function<void(PersonId, Time)>& visit) = 0;
};

}  // namespace tailrace::delivery
