#include "delivery/streams.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/grouped.h"
#include "delivery/backoff.h"
#include "delivery/connector.h"
#include "delivery/latency_histogram.h"

namespace tailrace::delivery {
namespace {

using destinations::Outcome;
using destinations::Reply;

constexpr std::size_t kWindowLeast = 256;

// An event of the window: read, and not passed by the cursor yet.
struct Item {
  enum class State : unsigned char { ready, out, settled };
  Position position;
  PersonId person;
  std::string event;
  Time received_at;
  Time read_at;
  std::string encoded;  // empty once it is in a request
  std::string group;
  State state = State::ready;
  bool counts_for_latency = false;
  std::string refusal;  // why it was never sent; counted when the cursor passes
};

// A walk over the log, or the dead letters that go again.
struct Lane {
  enum class Kind : unsigned char { live, retry, replay };
  Kind kind = Kind::live;
  Position read;            // all before it is in the window, or settled
  Position until;           // of a replay: its end
  bool more = true;         // there may be something to read
  std::deque<Item> window;  // in order of the log
  std::deque<Item*> ready;  // those of it that can be sent, in order
  std::size_t bytes = 0;    // encoded, in `ready`

  // Where the oldest that is not settled lies.
  Position cursor() const { return window.empty() ? read : window.front().position; }
};

struct Request {
  Lane* lane = nullptr;
  std::vector<Item*> items;
  std::vector<std::string> events;  // events[i] belongs to items[i]
  std::uint32_t failures = 0;
  Time next_at = kForeverAgo;
  bool in_flight = false;
  bool counted = false;  // among those sent
  bool reauthorised = false;
  bool unanswered = false;
  std::string waiting_for;
};

struct StreamRun {
  StreamConnection connection;
  std::size_t connector = 0;
  destinations::Limits limits;
  std::uint32_t in_flight_max = 1;
  std::size_t window_events = 0;  // of a walk, at most
  EventSource::Question question;
  StreamState state;
  std::vector<Lane> lanes;  // live, retry, replay
  std::vector<std::unique_ptr<Request>> requests;
  std::unordered_map<PersonId, std::uint32_t> busy;  // people of requests, where order is kept
  std::map<std::string, StreamRefusals> refusals;
  std::uint64_t refused = 0;
  std::unordered_set<std::uint64_t> dead;      // positions of dead letters
  std::unordered_set<std::uint64_t> retrying;  // of those, which are under way

  Ledger::StreamChange unwritten;
  bool dirty = false;                  // the ledger lacks something
  Time written_at = kForeverAgo;       // when it had all last
  std::uint32_t ledger_failures = 0;   // in a row
  Time held_back_until = kForeverAgo;  // by the ledger or the source
  std::string waiting_for;             // the reason
  Time probe_at = kForeverAgo;         // of a stopped sync
  std::uint32_t in_flight = 0;
  bool flush = false;
  bool end_told = false;  // of its credentials
  std::optional<Pass> pass;
  LatencyHistogram latencies;

  const std::string& name() const { return connection.stream.name; }
  const destinations::EventDestination& destination() const { return *connection.destination; }
  bool is_keyed() const { return connection.destination->counts_once(); }
  bool is_in_pass() const { return pass && pass->is_on(); }
  bool is_dry() const { return connection.stream.mode == workspace::Mode::dry_run; }
  bool is_off() const {
    return connection.stream.is_retired() || ((state.paused || connection.rests) && !is_in_pass());
  }
  Lane& lane(Lane::Kind kind) { return lanes[static_cast<std::size_t>(kind)]; }
  const Lane& lane(Lane::Kind kind) const { return lanes[static_cast<std::size_t>(kind)]; }
};

Result<std::uint32_t> limit_setting(const StreamConnection& connection, const std::string& name,
                                    std::uint32_t otherwise) {
  const std::string& text = connection.config.setting(name);
  if (text.empty()) return otherwise;
  std::uint32_t value = 0;
  const auto [parsed, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && parsed == text.data() + text.size()) return value;
  return invalid(fmt::format("sync `{}`: setting {} is `{}`; write a whole number", connection.stream.name,
                             name, text.substr(0, 32)));
}

std::string text_of(const destinations::Refused& refused) {
  return refused.field.empty() ? refused.reason : fmt::format("{}: {}", refused.field, refused.reason);
}

// Of what a dry run would have sent: counted among what was never sent.
constexpr std::string_view kBuiltOnly = "dry run: built, and not sent";

class Body final : public Streams {
 public:
  Body(Ledger& ledger, EventSource& source, Random& random, Options options)
      : ledger_(ledger),
        source_(source),
        random_(random),
        options_(options),
        backoff_{options.retry_base, options.retry_cap} {}

  Result<void> open(std::vector<StreamConnection> connections, Time now) {
    now_ = now;
    std::map<std::string, std::size_t> by_name;
    for (StreamConnection& connection : connections) {
      TR_ASSERT(connection.destination != nullptr && connection.mapping);
      auto run = std::make_unique<StreamRun>();
      run->connection = std::move(connection);
      TRY(open_sync(*run));
      const auto [at, is_new] = by_name.try_emplace(run->connection.stream.destination, connectors_.size());
      if (is_new) {
        connectors_.emplace_back(*run->connection.destination, run->connection.config,
                                 run->limits.requests_per_minute);
      }
      run->connector = at->second;
      runs_.push_back(std::move(run));
    }
    return {};
  }

  void wake() override {
    for (auto& run : runs_) run->lane(Lane::Kind::live).more = true;
    wake_at(kForeverAgo);
  }

