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
// what became of it. Where the platform lets members go by themselves (Destination::membership_life), they
// are added again before, after everything else. A retry is the same request with the same batch id. Full
// jitter: wait = random(0, min(cap, base * 2^attempt)), or Retry-After.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/http.h"
#include "base/id.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "delivery/dead_letters.h"
#include "delivery/ledger.h"
#include "delivery/pass.h"
#include "delivery/protection.h"
#include "delivery/receipt.h"
#include "destinations/audience_destination.h"
#include "model/delta.h"
#include "model/person.h"
#include "workspace/workspace.h"

namespace tailrace::delivery {

struct Send {
  std::uint64_t id = 0;  // of this attempt
  HttpRequest request;
  HttpReach reach;
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
  std::uint64_t renewing = 0;            // members who are to be added again as they are
  std::uint64_t dead_letters = 0;        // that wait for a retry or a change
  std::uint64_t dropped = 0;             // dead letters that rest
  std::uint64_t sent = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;  // by the platform
  std::optional<destinations::Measurement> measured;
  Time measured_at;
  Time last_success_at;
  // received_at of a live event -> acknowledgement: of each person's last change before delivery started, and
  // of all changes since.
  std::optional<Millis> latency_p50, latency_p95, latency_p99;
  std::uint64_t latency_count = 0;
  Millis objective;                  // of a latency
  std::uint64_t latency_within = 0;  // how many kept it
  Unprotected unprotected;
  std::string state;  // "idle", "sending", "pending", "waiting for 12s: throttled (80003)",
                      // "held: ...", "stopped: ...", "dry run: ..."
  workspace::Mode mode = workspace::Mode::live;
  std::optional<Time> credentials_end_at;
  std::uint64_t identifiers = 0;  // that the platform has accepted, of its members
  bool held = false;
  bool stopped = false;
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
  virtual PersonId person_limit() = 0;  // ids below this were given out
};

struct Options {
  Millis retry_base{500};
  Millis retry_cap = kMinute * 5;
  Millis measure_every = kMinute;
  Millis inspect_every = kHour * 6;  // an audience to which nothing is sent is looked at so often
  // Requests of one sync at a time. One place is kept free for protective changes. No two of them speak of
  // the same person.
  std::uint32_t in_flight_per_sync = 2;
  Millis stopped_retry_every = kMinute * 5;  // a stopped sync tries again with one request
  Millis attributes_every = kMinute * 15;  // what attributes say is compared so often where only time passes
};

// A sync with its destination, merged settings and resolved secrets.
struct Connection {
  workspace::SyncConfig sync;
  const destinations::AudienceDestination* destination = nullptr;
  destinations::Config config;
  HttpReach reach;                         // of its requests
  std::string time_zone = "UTC";           // for cron
  bool rests = false;                      // sends nothing but in a pass
  std::optional<Time> credentials_end_at;  // the first of them, as their owner wrote down
};

class Delivery {
 public:
  // connections[i] is the sync SyncId{i}. Its limits are the destination's, overridden by the settings
  // batch_records_max, batch_bytes_max and requests_per_minute. The ledger, profiles and random are lent for
  // as long as it lives. Errors: invalid_argument (a cadence or a limit that cannot be read); of the ledger.
  static Result<std::unique_ptr<Delivery>> create(std::vector<Connection> connections, Ledger& ledger,
                                                  ProfileSource& profiles, Random& random, Options options);
  virtual ~Delivery() = default;

  // The whole desired set of a sync, at start or after a new workspace; the rest of the ledger's members are
  // to be removed. Until it is called a sync sends nothing. Members who stay and people who were refused are
  // verified in the background: their identifiers may have changed while nothing ran. What a crash left
  // without an answer is sent at the next poll, whatever the cadence.
  virtual void set_desired(SyncId sync, std::vector<PersonId> people, Time now) = 0;
  // One change. `live` is false for imports and back-fills: they do not count for latency.
  enum class Origin : unsigned char { live, backfill };
  virtual void on_change(SyncId sync, const Delta& delta, Origin origin) = 0;
  // A person's identifiers or consent changed: what is uploaded for them is compared again.
  virtual void on_profile_change(PersonId person) = 0;
  // Attributes that syncs carry may be others now.
  virtual void on_attributes_change(PersonId person) = 0;

