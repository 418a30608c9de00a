// Stream syncs: events of the log, one after another, to destinations that are told what happened. Decides
// what to send next; io/ sends it. Single-threaded, no clock, no I/O but the ledger and the log it reads.
//
//   log -> EventSource -> [names, conditions, people, consent] -> mapping -> encode -> batches -> platform
//
//   streams.wake();                                         // there are more events
//   for (Send& s : streams.poll(now)) client.send(s.request, [&](auto reply) { streams.on_reply(s.id, ...);
//   });
//
// Each sync walks the log by itself. What it has read and what is not settled is its window, in the order of
// the log and of bounded size; what lies before the oldest of it is settled, and the ledger says so
// (stream_state.h). Every event ends in one of four ways: accepted; refused before it was sent, counted by
// reason; refused by the platform, a dead letter; or without an answer.
//
// At least once: an event whose answer is lost goes again. Platforms that know a second copy by its id
// (EventDestination::counts_once) make it exactly once. Of the others the ledger holds, synced, what is about
// to be sent, and `no_answer` says what becomes of that after silence: a dead letter, or once more.
//
// Where a destination keeps order, a person's event waits until all earlier ones of theirs are settled.
// Replays of the past walk beside what comes in; a destination that keeps order has its walk put back
// instead.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "delivery/delivery.h"
#include "delivery/ledger.h"
#include "delivery/stream_state.h"
#include "destinations/conversion.h"
#include "destinations/event_destination.h"
#include "model/person.h"
#include "workspace/workspace.h"

namespace tailrace::delivery {

// An event of the log that was admitted, whose person is still there.
struct LoggedEvent {
  Position position;
  Time received_at;
  PersonProfile person;   // as of now
  bool in_people = true;  // of the segment that was asked about
  destinations::EventMessage message;
};

// The log as the engine has judged it. In `serve` it asks the core thread.
class EventSource {
 public:
  virtual ~EventSource() = default;

  struct Question {
    std::function<bool(std::string_view event)> wants;  // by canonical name
    std::string people;                                 // a segment; empty: in_people is true
    std::string also;                                   // another, of which they must be, too
  };
  struct Page {
    std::vector<LoggedEvent> events;
    Position next;        // where reading goes on
    bool at_end = false;  // there is no more for now
  };
  // Looks at so many records from `from` on, and not at `until` and later. Errors: io, corrupt, unavailable.
  virtual Result<Page> read(Position from, Position until, std::size_t records, const Question& question) = 0;
  // Those of these positions that are events that are still there and wanted.
  virtual Result<std::vector<LoggedEvent>> at(std::span<const Position> positions,
                                              const Question& question) = 0;
  virtual Position begin() = 0;
  virtual Position end() = 0;  // where the next record goes
  // Where the first record lies that was received at that instant or later; end(), where there is none.
  virtual Result<Position> received_since(Time instant) = 0;
};

// A stream sync with its destination, merged settings and resolved secrets.
struct StreamConnection {
  workspace::StreamConfig stream;
  const destinations::EventDestination* destination = nullptr;
  destinations::Config config;
  HttpReach reach;
  std::optional<destinations::Mapping> mapping;           // never missing
  std::function<bool(std::string_view event)> wants;      // by canonical name
  std::function<bool(const LoggedEvent& event)> accepts;  // by the event's condition
  bool consent_unknown = false;                           // what an unknown consent counts as
  std::optional<Position> became_live;                    // where "now" is for a new sync; missing: end()
  bool rests = false;                                     // sends nothing but in a pass
  std::optional<Time> credentials_end_at;                 // the first of them, as their owner wrote down
};

struct StreamStatus {
  std::string sync;
  std::string destination;
  std::string type;
  std::uint64_t unsettled = 0;     // read, and neither accepted nor refused
  std::uint64_t behind_bytes = 0;  // of the log, from the oldest of those to the end
  std::optional<Time> oldest;      // when that was received
  std::optional<double> replayed;  // share of a replay that is done
  std::uint64_t sent = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;  // by the platform
  std::uint64_t refused = 0;   // never sent, for a reason
  std::uint64_t dead_letters = 0;
  Time last_success_at;
  // received_at -> acknowledgement, of what came in live since this process began.
  std::optional<Millis> latency_p50, latency_p95, latency_p99;
  std::uint64_t latency_count = 0;
  // "idle", "sending", "pending", "paused", "waiting for 12s: ...", "stopped: ...", "dry run: ..."
  std::string state;
  workspace::Mode mode = workspace::Mode::live;
  bool stopped = false;
};

class Streams {
 public:
  struct Options {
    Millis retry_base{500};
    Millis retry_cap = kMinute * 5;
    Millis stopped_retry_every = kMinute * 5;
    std::size_t window_events = 20'000;    // of a walk, at most, that are read and not settled
    std::size_t window_bytes = 32u << 20;  // the same, encoded
    std::size_t records_per_poll = 1'000;  // of the log, a page
    std::size_t pages_per_poll = 4;        // of all walks
    Millis walk_written_every{10'000};     // where nothing is sent, how far it came is kept so often
  };
  // The ledger, the source and random are lent for as long as it lives. Errors: invalid_argument (a limit
  // that cannot be read); of the ledger; of the source.
  static Result<std::unique_ptr<Streams>> create(std::vector<StreamConnection> connections, Ledger& ledger,
                                                 EventSource& source, Random& random, Options options,
                                                 Time now);
  virtual ~Streams() = default;