  std::vector<Send> poll(Time now) override {
    now_ = now;
    next_poll_at_ = kNever;
    std::vector<Send> out;
    // Many syncs take turns in reading, so that what else this thread does, removals from audiences say,
    // waits for a few pages and not for all of them.
    std::size_t pages = 0;
    const std::size_t begin = reads_first_;
    for (std::size_t k = 0; k < runs_.size(); ++k) {
      const std::size_t i = (begin + k) % runs_.size();
      StreamRun& run = *runs_[i];
      warn_of_end(run);
      if (run.dirty && has_come(run.held_back_until)) keep(run, true);
      if (!has_come(run.held_back_until)) continue;
      if (!run.is_off()) {
        for (Lane& lane : run.lanes) {
          if (!wants_to_read(run, lane)) continue;
          if (pages == options_.pages_per_poll) {
            if (reads_first_ == begin) reads_first_ = i;
            wake_at(kForeverAgo);
            break;
          }
          ++pages;
          read(run, lane);
        }
        send(i, out);
        close_pass(run);
      }
      note_walk(run);
    }
    return out;
  }

  Time next_poll_at() const override { return next_poll_at_; }

  void on_reply(std::uint64_t send_id, Result<HttpResponse> reply, Time now) override {
    const auto at = attempts_.find(send_id);
    if (at == attempts_.end()) return;
    const Attempt attempt = at->second;
    attempts_.erase(at);
    now_ = now;
    wake_at(kForeverAgo);
    Connector& connector = connectors_[attempt.connector];
    if (connector.notice(reply, now_, backoff_, random_)) {
      // What waited because nobody was there goes now.
      for (auto& run : runs_) {
        if (run->connector != attempt.connector) continue;
        for (auto& request : run->requests) {
          if (request->unanswered) request->next_at = std::min(request->next_at, now_);
        }
      }
    }
    if (attempt.request == nullptr) {
      connector.on_token(reply, now_, backoff_, options_.stopped_retry_every, random_);
      if (connector.is_token_refused()) note_refused(*runs_[attempt.sync]);
    } else {
      on_answer(*runs_[attempt.sync], *attempt.request, attempt.token_generation, reply);
    }
  }

  Result<void> begin_pass(const std::string& sync, std::uint64_t events_max, Time now) override {
    StreamRun& run = *TRY(find(sync));
    if (run.is_in_pass())
      return fail(Error::Code::conflict, fmt::format("a pass of \"{}\" is under way", sync));
    now_ = now;
    run.pass = Pass{.left = events_max, .done = false, .records = {}, .counts = {}};
    run.state.stopped_reason.clear();  // it is tried again; on disk it stays until somebody answers
    run.probe_at = kForeverAgo;
    for (auto& request : run.requests) request->next_at = std::min(request->next_at, now_);
    run.lane(Lane::Kind::live).more = true;
    wake_at(kForeverAgo);
    return {};
  }

  Result<std::optional<Pass>> pass(const std::string& sync) const override { return (*TRY(find(sync))).pass; }

  bool idle() const override {
    return std::ranges::all_of(runs_, [&](const auto& run) {
      if (run->in_flight > 0 || run->is_in_pass()) return false;
      if (run->is_off() || !run->state.stopped_reason.empty() ||
          connectors_[run->connector].is_token_refused())
        return true;
      if (!run->requests.empty()) return false;
      return std::ranges::all_of(run->lanes,
                                 [](const Lane& lane) { return !lane.more && lane.window.empty(); });
    });
  }

  void flush() override {
    for (auto& run : runs_) run->flush = true;
    wake_at(kForeverAgo);
  }

  std::vector<StreamStatus> status() const override {
    std::vector<StreamStatus> all;
    for (const auto& run : runs_) all.push_back(status_of(*run));
    return all;
  }

  std::vector<Delivery::Alert> take_alerts() override { return std::exchange(alerts_, {}); }
  std::vector<std::string> take_refused_credentials() override { return std::exchange(refused_, {}); }

  void renew_credentials(const std::string& destination, const std::map<std::string, std::string>& secrets,
                         Time now) override {
    now_ = now;
    for (auto& run : runs_) {
      if (run->connection.stream.destination != destination) continue;
      run->connection.config.secrets = secrets;
      connectors_[run->connector].renew();
      run->probe_at = kForeverAgo;
      for (auto& request : run->requests) request->next_at = std::min(request->next_at, now_);
    }
    wake_at(kForeverAgo);
  }

  Result<void> pause(const std::string& sync) override {
    StreamRun& run = *TRY(find(sync));
    run.state.paused = true;
    return write_now(run);
  }
  Result<void> resume(const std::string& sync) override {
    StreamRun& run = *TRY(find(sync));
    run.state.paused = false;
    run.state.stopped_reason.clear();
    run.probe_at = kForeverAgo;
    for (auto& request : run.requests) request->next_at = std::min(request->next_at, now_);
    return write_now(run);
  }

  Result<void> reset(const std::string& sync, Position cursor) override {
    StreamRun& run = *TRY(find(sync));
    if (!run.state.paused)
      return fail(Error::Code::conflict, fmt::format("the sync \"{0}\" runs; pause it first: `tailrace "
                                                     "pause {0}`",
                                                     sync));
    if (run.in_flight > 0)
      return fail(
          Error::Code::conflict,
          fmt::format("the sync \"{}\" waits for the answer to a request; ask again in a moment", sync));
    std::erase_if(run.requests, [](const auto& request) { return request->lane->kind == Lane::Kind::live; });
    run.busy.clear();
    for (const auto& request : run.requests) count_busy(run, *request, 1);
    start_lane(run.lane(Lane::Kind::live), cursor);
    return write_now(run);
  }

  Result<std::uint64_t> replay(const std::string& sync, Time from, Time to) override {
    StreamRun& run = *TRY(find(sync));
    if (run.state.replay)
      return fail(Error::Code::conflict, fmt::format("the sync \"{}\" is replaying already", sync));
    // An event is received after it happened, but for clocks that are ahead.
    constexpr Millis kAhead{24 * 60 * 60 * 1000};
    const Position begin =
        TRY(source_.received_since(from.ms < kTimeMin.ms + kAhead.count ? from : from - kAhead));
    const Position end = run.lane(Lane::Kind::live).cursor();
    if (begin >= end) return 0;
    if (run.destination().keeps_order()) {
      // Beside what comes in, a person's old events would overtake their new ones.
      if (run.in_flight > 0 || !run.requests.empty())
        return fail(
            Error::Code::conflict,
            fmt::format("\"{}\" keeps the order of events, so that the whole sync goes back; pause it, "
                        "and ask again when its requests are answered",
                        sync));
      start_lane(run.lane(Lane::Kind::live), begin);
    } else {
      run.state.replay =
          StreamReplay{.walk = {begin, begin, {}}, .begin = begin, .end = end, .from = from, .to = to};
      Lane& lane = run.lane(Lane::Kind::replay);
      start_lane(lane, begin);
      lane.until = end;
    }
    TRY(write_now(run));
    return end.value - begin.value;
  }