  // The requests to send now, in this order. Fails softly: where the ledger cannot be written nothing is
  // sent, and status says why.
  virtual std::vector<Send> poll(Time now) = 0;
  virtual Time next_poll_at() const = 0;  // kForeverAgo: at once
  // The answer to a Send, or why there is none (which counts as unknown: the same request goes again). Every
  // Send gets exactly one; an unknown id is ignored.
  virtual void on_reply(std::uint64_t send_id, Result<HttpResponse> reply, Time now) = 0;

  // Sends all pending at the next poll whatever the cadence says.
  virtual void flush(SyncId sync) = 0;
  // The same of so many people at most, and of a sync that rests, too. In a dry run it builds what it would
  // send. A stopped sync tries again. Ends by itself: when these have their answers, when nothing more can be
  // begun (guards, twins), or when the sync stops. Errors: conflict (one is under way; its people stand in
  // another audience).
  virtual Result<void> begin_pass(SyncId sync, std::uint64_t people_max, Time now) = 0;
  virtual std::optional<Pass> pass(SyncId sync) const = 0;  // the last one
  virtual bool idle() const = 0;  // nothing pending, nothing in flight, save stopped syncs

  virtual std::vector<SyncStatus> status() const = 0;
  virtual std::vector<Rejection> rejections(SyncId sync, std::size_t limit) const = 0;
  // What somebody has to look at: a sync that stopped, is held by its guards, or goes on again. Since the
  // last call.
  struct Alert {
    std::string sync;
    std::string text;
    bool mended = false;
  };
  virtual std::vector<Alert> take_alerts() = 0;
  // Lets through what the guards of this sync hold now; gives how many people. Errors: conflict (nothing is
  // held).
  virtual Result<std::uint64_t> release(SyncId sync, Time now) = 0;
  // Everybody who stands in this sync's audience is added again, behind all changes. Others::remove: and
  // everybody else is removed from it (sweep.h). Goes on after a restart. Errors: of the ledger.
  enum class Others : unsigned char { leave, remove };
  struct Reupload {
    std::uint64_t people = 0;         // to be added again
    std::uint64_t others = 0;         // known people who are looked at, at most
    std::optional<Time> clears_from;  // when the platform is asked to let go of whoever nobody here knows
  };
  virtual Result<Reupload> reupload(SyncId sync, Others others, Time now) = 0;

  // Destinations, by name, whose credentials their platform has refused since the last call: they may have
  // been changed where they come from.
  virtual std::vector<std::string> take_refused_credentials() = 0;
  // Credentials of a destination are others from now on; what stopped tries again at once.
  virtual void renew_credentials(const std::string& destination,
                                 const std::map<std::string, std::string>& secrets, Time now) = 0;

  // When this person last entered (acknowledged) and left this sync's audience; for `explain` and the demo.
  virtual std::optional<Membership> membership(SyncId sync, PersonId person) const = 0;
  // Dead letters of a sync (dead_letters.h). Errors: of the ledger.
  virtual Result<std::vector<DeadLetter>> dead_letters(SyncId sync) const = 0;
  virtual std::size_t retry(SyncId sync, std::span<const PersonId> people) = 0;
  virtual Result<std::size_t> drop(SyncId sync, std::span<const PersonId> people) = 0;
  // The same and what is still to be done, and why it is not. Errors: of the ledger.
  virtual Result<Receipt> receipt(SyncId sync, PersonId person) const = 0;
  // Acknowledged entries since the last call, for `entered sync`.
  struct Entry {
    SyncId sync;
    PersonId person;
    Time at;
  };
  virtual std::vector<Entry> take_entries() = 0;
};

}  // namespace tailrace::delivery