  virtual void wake() = 0;  // there may be more in the log
  // As Delivery has them. Ids of Sends have their highest bit set.
  virtual std::vector<Send> poll(Time now) = 0;
  virtual Time next_poll_at() const = 0;
  virtual void on_reply(std::uint64_t send_id, Result<HttpResponse> reply, Time now) = 0;
  virtual bool idle() const = 0;  // all of the log is settled, save where a sync is stopped or paused
  virtual void flush() = 0;       // what is read does not wait for company any more
  // Sends so many events at most, of what waits in the log, and of a sync that rests or is paused, too
  // (pass.h). Errors: not_found; conflict (one is under way).
  virtual Result<void> begin_pass(const std::string& sync, std::uint64_t events_max, Time now) = 0;
  virtual Result<std::optional<Pass>> pass(const std::string& sync) const = 0;  // the last one

  // As Delivery has them.
  virtual std::vector<std::string> take_refused_credentials() = 0;
  virtual void renew_credentials(const std::string& destination,
                                 const std::map<std::string, std::string>& secrets, Time now) = 0;

  virtual std::vector<StreamStatus> status() const = 0;
  virtual std::vector<Delivery::Alert> take_alerts() = 0;

  // Errors of all that follow: not_found (no such stream sync), and of the ledger.
  virtual Result<void> pause(const std::string& sync) = 0;
  virtual Result<void> resume(const std::string& sync) = 0;
  // The walk goes on from there; what is unsettled is forgotten. Errors besides: conflict (not paused).
  virtual Result<void> reset(const std::string& sync, Position cursor) = 0;
  // Events of [from, to) by their own times go out once more. Errors besides: conflict (one is under way); of
  // the source. Gives how many bytes of the log are to be walked.
  virtual Result<std::uint64_t> replay(const std::string& sync, Time from, Time to) = 0;
  virtual Result<std::vector<StreamDeadLetter>> dead_letters(const std::string& sync) const = 0;
  virtual Result<std::vector<StreamRefusals>> refusals(const std::string& sync) const = 0;
  // Those at these positions go again, in the order of the log; gives how many. A dead letter stays one until
  // it is accepted.
  virtual Result<std::size_t> retry(const std::string& sync, std::span<const Position> positions) = 0;
  virtual Result<std::size_t> drop(const std::string& sync, std::span<const Position> positions) = 0;
};

// The highest bit of a Send's id says whose it is.
constexpr std::uint64_t kStreamSend = 1ull << 63;

}  // namespace tailrace::delivery