  Result<std::vector<StreamDeadLetter>> dead_letters(const std::string& sync) const override {
    const Ledger::StreamChange& unwritten = (*TRY(find(sync))).unwritten;
    std::map<Position, StreamDeadLetter> all;
    TRY(ledger_.for_each_stream_dead_letter(
        sync, [&](const StreamDeadLetter& each) { all.emplace(each.position, each); }));
    for (const Position mended : unwritten.mended) all.erase(mended);
    for (const StreamDeadLetter& each : unwritten.dead) all.insert_or_assign(each.position, each);
    std::vector<StreamDeadLetter> letters;
    for (auto& [position, letter] : all) letters.push_back(std::move(letter));
    return letters;
  }

  Result<std::vector<StreamRefusals>> refusals(const std::string& sync) const override {
    const StreamRun& run = *TRY(find(sync));
    std::vector<StreamRefusals> all;
    for (const auto& [reason, refusals] : run.refusals) all.push_back(refusals);
    return all;
  }

  Result<std::size_t> retry(const std::string& sync, std::span<const Position> positions) override {
    StreamRun& run = *TRY(find(sync));
    if (run.is_dry())
      return fail(Error::Code::conflict,
                  fmt::format("the sync \"{}\" is in a dry run: it sends nothing", sync));
    std::vector<Position> wanted;
    for (const Position position : positions) {
      const bool is_dead = run.dead.contains(position.value);
      if (is_dead && run.retrying.insert(position.value).second) wanted.push_back(position);
    }
    std::ranges::sort(wanted);
    auto events = TRY(source_.at(wanted, run.question));
    Lane& lane = run.lane(Lane::Kind::retry);
    for (LoggedEvent& event : events) {
      const std::size_t before = lane.window.size();
      take(run, lane, event);
      if (lane.window.size() == before) continue;  // no longer wanted
      std::erase(wanted, event.position);
      if (!lane.window.back().refusal.empty())
        note_dead(run, lane.window.back(), lane.window.back().refusal, false);
    }
    // Deleted people's, and what the sync does not want any more, are dead letters no longer.
    for (const Position gone : wanted) mend(run, gone);
    pop_settled(run, lane);
    TRY(write_now(run));
    return events.size();
  }

  Result<std::size_t> drop(const std::string& sync, std::span<const Position> positions) override {
    StreamRun& run = *TRY(find(sync));
    std::size_t dropped = 0;
    for (const Position position : positions) {
      if (!run.dead.contains(position.value) || run.retrying.contains(position.value)) continue;
      mend(run, position);
      ++dropped;
    }
    TRY(write_now(run));
    return dropped;
  }

 private:
  struct Attempt {
    std::size_t sync = 0;
    std::size_t connector = 0;
    Request* request = nullptr;  // null: of a token
    std::uint64_t token_generation = 0;
  };

  // --- opening

  Result<void> open_sync(StreamRun& run) {
    const StreamConnection& connection = run.connection;
    run.limits = connection.destination->limits();
    run.limits.batch_records_max =
        std::max(1u, TRY(limit_setting(connection, "batch_records_max", run.limits.batch_records_max)));
    run.limits.batch_bytes_max =
        TRY(limit_setting(connection, "batch_bytes_max", run.limits.batch_bytes_max));
    run.limits.requests_per_minute =
        TRY(limit_setting(connection, "requests_per_minute", run.limits.requests_per_minute));
    run.in_flight_max = std::max(1u, connection.stream.requests_in_flight);
    // Of a platform that cannot tell a copy, the whole window is written down with every request.
    const std::size_t few = std::size_t{4} * run.in_flight_max * run.limits.batch_records_max;
    run.window_events = options_.window_events;
    if (!run.is_keyed()) run.window_events = std::min(run.window_events, std::max(few, kWindowLeast));
    run.question = {.wants = connection.wants, .people = connection.stream.people, .also = {}};
    if (connection.stream.mode == workspace::Mode::test) run.question.also = connection.stream.test_segment;
    for (const Lane::Kind kind : {Lane::Kind::live, Lane::Kind::retry, Lane::Kind::replay})
      run.lanes.emplace_back().kind = kind;
    run.lane(Lane::Kind::retry).more = false;
    run.lane(Lane::Kind::replay).more = false;

    run.state = TRY(ledger_.stream_state(run.name()));
    for (StreamRefusals& each : TRY(ledger_.stream_refusals(run.name()))) {
      run.refused += each.count;
      run.refusals.emplace(each.reason, std::move(each));
    }
    TRY(ledger_.for_each_stream_dead_letter(
        run.name(), [&](const StreamDeadLetter& letter) { run.dead.insert(letter.position.value); }));
    if (!run.state.begun) {
      const bool from_now = connection.stream.start == workspace::StreamConfig::Start::now;
      const Position start = from_now ? connection.became_live.value_or(source_.end()) : source_.begin();
      run.state.begun = true;
      run.state.live = {start, start, {}};
      TRY(ledger_.write_stream(run.name(), run.state, {}));
    }
    run.written_at = now_;
    TRY(go_on(run, run.lane(Lane::Kind::live), run.state.live));
    if (run.state.replay) {
      run.lane(Lane::Kind::replay).until = run.state.replay->end;
      TRY(go_on(run, run.lane(Lane::Kind::replay), run.state.replay->walk));
    }
    return {};
  }

