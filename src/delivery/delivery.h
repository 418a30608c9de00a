// Delivery decides what to send next and to whom; io/ sends it. State sync only for now: per sync a desired
// set (told by on_change), a delivered set (the ledger), and what is pending is their difference.
// Single-threaded, no clock, no I/O but the ledger.
//
//   delivery.on_change(sync, delta);
//   for (Send& s : delivery.poll(now)) client.send(s.request, [&](auto reply) { delivery.on_reply(s.id,
//   reply, now); }); wait until delivery.next_poll_at(), a change, or a reply
//
// Order: protective changes (removals from target audiences, additions to suppress audiences) first, across
// and within syncs. Before a request goes out the ledger holds, synced, what it may upload; after the answer,
// what became of it. A retry is the same request with the same batch id. Full jitter: wait = random(0,
// min(cap, base * 2^attempt)), or Retry-After.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/http.h"
#include "base/id.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "delivery/ledger.h"
#include "destinations/destination.h"
#include "model/delta.h"
#include "model/person.h"
#include "workspace/workspace.h"

namespace tailrace::delivery {

struct Send {
  std::uint64_t id = 0;  // of this attempt
  HttpRequest request;
};

// What is shown by `status` and by the demo's table.
struct SyncStatus {
  std::string sync;
  std::string segment;
  std::string destination;
  workspace::Effect effect = workspace::Effect::target;
  std::string audience_id;
  std::uint64_t desired = 0;    // people who should be in the audience
  std::uint64_t delivered = 0;  // acknowledged
  std::uint64_t pending = 0;
  std::uint64_t without_identifier = 0;  // desired, but nothing usable to upload
  std::uint64_t sent = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::optional<destinations::Measurement> measured;
  Time measured_at;
  Time last_success_at;
  std::optional<Millis> latency_p50, latency_p99;  // received_at of a live event -> acknowledgement
  std::uint64_t latency_count = 0;
  std::string state;  // "idle", "sending", "waiting for 12s: throttled (80003)", "stopped: ..."
};

struct Rejection {
  PersonId person;
  std::string reason;
  Time at;
};

// Identifiers of people as of now. In `serve` it asks the core thread; in tests it is a map.
class ProfileSource {
 public:
  virtual ~ProfileSource() = default;
  // profiles[i] belongs to people[i]; a deleted person's has deleted = true.
  virtual std::vector<PersonProfile> profiles(std::span<const PersonId> people) = 0;
};

struct Options {
  Millis retry_base{500};
  Millis retry_cap{5 * 60 * 1000};
  Millis measure_every{60 * 1000};
  std::uint32_t in_flight_per_sync = 2;  // one add and one remove stream never overlap for the same person
};

// A sync with its destination, merged settings and resolved secrets.
struct Connection {
  workspace::SyncConfig sync;
  const destinations::Destination* destination = nullptr;
  destinations::Config config;
  std::string time_zone = "UTC";  // for cron
};

class Delivery {
 public:
  static Result<std::unique_ptr<Delivery>> create(std::vector<Connection> connections, Ledger& ledger,
                                                  ProfileSource& profiles, Random& random, Options options);
  virtual ~Delivery() = default;

  // The whole desired set of a sync, at start or after a new workspace; the rest of the ledger's members are
  // to be removed.
  virtual void set_desired(SyncId sync, std::vector<PersonId> people, Time now) = 0;
  // One change. `live` is false for imports and back-fills: they do not count for latency.
  enum class Origin : unsigned char { live, backfill };
  virtual void on_change(SyncId sync, const Delta& delta, Origin origin) = 0;
  // A person's identifiers or consent changed: what is uploaded for them is compared again.
  virtual void on_profile_change(PersonId person) = 0;

  virtual std::vector<Send> poll(Time now) = 0;
  virtual Time next_poll_at() const = 0;
  virtual void on_reply(std::uint64_t send_id, Result<HttpResponse> reply, Time now) = 0;

  // Sends all pending at the next poll whatever the cadence says (demo, `tailrace sync --once`).
  virtual void flush(SyncId sync) = 0;
  virtual bool idle() const = 0;  // nothing pending, nothing in flight, save stopped syncs

  virtual std::vector<SyncStatus> status() const = 0;
  virtual std::vector<Rejection> rejections(SyncId sync, std::size_t limit) const = 0;
  // When this person last entered (acknowledged) and left this sync's audience; for `explain` and the demo.
  virtual std::optional<Membership> membership(SyncId sync, PersonId person) const = 0;
  // Acknowledged entries since the last call, for `entered sync`.
  struct Entry {
    SyncId sync;
    PersonId person;
    Time at;
  };
  virtual std::vector<Entry> take_entries() = 0;
};

}  // namespace tailrace::delivery
