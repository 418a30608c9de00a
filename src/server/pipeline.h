// The running store without threads and without a clock: records that are on disk go into the engine, what
// they change goes to delivery, and what deletions leave in the log is overwritten.
//
//   log -> Pipeline::apply -> engine -> Outlet
//
// Core runs it on a thread of its own while others write the log; the simulation runs it between faults.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "delivery/ledger.h"
#include "delivery/streams.h"
#include "log/group_commit.h"
#include "server/connections.h"
#include "server/dispatch.h"
#include "server/store.h"

namespace tailrace::server {

class Pipeline final : public delivery::ProfileSource, public delivery::EventSource {
 public:
  // Brings the engine to `now`, with the acknowledged entries of the ledger. Errors: of the ledger.
  static Result<std::unique_ptr<Pipeline>> open(std::unique_ptr<Store> store,
                                                std::unique_ptr<delivery::Ledger> ledger, Time now);

  Store& store() { return *store_; }
  delivery::Ledger& ledger() { return *ledger_; }
  engine::Engine& engine() { return store_->engine(); }
  // From now on changes go there, once the live workspace was handed over (start_delivery).
  void deliver_to(Outlet& outlet, Secrets secrets, Running running = {});

  // Records in the order of the log, each once. `changed` is called before changes of segments are handed on.
  // Errors: of the engine, after which it must not go on.
  Result<void> apply(const log::CommittedBatch& batch, Time now, const std::function<void()>& changed = {});
  Result<void> let_time_pass(Time now);  // errors: of the engine
  // A slice of the back-fill of a new workspace. Errors: of the engine.
  Result<void> work(Time now);
  struct Filling {
    engine::Engine::Progress progress;
    Time since;
  };
  std::optional<Filling> filling() const;
  // Hands over a workspace that became live since the last call.
  void start_delivery();
  // Acknowledged additions, for `entered sync`.
  void enter(const std::vector<delivery::Delivery::Entry>& entries, Time now);

  // Deletions wait a little for others, as each walk over the log serves all.
  bool redaction_due(Time now) const { return !deletions_.empty() && now >= redact_at_; }
  bool redaction_pending() const { return !deletions_.empty(); }
  // The records of deleted people become tombstones. A snapshot from before would meet tombstones where it
  // needs a deletion or a merge, so it goes first; a crash on the way replays the log from its beginning and
  // finishes this. `log`: the store's, while nobody writes. Where it fails it is due again in a minute.
  // Errors: of the log.
  Result<void> redact(log::Log& log, Time now);

  Position applied() const { return applied_; }  // all before it
  std::uint64_t records_since_snapshot() const { return records_since_snapshot_; }
  // Not while a workspace is filled or a deletion is unfinished.
  bool can_save_snapshot() const { return !store_->engine().work_pending() && deletions_.empty(); }
  void snapshot_begun() { records_since_snapshot_ = 0; }

  std::vector<PersonProfile> profiles(std::span<const PersonId> people) override;
  PersonId person_limit() override {
    return PersonId(static_cast<std::uint32_t>(store_->engine().profiles().person_limit()));
  }

  Result<Page> read(Position from, Position until, std::size_t records, const Question& question) override;
  Result<std::vector<delivery::LoggedEvent>> at(std::span<const Position> positions,
                                                const Question& question) override;
  Position begin() override { return store_->log().begin(); }
  Position end() override { return applied_; }
  Result<Position> received_since(Time instant) override { return store_->log().received_since(instant); }

 private:
  Pipeline(std::unique_ptr<Store> store, std::unique_ptr<delivery::Ledger> ledger)
      : store_(std::move(store)), ledger_(std::move(ledger)) {}
  void route(delivery::Delivery::Origin origin, Time now);
  Result<void> look_at_changes();

  std::unique_ptr<Store> store_;
  std::unique_ptr<delivery::Ledger> ledger_;
  Outlet* outlet_ = nullptr;
  Secrets secrets_;
  Running running_;
  engine::Output output_;
  Time redact_at_ = kForeverAgo;             // not before
  std::vector<engine::Deletion> deletions_;  // whose records are still to become tombstones
  Position applied_;
  std::uint64_t records_since_snapshot_ = 0;
  std::uint64_t delivered_generation_ = 0;
  std::uint64_t looked_generation_ = 0;
  std::optional<Time> filling_since_;
};

}  // namespace tailrace::server