  // After a restart: what was under way is taken up again.
  Result<void> go_on(StreamRun& run, Lane& lane, const StreamWalk& walk) {
    start_lane(lane, walk.read);
    std::vector<Position> positions;
    std::unordered_set<std::uint64_t> sent;
    for (const auto& each : walk.unsettled) {
      positions.push_back(each.position);
      if (each.sent) sent.insert(each.position.value);
    }
    if (positions.empty()) return {};
    run.dirty = true;
    for (LoggedEvent& event : TRY(source_.at(positions, run.question))) {
      take(run, lane, event);
      if (lane.window.empty() || lane.window.back().position != event.position) continue;
      Item& item = lane.window.back();
      if (item.state != Item::State::ready || !sent.contains(event.position.value)) continue;
      if (run.connection.stream.ambiguity == workspace::Ambiguity::hold) {
        lane.ready.pop_back();
        lane.bytes -= item.encoded.size();
        settle_ambiguous(run, item, "the process ended before the answer came");
      }
    }
    pop_settled(run, lane);
    return {};
  }

  static void start_lane(Lane& lane, Position read) {
    lane.read = read;
    lane.more = true;
    lane.window.clear();
    lane.ready.clear();
    lane.bytes = 0;
  }

  // --- reading

  bool wants_to_read(const StreamRun& run, const Lane& lane) const {
    // Of a sync that stopped: what one request needs to try again.
    const bool has_room = run.state.stopped_reason.empty()
                              ? lane.window.size() < run.window_events && lane.bytes < options_.window_bytes
                              : lane.window.empty();
    if (run.is_in_pass() && lane.ready.size() >= run.pass->left) return false;
    return lane.more && lane.kind != Lane::Kind::retry && has_room;
  }

  void read(StreamRun& run, Lane& lane) {
    const bool is_replay = lane.kind == Lane::Kind::replay;
    auto page = source_.read(lane.read, is_replay ? lane.until : Position(UINT64_MAX),
                             std::min(options_.records_per_poll, run.window_events), run.question);
    if (!page) return hold_back(run, page.error().message);
    for (LoggedEvent& event : page->events) {
      const StreamReplay* const replay = is_replay ? &*run.state.replay : nullptr;
      if (replay != nullptr && (event.message.at < replay->from || event.message.at >= replay->to)) continue;
      take(run, lane, event);
    }
    lane.read = page->next;
    lane.more = !page->at_end && !(is_replay && lane.read >= lane.until);
    pop_settled(run, lane);
    if (lane.more) wake_at(kForeverAgo);
  }

  // Into the window, where it is wanted: to be sent, or to be counted as refused.
  void take(StreamRun& run, Lane& lane, LoggedEvent& event) {
    if (!event.in_people || !run.connection.accepts(event)) return;
    Item item{.position = event.position,
              .person = event.person.id,
              .event = event.message.event,
              .received_at = event.received_at,
              .read_at = now_,
              .encoded = {},
              .group = {},
              .counts_for_latency = lane.kind == Lane::Kind::live,
              .refusal = {}};
    const auto encoded = encode(run, event, item.group);
    if (!encoded || run.is_dry()) {
      item.refusal = encoded ? std::string(kBuiltOnly) : text_of(encoded.error());
      item.state = Item::State::settled;
      // A restart reads on behind it, even where the cursor has not come as far.
      if (lane.kind != Lane::Kind::retry && !run.is_keyed()) count_refusal(run, item);
      lane.window.push_back(std::move(item));
      return;
    }
    item.encoded = std::move(*encoded);
    lane.bytes += item.encoded.size();
    lane.window.push_back(std::move(item));
    lane.ready.push_back(&lane.window.back());
  }

  std::expected<std::string, destinations::Refused> encode(const StreamRun& run, const LoggedEvent& event,
                                                           std::string& group) const {
    const std::string& purpose = run.connection.stream.consent_purpose;
    if (!purpose.empty()) {
      const auto& consents = event.person.consent;
      const auto given = std::ranges::find(consents, purpose, &std::pair<std::string, bool>::first);
      const bool granted = given == consents.end() ? run.connection.consent_unknown : given->second;
      if (!granted) return std::unexpected(destinations::Refused{"consent", "no consent to " + purpose});
    }
    const destinations::Conversion conversion = run.connection.mapping->apply(event.message, event.person);
    group = run.destination().group(conversion);
    return destinations::to_event(run.destination(), conversion, {run.connection.config, now_});
  }

  // --- sending

  bool may_send(std::size_t sync, std::vector<Send>& out) {
    StreamRun& run = *runs_[sync];
    Connector& connector = connectors_[run.connector];
    if (run.in_flight >= run.in_flight_max) return false;
    if (!run.state.stopped_reason.empty() && (run.in_flight > 0 || !has_come(run.probe_at))) return false;
    if (!has_come(run.held_back_until) || !has_come(connector.may_speak_at())) return false;
    Connector::Access access = connector.access(now_);
    if (access.ready) return has_come(connector.may_speak_at());
    wake_at(access.at);
    if (access.fetch) push({.sync = sync, .connector = run.connector}, std::move(*access.fetch), out);
    return false;
  }

  void push(Attempt attempt, HttpRequest request, std::vector<Send>& out) {
    const std::uint64_t id = kStreamSend | ++last_send_id_;
    connectors_[attempt.connector].breaker.on_send();
    attempts_.emplace(id, attempt);
    out.push_back({id, std::move(request), runs_[attempt.sync]->connection.reach});
  }

  void send(std::size_t sync, std::vector<Send>& out) {
    StreamRun& run = *runs_[sync];
    // Those that were tried come first, in their order.
    for (std::size_t i = 0; i < run.requests.size(); ++i) {
      Request& request = *run.requests[i];
      if (request.in_flight || !has_come(request.next_at)) continue;
      if (!may_send(sync, out)) return;
      send(sync, request, out);
      if (run.dirty && run.held_back_until > now_) return;
    }
    for (Lane& lane : run.lanes) {
      while (run.requests.size() < run.in_flight_max && is_due(run, lane)) {
        if (!may_send(sync, out)) return;
        auto request = assemble(run, lane);
        if (request == nullptr) break;
        Request& made = *run.requests.emplace_back(std::move(request));
        send(sync, made, out);
        if (run.held_back_until > now_) return;
      }
    }
    if (!run.lane(Lane::Kind::live).more && run.lane(Lane::Kind::live).ready.empty()) run.flush = false;
  }

  // Enough for a request, or old enough to go alone.
  bool is_due(const StreamRun& run, const Lane& lane) {
    if (lane.ready.empty()) return false;
    const bool full = lane.ready.size() >= run.limits.batch_records_max ||
                      (run.limits.batch_bytes_max > 0 && lane.bytes >= run.limits.batch_bytes_max);
    if (full || lane.kind != Lane::Kind::live || run.flush || run.is_in_pass()) return true;
    return has_come(lane.ready.front()->read_at + run.connection.stream.batch_age_max);
  }

  // nullptr: all that are ready wait for others of their people.
  std::unique_ptr<Request> assemble(StreamRun& run, Lane& lane) {
    const bool keeps_order = run.destination().keeps_order();
    auto request = std::make_unique<Request>();
    request->lane = &lane;
    std::unordered_set<PersonId> waiting;
    std::deque<Item*> left;
    std::size_t bytes = 0;
    const std::string* group = nullptr;
    bool full = false;
    while (!lane.ready.empty() && !full) {
      Item* const item = lane.ready.front();
      const bool fits_bytes = run.limits.batch_bytes_max == 0 || request->items.empty() ||
                              bytes + item->encoded.size() + 1 <= run.limits.batch_bytes_max;
      full = !fits_bytes || request->items.size() >= run.limits.batch_records_max ||
             (run.is_in_pass() && request->items.size() >= run.pass->left);
      if (full) break;
      lane.ready.pop_front();
      const bool waits = (group != nullptr && item->group != *group) ||
                         (keeps_order && (run.busy.contains(item->person) || waiting.contains(item->person)));
      if (waits) {
        if (keeps_order) waiting.insert(item->person);
        left.push_back(item);
        continue;
      }
      group = &item->group;
      bytes += item->encoded.size() + 1;
      lane.bytes -= item->encoded.size();
      item->state = Item::State::out;
      request->items.push_back(item);
      request->events.push_back(std::move(item->encoded));
      item->encoded = {};
    }
    lane.ready.insert(lane.ready.begin(), left.begin(), left.end());
    if (request->items.empty()) return nullptr;
    count_busy(run, *request, 1);
    if (run.is_in_pass()) run.pass->begin(request->items.size());
    return request;
  }

  void close_pass(StreamRun& run) {
    if (!run.is_in_pass()) return;
    const Lane& live = run.lane(Lane::Kind::live);
    const bool is_through =
        run.requests.empty() && (run.pass->left == 0 || (!live.more && live.ready.empty()));
    if (!is_through && !state_text(run).starts_with("stopped")) return;
    run.pass->done = true;
    if (run.dirty) keep(run, true);
  }

  void count_busy(StreamRun& run, const Request& request, int change) {
    if (!run.destination().keeps_order()) return;
    for (const Item* item : request.items) {
      if (change > 0) {
        ++run.busy[item->person];
      } else if (const auto at = run.busy.find(item->person); at != run.busy.end() && --at->second == 0) {
        run.busy.erase(at);
      }
    }
  }

  void send(std::size_t sync, Request& first, std::vector<Send>& out) {
    StreamRun& run = *runs_[sync];
    Request* sending = &first;
    HttpRequest encoded;
    for (;;) {
      encoded = run.destination().encode(sending->events, context(run));
      const bool too_long =
          run.limits.batch_bytes_max > 0 && encoded.body.size() > run.limits.batch_bytes_max;
      if (!too_long || sending->items.size() == 1) break;
      sending = &bisect(run, *sending);
    }
    if (!std::exchange(sending->counted, true)) {
      run.state.sent += sending->items.size();
      run.dirty = true;
    }
    // What cannot be told from a copy is written down before it goes.
    if (!run.is_keyed() && !keep(run, true)) return;
    sending->in_flight = true;
    sending->waiting_for.clear();
    ++run.in_flight;
    Connector& connector = connectors_[run.connector];
    connector.rate.on_send(now_);
    push({.sync = sync,
          .connector = run.connector,
          .request = sending,
          .token_generation = connector.token_generation()},
         std::move(encoded), out);
  }

  destinations::Context context(const StreamRun& run) const {
    return {.config = run.connection.config, .access_token = connectors_[run.connector].token(), .now = now_};
  }

  // Cuts a request in two, both ready to go; gives the first.
  Request& bisect(StreamRun& run, Request& whole) {
    TR_ASSERT(whole.items.size() > 1);
    const auto at = std::ranges::find(run.requests, &whole, [](const auto& each) { return each.get(); });
    auto rest = std::make_unique<Request>();
    const auto half = static_cast<std::ptrdiff_t>(whole.items.size() / 2);
    rest->lane = whole.lane;
    rest->counted = whole.counted;
    rest->items.assign(whole.items.begin() + half, whole.items.end());
    rest->events.assign(std::make_move_iterator(whole.events.begin() + half),
                        std::make_move_iterator(whole.events.end()));
    whole.items.erase(whole.items.begin() + half, whole.items.end());
    whole.events.erase(whole.events.begin() + half, whole.events.end());
    whole.failures = 0;
    whole.next_at = kForeverAgo;
    run.requests.insert(at + 1, std::move(rest));
    return whole;
  }

  // --- answers

  void on_answer(StreamRun& run, Request& request, std::uint64_t token_generation,
                 const Result<HttpResponse>& response) {
    TR_ASSERT(request.in_flight && run.in_flight > 0);
    request.in_flight = false;
    --run.in_flight;
    request.unanswered = is_silence(response);
    if (!response) {
      // Where nobody was reached, nothing happened.
      if (response.error().code != Error::Code::not_found &&
          settle_silence(run, request, response.error().message))
        return;
      return retry_later(request, std::nullopt, response.error().message);
    }
    Connector& connector = connectors_[run.connector];
    const Reply reply = run.destination().decode(request.items.size(), *response);
    if (reply.usage_percent) connector.rate.on_usage(*reply.usage_percent);
    if (reply.verdict != Reply::Verdict::reauthorise) request.reauthorised = false;
    const bool speaks = reply.verdict == Reply::Verdict::done || reply.verdict == Reply::Verdict::split;
    if (speaks && !run.state.stopped_reason.empty()) {
      run.state.stopped_reason.clear();
      run.dirty = true;
      alert(run, "no longer stopped: it goes on", true);
    }
    switch (reply.verdict) {
      case Reply::Verdict::done:
        if (reply.outcomes.size() != request.items.size()) {
          return stop(run, request,
                      fmt::format("the answer speaks of {} records, {} were sent", reply.outcomes.size(),
                                  request.items.size()));
        }
        return settle(run, request, reply.outcomes);
      case Reply::Verdict::retry: {
        // 503 says that it was not done; the other errors of a server say nothing.
        const bool unknown = request.unanswered && response->status != 503;
        if (unknown && settle_silence(run, request, with_code(reply))) return;
        retry_later(request, reply.retry_after, with_code(reply));
        if (!request.unanswered || reply.retry_after)
          connector.rate.on_throttled(now_, reply.retry_after ? request.next_at : kForeverAgo);
        return;
      }
      case Reply::Verdict::split:
        return on_split(run, request, reply);
      case Reply::Verdict::reauthorise:
        connector.forget_token(token_generation);
        if (connector.needs_token() && !std::exchange(request.reauthorised, true)) return;
        request.reauthorised = false;
        note_refused(run);
        return stop(run, request, with_code(reply));
      case Reply::Verdict::stop:
        return stop(run, request, with_code(reply));
    }
  }

  void on_split(StreamRun& run, Request& request, const Reply& reply) {
    const auto is_culprit = [](const Outcome& outcome) { return outcome.kind == Outcome::Kind::rejected; };
    const bool named =
        reply.outcomes.size() == request.items.size() && std::ranges::any_of(reply.outcomes, is_culprit);
    if (!named && !reply.throttled.empty() && reply.throttled.size() < request.items.size()) {
      hold_back(run, request, reply);
      return;
    }
    if (!named && request.items.size() > 1) {
      bisect(run, request);
      return;
    }
    if (!named) {
      Outcome refused;
      refused.kind = Outcome::Kind::rejected;
      refused.reason = with_code(reply);
      return settle(run, request, {&refused, 1});
    }
    // The named events are refused; the others go again.
    count_busy(run, request, -1);
    std::vector<Item*> items;
    std::vector<std::string> events;
    for (std::size_t i = 0; i < request.items.size(); ++i) {
      if (is_culprit(reply.outcomes[i])) {
        settle_one(run, *request.items[i], reply.outcomes[i]);
      } else {
        items.push_back(request.items[i]);
        events.push_back(std::move(request.events[i]));
      }
    }
    request.items = std::move(items);
    request.events = std::move(events);
    request.next_at = kForeverAgo;
    count_busy(run, request, 1);
    if (request.items.empty()) forget(run, request);
    for (Lane& lane : run.lanes) pop_settled(run, lane);
    keep(run, true);
  }

  // Those that the platform throttles wait in a request of their own; the others do not wait for them.
  void hold_back(StreamRun& run, Request& request, const Reply& reply) {
    auto held = std::make_unique<Request>();
    held->lane = request.lane;
    held->counted = request.counted;
    std::vector<Item*> items;
    std::vector<std::string> events;
    for (std::size_t i = 0; i < request.items.size(); ++i) {
      const bool waits = std::ranges::binary_search(reply.throttled, i);
      (waits ? held->items : items).push_back(request.items[i]);
      (waits ? held->events : events).push_back(std::move(request.events[i]));
    }
    TR_ASSERT(!items.empty());
    request.items = std::move(items);
    request.events = std::move(events);
    request.next_at = kForeverAgo;
    if (held->items.empty()) return;
    held->failures = request.failures;
    retry_later(*held, reply.retry_after, with_code(reply));
    run.requests.push_back(std::move(held));
  }

  void retry_later(Request& request, std::optional<Millis> retry_after, std::string reason) {
    ++request.failures;
    request.next_at = now_ + backoff_.wait(request.failures, retry_after, random_);
    reason.resize(std::min(reason.size(), kReasonBytesMax));
    request.waiting_for = std::move(reason);
  }

  void stop(StreamRun& run, Request& request, std::string reason) {
    request.next_at = run.probe_at = now_ + options_.stopped_retry_every;
    if (run.state.stopped_reason == reason) return;
    run.state.stopped_reason = std::move(reason);
    alert(run, "stopped: " + run.state.stopped_reason);
    keep(run, true);
  }

  // Once, two weeks before.
  void warn_of_end(StreamRun& run) {
    const auto end = run.connection.credentials_end_at;
    if (!end || run.end_told || !has_come(*end - kCredentialsWarning)) return;
    run.end_told = true;
    alert(run, ending(*end));
  }

  void note_refused(const StreamRun& run) { refused_.push_back(run.connection.stream.destination); }

  void alert(const StreamRun& run, std::string text, bool mended = false) {
    alerts_.push_back({run.name(), std::move(text), mended});
  }

  // --- settling

  void settle(StreamRun& run, Request& request, std::span<const Outcome> outcomes) {
    count_busy(run, request, -1);
    for (std::size_t i = 0; i < request.items.size(); ++i) settle_one(run, *request.items[i], outcomes[i]);
    Lane& lane = *request.lane;
    forget(run, request);
    pop_settled(run, lane);
    keep(run, true);
  }

  void forget(StreamRun& run, const Request& request) {
    std::erase_if(run.requests, [&](const auto& each) { return each.get() == &request; });
  }

  void settle_one(StreamRun& run, Item& item, const Outcome& outcome) {
    item.state = Item::State::settled;
    const bool is_rejected = outcome.kind == Outcome::Kind::rejected;
    if (run.is_in_pass()) {
      run.pass->note(item.person, item.event, is_rejected ? Pass::Outcome::rejected : Pass::Outcome::accepted,
                     is_rejected ? outcome.reason.substr(0, kReasonBytesMax) : "");
    }
    if (is_rejected) {
      ++run.state.rejected;
      note_settled(run, item, DeliveryFact::Outcome::rejected, outcome.reason);
      note_dead(run, item, outcome.reason.empty() ? "the platform gave no reason" : outcome.reason, false);
      return;
    }
    note_settled(run, item, DeliveryFact::Outcome::accepted, {});
    ++run.state.accepted;
    run.state.last_success_at = now_;
    connectors_[run.connector].rate.on_accepted(now_);
    if (item.counts_for_latency) run.latencies.record(now_ - item.received_at);
    if (run.dead.contains(item.position.value)) mend(run, item.position);
    run.dirty = true;
  }

  // True: the platform cannot tell a copy, and its people want to decide themselves.
  bool settle_silence(StreamRun& run, Request& request, const std::string& reason) {
    if (run.is_keyed() || run.connection.stream.ambiguity == workspace::Ambiguity::resend) return false;
    count_busy(run, request, -1);
    for (Item* item : request.items) settle_ambiguous(run, *item, reason);
    Lane& lane = *request.lane;
    forget(run, request);
    pop_settled(run, lane);
    keep(run, true);
    return true;
  }

  void settle_ambiguous(StreamRun& run, Item& item, const std::string& reason) {
    item.state = Item::State::settled;
    note_settled(run, item, DeliveryFact::Outcome::unknown, reason);
    if (run.is_in_pass()) run.pass->note(item.person, item.event, Pass::Outcome::unknown, reason);
    note_dead(run, item, fmt::format("it may have arrived: {}", reason), true);
  }

  // For warehouses.
  void note_settled(StreamRun& run, const Item& item, DeliveryFact::Outcome outcome,
                    const std::string& reason) {
    run.unwritten.settled.push_back({.id = 0,
                                     .sync = run.name(),
                                     .person = item.person,
                                     .operation = DeliveryFact::Operation::event,
                                     .outcome = outcome,
                                     .position = item.position,
                                     .event = item.event,
                                     .changed_at = {},
                                     .received_at = item.received_at,
                                     .sent_at = {},
                                     .acknowledged_at = now_,
                                     .reason = reason.substr(0, kReasonBytesMax)});
  }

  void note_dead(StreamRun& run, const Item& item, std::string reason, bool ambiguous) {
    reason.resize(std::min(reason.size(), kReasonBytesMax));
    run.dead.insert(item.position.value);
    run.retrying.erase(item.position.value);
    std::erase(run.unwritten.mended, item.position);
    std::erase_if(run.unwritten.dead, [&](const auto& each) { return each.position == item.position; });
    run.unwritten.dead.push_back({.position = item.position,
                                  .person = item.person,
                                  .event = item.event,
                                  .at = now_,
                                  .reason = std::move(reason),
                                  .ambiguous = ambiguous});
    run.dirty = true;
  }

  void mend(StreamRun& run, Position position) {
    run.dead.erase(position.value);
    run.retrying.erase(position.value);
    std::erase_if(run.unwritten.dead, [&](const auto& each) { return each.position == position; });
    run.unwritten.mended.push_back(position);
    run.dirty = true;
  }

  void count_refusal(StreamRun& run, const Item& item) {
    StreamRefusals& refusals = run.refusals[item.refusal];
    refusals.reason = item.refusal;
    ++refusals.count;
    refusals.last = item.position;
    refusals.person = item.person;
    refusals.last_at = now_;
    ++run.refused;
    if (run.is_in_pass()) {
      const bool is_built = item.refusal == kBuiltOnly;
      run.pass->note(item.person, item.event, is_built ? Pass::Outcome::built : Pass::Outcome::refused,
                     is_built ? "" : item.refusal);
      if (is_built) run.pass->begin(1);
    }
    const auto known = std::ranges::find(run.unwritten.refusals, item.refusal, &StreamRefusals::reason);
    if (known == run.unwritten.refusals.end()) {
      run.unwritten.refusals.push_back(refusals);
    } else {
      *known = refusals;
    }
    run.dirty = true;
  }

  // The cursor goes on over what is settled. Where a restart reads on from the cursor, what was refused is
  // counted now, so that it is counted once.
  void pop_settled(StreamRun& run, Lane& lane) {
    while (!lane.window.empty() && lane.window.front().state == Item::State::settled) {
      const Item& item = lane.window.front();
      if (!item.refusal.empty() && lane.kind != Lane::Kind::retry && run.is_keyed()) count_refusal(run, item);
      lane.window.pop_front();
    }
    const bool is_done =
        lane.kind == Lane::Kind::replay && run.state.replay && lane.window.empty() && !lane.more;
    if (is_done) {
      run.state.replay.reset();
      run.dirty = true;
    }
  }

  // --- the ledger

  static StreamWalk walk_of(const StreamRun& run, const Lane& lane) {
    if (run.is_keyed()) return {lane.cursor(), lane.cursor(), {}};
    StreamWalk walk{lane.cursor(), lane.read, {}};
    for (const Item& item : lane.window) {
      if (item.state != Item::State::settled)
        walk.unsettled.push_back({item.position, item.state == Item::State::out});
    }
    return walk;
  }

  // How far the walks came, where nothing else made it known.
  void note_walk(StreamRun& run) {
    const bool moved =
        run.lane(Lane::Kind::live).cursor() != run.state.live.cursor ||
        (run.state.replay && run.lane(Lane::Kind::replay).cursor() != run.state.replay->walk.cursor);
    if (!moved && !run.dirty) return;
    const Time due = run.written_at + options_.walk_written_every;
    if (now_ >= due) {
      keep(run, true);
    } else {
      wake_at(due);
    }
  }

  // False: the ledger did not take it; nothing is sent until it does. What is to be written stays.
  bool keep(StreamRun& run, bool must) {
    if (!must && !run.dirty) return true;
    run.state.live = walk_of(run, run.lane(Lane::Kind::live));
    if (run.state.replay) run.state.replay->walk = walk_of(run, run.lane(Lane::Kind::replay));
    if (auto written = ledger_.write_stream(run.name(), run.state, run.unwritten); !written) {
      run.dirty = true;
      hold_back(run, written.error().message);
      return false;
    }
    run.unwritten = {};
    run.dirty = false;
    run.written_at = now_;
    run.ledger_failures = 0;
    run.waiting_for.clear();
    return true;
  }

  void hold_back(StreamRun& run, std::string reason) {
    run.held_back_until = now_ + backoff_.wait(++run.ledger_failures, std::nullopt, random_);
    run.waiting_for = std::move(reason);
    wake_at(run.held_back_until);
  }

  Result<void> write_now(StreamRun& run) {
    wake_at(kForeverAgo);
    if (keep(run, true)) return {};
    return fail(Error::Code::io, run.waiting_for);
  }

  // --- status

  StreamStatus status_of(const StreamRun& run) const {
    StreamStatus status;
    status.sync = run.name();
    status.destination = run.connection.stream.destination;
    status.type = std::string(run.destination().type());
    const Lane& live = run.lane(Lane::Kind::live);
    for (const Lane& lane : run.lanes) {
      status.unsettled += static_cast<std::uint64_t>(std::ranges::count_if(
          lane.window, [](const Item& item) { return item.state != Item::State::settled; }));
    }
    status.behind_bytes = source_.end().value - std::min(source_.end(), live.cursor()).value;
    if (!live.window.empty()) status.oldest = live.window.front().received_at;
    if (run.state.replay) {
      const double whole =
          static_cast<double>(run.state.replay->end.value) - static_cast<double>(replay_begin(run));
      const double done = static_cast<double>(run.lane(Lane::Kind::replay).cursor().value) -
                          static_cast<double>(replay_begin(run));
      status.replayed = whole <= 0 ? 1 : done / whole;
    }
    status.sent = run.state.sent;
    status.accepted = run.state.accepted;
    status.rejected = run.state.rejected;
    status.refused = run.refused;
    status.dead_letters = run.dead.size();
    status.last_success_at = run.state.last_success_at;
    status.latency_p50 = run.latencies.percentile(0.5);
    status.latency_p95 = run.latencies.percentile(0.95);
    status.latency_p99 = run.latencies.percentile(0.99);
    status.latency_count = run.latencies.count();
    status.state = state_text(run);
    status.mode = run.connection.stream.mode;
    status.stopped = status.state.starts_with("stopped");
    return status;
  }
  static std::uint64_t replay_begin(const StreamRun& run) { return run.state.replay->begin.value; }

  std::string waiting(Time until, std::string_view reason) const {
    const std::int64_t seconds = ((until - now_).count + 999) / 1000;
    return fmt::format("waiting for {}s: {}", std::max<std::int64_t>(seconds, 0), reason);
  }

  std::string state_text(const StreamRun& run) const {
    const Connector& connector = connectors_[run.connector];
    if (run.connection.stream.is_retired()) return "retired";
    if (run.state.paused && !run.is_in_pass()) return "paused";
    if (run.is_dry()) {
      const auto built = run.refusals.find(std::string(kBuiltOnly));
      return fmt::format("dry run: {} events would have been sent; nothing is sent",
                         grouped(built == run.refusals.end() ? 0 : built->second.count));
    }
    if (!run.state.stopped_reason.empty()) return "stopped: " + run.state.stopped_reason;
    const bool has_work = !run.requests.empty() || std::ranges::any_of(run.lanes, [](const Lane& lane) {
      return !lane.ready.empty();
    });
    if (has_work && connector.is_token_refused()) return "stopped: " + connector.token_problem();
    if (has_work && !connector.token_problem().empty())
      return waiting(connector.token_at(), connector.token_problem());
    if (run.held_back_until > now_) return waiting(run.held_back_until, run.waiting_for);
    if (run.in_flight > 0) return "sending";
    const Request* next = nullptr;
    for (const auto& request : run.requests) {
      if (next == nullptr || request->next_at < next->next_at) next = request.get();
    }
    if (has_work && !connector.breaker.is_closed()) {
      return waiting(
          std::min(connector.breaker.next_at(), now_ + kMinute),
          fmt::format("the destination does not answer: {} failures in a row", connector.breaker.failures()));
    }
    if (next != nullptr && !next->waiting_for.empty())
      return waiting(std::max(next->next_at, connector.rate.paused_until()), next->waiting_for);
    if (run.state.replay) return "replaying";
    return has_work || run.lane(Lane::Kind::live).more ? "pending" : "idle";
  }

  Result<StreamRun*> find(const std::string& sync) const {
    const auto at = std::ranges::find_if(runs_, [&](const auto& run) { return run->name() == sync; });
    if (at == runs_.end())
      return fail(Error::Code::not_found, fmt::format("there is no sync \"{}\" that sends events", sync));
    return at->get();
  }

  void wake_at(Time at) { next_poll_at_ = std::min(next_poll_at_, at); }
  bool has_come(Time at) {
    if (at <= now_) return true;
    wake_at(at);
    return false;
  }

  Ledger& ledger_;
  EventSource& source_;
  Random& random_;
  Options options_;
  Backoff backoff_;
  std::vector<std::unique_ptr<StreamRun>> runs_;
  std::vector<Connector> connectors_;
  std::unordered_map<std::uint64_t, Attempt> attempts_;
  std::vector<Delivery::Alert> alerts_;
  std::vector<std::string> refused_;  // destinations
  std::uint64_t last_send_id_ = 0;
  std::size_t reads_first_ = 0;  // whose turn it is to read
  Time now_ = kForeverAgo;
  Time next_poll_at_ = kForeverAgo;
};

}  // namespace

Result<std::unique_ptr<Streams>> Streams::create(std::vector<StreamConnection> connections, Ledger& ledger,
                                                 EventSource& source, Random& random, Options options,
                                                 Time now) {
  auto body = std::make_unique<Body>(ledger, source, random, options);
  TRY(body->open(std::move(connections), now));
  return body;
}

}  // namespace tailrace::delivery
