#include "delivery/delivery.h"

#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/grouped.h"
#include "delivery/backoff.h"
#include "delivery/batch_builder.h"
#include "delivery/connector.h"
#include "delivery/objective.h"
#include "delivery/sweep.h"
#include "delivery/sync_run.h"

namespace tailrace::delivery {
namespace {

using destinations::Outcome;
using destinations::Reply;
using workspace::Cadence;
using workspace::Effect;

constexpr std::size_t kVerifiedPerPoll = 5'000;
constexpr std::size_t kPeoplePerBuild = 20'000;  // looked at for one batch, whatever the platform takes
constexpr Millis kTooSmallAgain{6 * 60 * 60 * 1000};
constexpr std::string_view kTooSmall = "the audience would become too small: ";
constexpr Millis kReuploadAgain = kDay * 7;  // for drift; until then the platform may still be counting
// Renewals go when nothing else does. Those that have waited so long behind changes get one request for so
// many of changes: they are not to wait until the stay has ended.
constexpr Millis kRenewalPatience = kHour;
constexpr std::uint32_t kChangesPerRenewal = 9;
constexpr Millis kMeasureCap = kHour;  // between two attempts, where the platform fails

struct Attempt {
  enum class Kind : unsigned char { batch, token, find, create, measure, update, clear };
  Kind kind = Kind::batch;
  std::size_t sync = 0;
  std::size_t connector = 0;
  ActiveBatch* batch = nullptr;
  std::uint64_t token_generation = 0;
  Time clear_before{};  // of a clear
};

Result<std::uint32_t> limit_setting(const Connection& connection, const std::string& name,
                                    std::uint32_t otherwise) {
  const auto at = connection.config.settings.find(name);
  if (at == connection.config.settings.end() || at->second.empty()) return otherwise;
  std::uint32_t value = 0;
  const char* const end = at->second.data() + at->second.size();
  const auto [parsed, error] = std::from_chars(at->second.data(), end, value);
  if (error != std::errc{} || parsed != end) {
    return invalid(fmt::format("sync `{}`: setting {} is `{}`; write a whole number", connection.sync.name,
                               name, at->second.substr(0, 32)));
  }
  return value;
}

Result<destinations::Limits> limits_of(const Connection& connection) {
  destinations::Limits limits = connection.destination->limits();
  limits.batch_records_max = TRY(limit_setting(connection, "batch_records_max", limits.batch_records_max));
  limits.batch_bytes_max = TRY(limit_setting(connection, "batch_bytes_max", limits.batch_bytes_max));
  limits.requests_per_minute =
      TRY(limit_setting(connection, "requests_per_minute", limits.requests_per_minute));
  limits.batch_records_max = std::max(limits.batch_records_max, 1u);
  return limits;
}

// What decides how many people a platform can match, in words.
std::string what_matches(const Connection& connection) {
  std::string text = "segment " + connection.sync.segment + "; identifiers";
  for (const IdentifierKind kind : connection.sync.identifiers) {
    text += (text.ends_with("identifiers") ? " " : ", ") + std::string(to_string(kind));
    const auto& every = connection.sync.every_value;
    if (std::ranges::find(every, kind) != every.end()) text += " (all)";
  }
  if (!connection.config.default_region.empty()) text += "; region " + connection.config.default_region;
  if (!connection.sync.consent_purpose.empty()) text += "; consent " + connection.sync.consent_purpose;
  for (const std::string& excluded : connection.sync.exclusions) text += "; without " + excluded;
  if (connection.sync.mode == workspace::Mode::test) text += "; test " + connection.sync.test_segment;
  return text;
}

// Lower goes first. Additions that protect go before removals that protect, and additions that do not before
// removals that do not: someone who changes sides is for a moment on both, never on neither.
int rank_of(const SyncRun& run, Direction direction) {
  const bool is_protective = direction == run.protective;
  return (is_protective ? 0 : 2) + (direction == Direction::add ? 0 : 1);
}

class Body final : public Delivery {
 public:
  Body(Ledger& ledger, ProfileSource& profiles, Random& random, Options options)
      : ledger_(ledger),
        profiles_(profiles),
        builder_(ledger, profiles),
        random_(random),
        options_(options),
        backoff_{options.retry_base, options.retry_cap} {}

  Result<void> open(std::vector<Connection> connections) {
    std::map<std::string, std::size_t> by_name;
    for (Connection& connection : connections) {
      TR_ASSERT(connection.destination != nullptr);
      auto run = std::make_unique<SyncRun>();
      run->connection = std::move(connection);
      TRY(open_sync(*run));
      const auto [at, is_new] = by_name.try_emplace(run->connection.sync.destination, connectors_.size());
      if (is_new) {
        connectors_.emplace_back(*run->connection.destination, run->connection.config,
                                 run->limits.requests_per_minute);
      }
      run->connector = at->second;
      runs_.push_back(std::move(run));
    }
    join_twins();
    return {};
  }

  void set_desired(SyncId sync, std::vector<PersonId> people, Time now) override {
    SyncRun& run = run_of(sync);
    run.desired_at = now;
    run.desired_known = true;
    run.causes.clear();
    run.plan.set_desired(people);
    run.plan.examine_removals();
    run.flush = run.flush || run.plan.has_uncertain();
    wake_at(kForeverAgo);
  }

  void on_change(SyncId sync, const Delta& delta, Origin origin) override {
    SyncRun& run = run_of(sync);
    if (delta.change == Change::entered) {
      run.plan.enter(delta.person);
    } else {
      run.plan.leave(delta.person);
      if (!run.held.empty()) run.plan.examine(delta.person);
    }
    if (run.plan.is_pending(delta.person) || run.plan.is_busy(delta.person)) {
      const bool live = origin == Origin::live;
      run.causes[delta.person] = {delta.at, delta.cause_received_at, live};
      if (live) run.plan.mark_live(delta.person);
    } else {
      run.causes.erase(delta.person);
    }
    wake_at(kForeverAgo);
  }

  void on_attributes_change(PersonId person) override {
    for (auto& run : runs_) {
      if (run->carries_attributes()) run->plan.attributes_changed(person);
    }
    wake_at(kForeverAgo);
  }

  void on_profile_change(PersonId person) override {
    for (auto& run : runs_) {
      run->plan.profile_changed(person);
      if (!run->held.empty()) run->plan.examine(person);
    }
    wake_at(kForeverAgo);
  }

  std::vector<Send> poll(Time now) override {
    now_ = now;
    next_poll_at_ = kNever;
    std::vector<Send> out;
    for (auto& run : runs_) warn_of_end(*run);
    for (auto& run : runs_) hold_back(*run);
    for (auto& run : runs_) prepare(*run);
    open_protective_windows();
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      if (owes_renewal(*runs_[i])) send_renewals(i, out);
    }
    for (int rank = 0; rank < 4; ++rank) {
      for (std::size_t i = 0; i < runs_.size(); ++i) {
        for (const Direction direction : {Direction::add, Direction::remove}) {
          if (rank_of(*runs_[i], direction) == rank) send_direction(i, direction, out);
        }
      }
    }
    for (std::size_t i = 0; i < runs_.size(); ++i) send_renewals(i, out);
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      close_window(*runs_[i]);
      close_pass(*runs_[i]);
      update(i, out);
      clear(i, out);
      measure(i, out);
      note_match(*runs_[i]);
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
    notice(attempt.connector, reply);
    switch (attempt.kind) {
      case Attempt::Kind::token:
        connectors_[attempt.connector].on_token(reply, now_, backoff_, options_.stopped_retry_every, random_);
        if (connectors_[attempt.connector].is_token_refused()) note_refused(*runs_[attempt.sync]);
        break;
      case Attempt::Kind::find:
        on_found(attempt, reply);
        break;
      case Attempt::Kind::create:
        on_created(attempt, reply);
        break;
      case Attempt::Kind::measure:
        on_measured(attempt, reply);
        break;
      case Attempt::Kind::update:
        on_updated(attempt, reply);
        break;
      case Attempt::Kind::clear:
        on_cleared(attempt, reply);
        break;
      case Attempt::Kind::batch:
        on_batch(attempt, reply);
        break;
    }
    wake_at(kForeverAgo);
  }

  void flush(SyncId sync) override {
    run_of(sync).flush = true;
    wake_at(kForeverAgo);
  }

  Result<void> begin_pass(SyncId sync, std::uint64_t people_max, Time now) override {
    SyncRun& run = run_of(sync);
    if (run.is_in_pass())
      return fail(Error::Code::conflict, fmt::format("a pass of \"{}\" is under way", run.name()));
    if (!run.blocked.empty()) return fail(Error::Code::conflict, "stopped: " + run.blocked);
    now_ = now;
    run.pass = Pass{.left = people_max, .done = false, .records = {}, .counts = {}};
    run.rehearsal.clear();
    if (run.is_dry()) {
      for (const Direction direction : {Direction::add, Direction::remove}) {
        const std::uint64_t room = people_max - run.rehearsal.size();
        for (const PersonId person : run.plan.next(direction, room))
          run.rehearsal.emplace_back(direction, person);
      }
    }
    run.state.stopped_reason.clear();  // it is tried again; on disk it stays until somebody answers
    run.probe_at = kForeverAgo;
    wake_at(kForeverAgo);
    return {};
  }

  std::optional<Pass> pass(SyncId sync) const override { return run_of(sync).pass; }

  bool idle() const override {
    return std::all_of(runs_.begin(), runs_.end(), [&](const auto& run) {
      if (run->in_flight > 0 || run->creating || run->measuring || run->updating || run->clearing)
        return false;
      if (run->is_in_pass()) return false;
      if (!run->runs() && run->blocked.empty() && run->desired_known) return true;
      if (run->stopped() || connectors_[run->connector].is_token_refused()) return true;
      if (run->plan.has_unexamined() && holds_on(*run).removals) return false;
      if (!run->state.frozen && run->plan.to_renew() > 0) return false;
      if (!run->state.frozen &&
          (run->state.sweep.next < run->state.sweep.end || (wants_clear(*run) && clear_at(*run) <= now_)))
        return false;
      return run->active.empty() && run->plan.to_do(holds_on(*run)) == 0 && !run->plan.has_unverified() &&
             !(run->measure_wanted && run->measure_at <= now_);
    });
  }

  std::vector<SyncStatus> status() const override {
    std::vector<SyncStatus> all;
    all.reserve(runs_.size());
    for (const auto& run : runs_) all.push_back(status_of(*run));
    return all;
  }

  std::vector<Rejection> rejections(SyncId sync, std::size_t limit) const override {
    const SyncRun& run = run_of(sync);
    const auto people = run.plan.rejected(limit);
    auto memberships = ledger_.find_many(run.name(), people);
    std::vector<Rejection> out;
    if (!memberships) return out;
    for (std::size_t i = 0; i < people.size(); ++i) {
      auto& membership = (*memberships)[i];
      if (membership) out.push_back({people[i], std::move(membership->reason), membership->acknowledged_at});
    }
    return out;
  }

  std::optional<Membership> membership(SyncId sync, PersonId person) const override {
    auto found = ledger_.find(run_of(sync).name(), person);
    return found ? std::move(*found) : std::nullopt;
  }

  Result<std::vector<DeadLetter>> dead_letters(SyncId sync) const override {
    return delivery::dead_letters(run_of(sync), ledger_);
  }

  std::size_t retry(SyncId sync, std::span<const PersonId> people) override {
    wake_at(kForeverAgo);
    return retry_dead_letters(run_of(sync), people);
  }

  Result<std::size_t> drop(SyncId sync, std::span<const PersonId> people) override {
    return drop_dead_letters(run_of(sync), ledger_, profiles_, people);
  }

  Result<Receipt> receipt(SyncId sync, PersonId person) const override {
    const SyncRun& run = run_of(sync);
    Receipt receipt = TRY(receipt_of(run, ledger_, person));
    if (receipt.pending) receipt.waiting = why_pending(run, receipt, person);
    return receipt;
  }

  std::vector<Entry> take_entries() override { return std::exchange(entries_, {}); }
  std::vector<Alert> take_alerts() override { return std::exchange(alerts_, {}); }
  std::vector<std::string> take_refused_credentials() override { return std::exchange(refused_, {}); }

  void renew_credentials(const std::string& destination, const std::map<std::string, std::string>& secrets,
                         Time now) override {
    now_ = now;
    for (auto& run : runs_) {
      if (run->connection.sync.destination != destination) continue;
      run->connection.config.secrets = secrets;
      connector_of(*run).renew();
      run->probe_at = kForeverAgo;
      run->create_at = std::min(run->create_at, now_);
      for (auto& batch : run->active) batch->next_at = std::min(batch->next_at, now_);
    }
    wake_at(kForeverAgo);
  }

  Result<std::uint64_t> release(SyncId sync, Time now) override {
    SyncRun& run = run_of(sync);
    now_ = now;
    judge_guards(run);
    std::uint64_t people = 0;
    for (const Direction direction : {Direction::add, Direction::remove}) {
      GuardSide& side = run.state.guards.side(direction);
      if (side.hold == GuardSide::Hold::none) continue;
      side.release_asked = true;
      people += run.plan.waiting(direction);
    }
    const bool was_frozen = std::exchange(run.state.frozen, false);
    if (was_frozen) {
      run.state.baseline = {};
      run.adopt_next = true;
      TRY(ledger_.write_state(run.name(), run.state));
    }
    if (people == 0 && !was_frozen)
      return fail(Error::Code::conflict, fmt::format("the sync \"{}\" holds nothing back", run.name()));
    hold_back(run);
    run.window = std::max(run.window, people);
    wake_at(kForeverAgo);
    return people;
  }

  Result<Reupload> reupload(SyncId sync, Others others, Time now) override {
    SyncRun& run = run_of(sync);
    now_ = now;
    Sweep sweep = run.state.sweep;
    Reupload result;
    if (others == Others::remove && run.connection.sync.mode != workspace::Mode::live) {
      return fail(Error::Code::conflict,
                  fmt::format("the sync \"{}\" is in mode {}, in which others are not named to its platform",
                              run.name(), to_string(run.connection.sync.mode)));
    }
    if (others == Others::remove) {
      sweep.next = PersonId{0};
      sweep.end = profiles_.person_limit();
      const Time before = now_ - kSweepMargin;
      const std::string& audience = run.state.audience_id;
      const bool clears =
          !audience.empty() &&
          run.connection.destination->encode_clear(audience, before, context(run)).has_value();
      sweep.clear_before = clears ? before : Time{};
      if (clears) result.clears_from = clear_from(run, now_);
      result.others = sweep.end.value;
    }
    TRY(ask_for_reupload(run, sweep));
    result.people = run.plan.to_renew();
    return result;
  }

 private:
  // --- opening

  Result<void> open_sync(SyncRun& run) {
    run.limits = TRY(limits_of(run.connection));
    run.zone = TRY(Zone::named(run.connection.time_zone));
    if (run.connection.sync.cadence.kind == Cadence::Kind::cron) {
      auto cron = Cron::parse(run.connection.sync.cadence.cron);
      if (!cron) return invalid(fmt::format("sync `{}`: {}", run.name(), cron.error().message));
      run.cron = std::move(*cron);
    }
    run.protective = run.connection.sync.effect == Effect::suppress ? Direction::add : Direction::remove;
    run.guard = Guard(run.connection.sync.guards_in_force());
    run.objective = objective_of(run.connection.sync, run.cron, run.zone);
    run.state = TRY(ledger_.state(run.name()));
    run.declared_life = run.connection.destination->membership_life(run.connection.config);
    if (run.connection.sync.mode != workspace::Mode::live) run.state.sweep = {};
    if (run.state.starts_over) TRY(forget(run));  // the process ended while it was
    bool may_stand = false;
    TRY(ledger_.for_each(run.name(), [&](PersonId person, const Membership& membership) {
      run.plan.load(person, membership);
      if (membership.state == Membership::State::member) {
        if (run.declared_life) run.renewals.note(person, membership.stays_since());
        if (membership.stays_since() < run.state.reupload_asked_at) run.plan.renew(person);
      }
      run.identifiers += standing_identifiers(membership);
      if (membership.reason.starts_with(kTooSmall)) run.too_small.add(person.value);
      const bool is_over =
          membership.state == Membership::State::member || membership.state == Membership::State::left;
      if (is_over && membership.live) run.note_latency(membership.acknowledged_at - membership.received_at);
      may_stand = may_stand || !membership.uploaded.empty();
    }));
    run.configuration = what_matches(run.connection);
    if (auto points = TRY(ledger_.match_points(run.name(), 1)); !points.empty())
      run.noted = std::move(points.back());
    const std::string& destination = run.connection.sync.destination;
    if (!run.state.destination.empty() && run.state.destination != destination) {
      if (may_stand) {
        run.blocked = fmt::format(
            "its people stand in audience {} of destination \"{}\", but the workspace names destination "
            "\"{}\"; name the former again, or give the sync a new name to fill the latter from the start",
            run.state.audience_id, run.state.destination, destination);
        return {};
      }
      run.state.audience_id.clear();  // nobody stands there
      run.state.measured.reset();
    }
    run.state.destination = destination;  // written with the first intent
    const std::string& configured = run.connection.sync.audience_id;
    if (configured.empty() || configured == run.state.audience_id) return {};
    if (may_stand && !run.state.audience_id.empty()) {
      run.blocked = fmt::format(
          "its people stand in audience {}, but the workspace names audience {}; name the "
          "former again, or give the sync a new name to fill the latter from the start",
          run.state.audience_id, configured);
      return {};
    }
    run.state.audience_id = configured;  // written with the first intent
    return {};
  }

  void join_twins() {
    for (auto& run : runs_) {
      const auto twin = std::ranges::find_if(
          runs_, [&](const auto& other) { return other->name() == run->connection.sync.twin; });
      // What is not sent protects nobody, and nobody waits for it.
      if (twin == runs_.end() || run->is_dry() || (*twin)->is_dry()) continue;
      run->twins.push_back(twin->get());
      (*twin)->twins.push_back(run.get());
      for (const std::uint32_t person : run->too_small) (*twin)->plan.keep(PersonId{person});
    }
  }

  SyncRun& run_of(SyncId sync) {
    TR_ASSERT(sync.value < runs_.size());
    return *runs_[sync.value];
  }
  const SyncRun& run_of(SyncId sync) const {
    TR_ASSERT(sync.value < runs_.size());
    return *runs_[sync.value];
  }
  Connector& connector_of(const SyncRun& run) { return connectors_[run.connector]; }

  void wake_at(Time at) { next_poll_at_ = std::min(next_poll_at_, at); }
  // True when the instant has come; else the next poll is due then at the latest.
  bool has_come(Time at) {
    if (at <= now_) return true;
    wake_at(at);
    return false;
  }

  // --- guards and twins

  Guard::Standing standing_of(const SyncRun& run) const {
    return {.people = run.plan.standing(),
            .wanted = run.plan.wanted(),
            .adding = run.plan.waiting(Direction::add),
            .removing = run.plan.waiting(Direction::remove)};
  }

  void judge_guards(SyncRun& run) {
    const Guard::Standing standing = standing_of(run);
    if (run.guard.judge(standing, now_, run.state.guards)) {
      // A hold that is not on disk is found anew after a crash.
      if (auto written = ledger_.write_state(run.name(), run.state); !written)
        ledger_failed(run, written.error());
    }
    const bool was_held = !run.held.empty();
    run.held = run.guard.held(Direction::add, standing, run.state.guards);
    const std::string removals = run.guard.held(Direction::remove, standing, run.state.guards);
    if (!removals.empty()) run.held += (run.held.empty() ? "" : "; ") + removals;
    if (run.state.frozen) run.held = "frozen, for its audience drifted: " + run.drift_text;
    if (!was_held && holds_on(run).removals) run.plan.examine_removals();
    if (was_held && run.held.empty()) alert(run, "no longer held: it goes on", true);
    if (!was_held && !run.held.empty()) {
      alert(run, fmt::format("held: {}. `tailrace plan` shows who; `tailrace release \"{}\"` lets them go",
                             run.held, run.name()));
    }
  }

  static Plan::Holds holds_on(const SyncRun& run) {
    const auto is_held = [&](Direction direction) {
      return run.state.guards.side(direction).hold != GuardSide::Hold::none;
    };
    Plan::Holds holds{.additions = run.state.frozen || is_held(Direction::add),
                      .removals = run.state.frozen || is_held(Direction::remove),
                      .twins = {}};
    for (const SyncRun* twin : run.twins) holds.twins.push_back(&twin->plan);
    return holds;
  }

  void hold_back(SyncRun& run) {
    if (!run.runs()) return;
    const Plan::Holds before = holds_on(run);  // of rules that may be gone
    if (run.guard.any() || before.additions || before.removals || !run.held.empty()) judge_guards(run);
    if (run.plan.has_unexamined() && holds_on(run).removals) find_departed(run);
    if (!run.too_small.isEmpty() && has_come(run.ask_again_at)) {
      run.ask_again_at = kNever;
      for (const std::uint32_t person : run.too_small) {
        if (!run.plan.is_dropped(PersonId{person})) run.plan.ask_again(PersonId{person});
      }
    }
    run.plan.withhold(holds_on(run));
  }

  // Deleted people and those who withdrew their consent leave, whatever the guards say.
  void find_departed(SyncRun& run) {
    const auto people = run.plan.take_unexamined(kVerifiedPerPoll);
    const auto profiles = profiles_.profiles(people);
    for (std::size_t i = 0; i < people.size(); ++i) {
      const bool withdrawn = consent_of(profiles[i], run.connection.sync.consent_purpose) == false;
      if (profiles[i].deleted || withdrawn) run.plan.mark_departed(people[i]);
    }
    if (run.plan.has_unexamined()) wake_at(kForeverAgo);
  }

  // Once, two weeks before.
  void warn_of_end(SyncRun& run) {
    const auto end = run.connection.credentials_end_at;
    if (!end || run.end_told || !has_come(*end - kCredentialsWarning)) return;
    run.end_told = true;
    alert(run, ending(*end));
  }

  void note_refused(const SyncRun& run) { refused_.push_back(run.connection.sync.destination); }

  void alert(const SyncRun& run, std::string text, bool mended = false) {
    alerts_.push_back({run.name(), std::move(text), mended});
  }

  // --- cadence

  void prepare(SyncRun& run) {
    if (run.is_dry() && run.is_in_pass()) rehearse(run);
    if (!run.runs()) return;
    const bool is_stopped = !run.state.stopped_reason.empty();
    if (run.start_over_wanted && (is_stopped ? run.in_flight == 0 : run.active.empty())) start_over(run);
    if (run.carries_attributes()) look_at_attributes(run);
    if (run.plan.has_unverified()) verify_some(run);
    find_ending(run);
    sweep(run);
    const std::uint64_t ready = run.ready();
    if (run.is_in_pass()) {
      run.window = std::min(run.pass->left, ready);
      return;
    }
    if (run.flush) {
      run.flush = run.plan.has_unverified();  // what verification finds is part of it
      run.window = ready;
      return;
    }
    if (run.connection.sync.cadence.kind != Cadence::Kind::realtime) {
      if (is_due_by_calendar(run, ready) && run.window == 0) run.window = ready;
      return;
    }
    // Whose removal waits for a twin is not to wait for the twin's cadence.
    std::uint64_t waits = 0;
    for (const SyncRun* twin : run.twins) {
      const std::uint64_t people = run.plan.waiting_for(twin->plan);
      waits += people - std::min(people, twin->window);
    }
    if (!is_due_by_age(run, ready + waits)) return;
    if (run.window == 0) run.window = ready;
    for (SyncRun* twin : run.twins) {
      if (!twin->is_in_pass()) twin->window = std::max(twin->window, run.plan.waiting_for(twin->plan));
    }
  }

  bool is_due_by_age(SyncRun& run, std::uint64_t ready) {
    if (ready == 0) {
      run.pending_since.reset();
      return false;
    }
    if (!run.pending_since) run.pending_since = now_;
    const bool due = ready >= run.limits.batch_records_max ||
                     has_come(*run.pending_since + run.connection.sync.batch_age_max);
    if (due) run.pending_since.reset();  // who comes now begins a new age
    return due;
  }

  bool is_due_by_calendar(SyncRun& run, std::uint64_t ready) {
    // A time missed while nothing ran is made up for.
    if (!run.next_due)
      run.next_due = next_due(run, run.state.last_success_at.ms > 0 ? run.state.last_success_at : now_);
    if (*run.next_due > now_) {
      if (ready > 0) wake_at(*run.next_due);
      return false;
    }
    run.next_due = next_due(run, now_);
    return true;
  }

  static Time next_due(const SyncRun& run, Time after) {
    if (run.cron) return run.cron->next_after(after, run.zone);
    const std::int64_t every = std::max<std::int64_t>(run.connection.sync.cadence.every.count, 1);
    return Time{(after.ms / every + 1) * every};
  }

  // Where something goes out that protects nobody, no realtime sync waits for company with what does.
  void open_protective_windows() {
    const bool any = std::any_of(runs_.begin(), runs_.end(), [](const auto& run) {
      return run->window > 0 && run->plan.ready(other(run->protective)) > 0;
    });
    if (!any) return;
    for (auto& run : runs_) {
      const bool is_realtime = run->connection.sync.cadence.kind == Cadence::Kind::realtime;
      if (is_realtime && run->runs() && !run->is_in_pass() && run->window == 0 &&
          run->plan.ready(run->protective) > 0)
        run->window = run->ready();
    }
  }
  static Direction other(Direction direction) {
    return direction == Direction::add ? Direction::remove : Direction::add;
  }

  void close_window(SyncRun& run) {
    if (run.window > 0 && run.active.empty() && run.ready() == 0) run.window = 0;
  }

  // --- passes

  // What a pass of a dry run would send, so many people at a time.
  void rehearse(SyncRun& run) {
    const std::size_t many = std::min(run.rehearsal.size(), kVerifiedPerPoll);
    std::vector<PersonId> people;
    for (std::size_t i = 0; i < many; ++i) people.push_back(run.rehearsal[i].second);
    const auto profiles = profiles_.profiles(people);
    const Connection& connection = run.connection;
    for (std::size_t i = 0; i < many; ++i) {
      if (run.rehearsal[i].first == Direction::remove) {
        run.pass->note(people[i], "remove", Pass::Outcome::built);
        continue;
      }
      Usable usable =
          usable_identifiers(profiles[i], connection.sync, *connection.destination, connection.config);
      const bool any = !usable.identifiers.empty();
      run.pass->note(people[i], "add", any ? Pass::Outcome::built : Pass::Outcome::refused,
                     std::move(usable.reason));
    }
    run.pass->begin(many);
    run.rehearsal.erase(run.rehearsal.begin(), run.rehearsal.begin() + static_cast<std::ptrdiff_t>(many));
    run.pass->done = run.rehearsal.empty();
    if (!run.pass->done) wake_at(kForeverAgo);
  }

  void close_pass(SyncRun& run) {
    if (!run.is_in_pass() || run.is_dry() || !run.desired_known) return;
    const bool is_through =
        run.active.empty() && (run.pass->left == 0 || (run.ready() == 0 && !run.plan.has_unverified()));
    if (!is_through && !state_text(run).starts_with("stopped")) return;
    run.pass->done = true;
    run.window = 0;
  }

  // What attributes say may change with time alone.
  void look_at_attributes(SyncRun& run) {
    if (!run.attributes_due) run.attributes_due = now_ + options_.attributes_every;
    if (has_come(*run.attributes_due)) {
      run.plan.verify_members();
      run.attributes_due = now_ + options_.attributes_every;
    }
    wake_at(*run.attributes_due);
  }

  void verify_some(SyncRun& run) {
    const auto people = run.plan.take_unverified(kVerifiedPerPoll);
    if (auto verified = builder_.verify(run, people); !verified) {
      for (const PersonId person : people) run.plan.mark_changed(person);
      ledger_failed(run, verified.error());
    }
    if (run.plan.has_unverified()) wake_at(kForeverAgo);
  }

  // --- stays that end by themselves

  // Members whose stay is to be renewed from now on.
  void find_ending(SyncRun& run) {
    const auto life = run.life();
    const auto first = run.renewals.first();
    if (!life || !first || !has_come(*first + renewed_after(*life))) return;
    const Time until = now_ - renewed_after(*life);
    const auto people = run.renewals.take(until, kVerifiedPerPoll);
    const auto memberships = ledger_.find_many(run.name(), people);
    for (std::size_t i = 0; i < people.size(); ++i) {
      if (!memberships) {
        run.renewals.note(people[i], until);  // again, when the ledger can be read
        continue;
      }
      const auto& membership = (*memberships)[i];
      // One who has left is noted again when they enter; one who was renewed is noted with that.
      const bool is_due = membership && membership->state == Membership::State::member &&
                          Renewals::is_due(membership->stays_since(), until);
      if (is_due) run.plan.renew(people[i]);
    }
    if (!memberships) return ledger_failed(run, memberships.error());
    wake_at(kForeverAgo);  // there may be more
  }

  Result<void> ask_for_reupload(SyncRun& run, const Sweep& sweep) {
    SyncState state = run.state;
    state.reupload_asked_at = now_;
    state.sweep = sweep;
    TRY(ledger_.write_state(run.name(), state));
    run.state = std::move(state);
    run.check = {};
    run.plan.renew_everybody();
    wake_at(kForeverAgo);
    return {};
  }

  // Others who may stand in the audience, behind everything else.
  void sweep(SyncRun& run) {
    const Sweep& sweep = run.state.sweep;
    if (sweep.next >= sweep.end || run.is_in_pass() || run.state.frozen || run.stopped()) return;
    if (!run.active.empty() || run.ready() > 0 || run.plan.ready_to_renew() > 0 || run.plan.has_unverified())
      return;
    if (!has_come(run.held_back_until)) return;
    const auto swept = sweep_some(run, ledger_, profiles_, kVerifiedPerPoll, now_);
    if (!swept) return ledger_failed(run, swept.error());
    run.flush = run.flush || *swept > 0;
    wake_at(kForeverAgo);
  }

  // When the platform has worked off what it took, and can be asked to let go of what is older.
  static Time clear_from(const SyncRun& run, Time asked_at) {
    const auto processing = run.connection.destination->processing();
    return asked_at + (processing ? processing->most : Millis{0});
  }

  static Time clear_at(const SyncRun& run) {
    return std::max(clear_from(run, run.state.reupload_asked_at), run.clear_at);
  }
  // Everybody was looked at, and the platform is still to be asked.
  static bool wants_clear(const SyncRun& run) {
    const Sweep& sweep = run.state.sweep;
    return sweep.clear_before.ms != 0 && sweep.next >= sweep.end && !run.clearing;
  }

  void clear(std::size_t sync, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    const Sweep& sweep = run.state.sweep;
    if (!wants_clear(run)) return;
    if (!run.runs() || run.is_in_pass() || run.state.frozen || run.stopped()) return;
    if (!run.active.empty() || run.ready() > 0 || run.plan.to_renew() > 0) return;
    if (!has_come(clear_at(run)) || !has_come(run.held_back_until) || !may_ask(sync, out)) return;
    if (!run.check.is_through) {
      if (auto checked = check_renewed(run, ledger_, kVerifiedPerPoll); !checked)
        return ledger_failed(run, checked.error());
      return wake_at(kForeverAgo);
    }
    const std::uint64_t older = std::exchange(run.check, {}).not_renewed;
    if (older > 0) {
      return end_clearing(run,
                          fmt::format("{} who stand in it were not taken again; mend why, and ask once more",
                                      grouped(older)));
    }
    auto request =
        run.connection.destination->encode_clear(run.state.audience_id, sweep.clear_before, context(run));
    if (!request) return end_clearing(run, "its platform cannot");
    run.clearing = true;
    connector_of(run).rate.on_send(now_);
    push({.kind = Attempt::Kind::clear,
          .sync = sync,
          .connector = run.connector,
          .token_generation = connector_of(run).token_generation(),
          .clear_before = sweep.clear_before},
         std::move(*request), out);
  }

  void on_cleared(const Attempt& attempt, const Result<HttpResponse>& response) {
    SyncRun& run = *runs_[attempt.sync];
    run.clearing = false;
    if (run.state.sweep.clear_before != attempt.clear_before) return;  // it was asked for anew meanwhile
    const auto cleared = response ? run.connection.destination->decode_clear(*response)
                                  : Result<void>(std::unexpected(response.error()));
    if (cleared) return end_clearing(run, "");
    const bool is_unauthorised = response && response->status == 401 && connector_of(run).needs_token();
    if (is_unauthorised) connector_of(run).forget_token(attempt.token_generation);
    ++run.clear_failures;
    if (!passes_by_itself(cleared.error()) && !(is_unauthorised && run.clear_failures == 1))
      return end_clearing(run, cleared.error().message.substr(0, kReasonBytesMax));
    run.clear_at = now_ + Backoff{options_.measure_every, kMeasureCap}.ceiling(run.clear_failures);
  }

  // problem: why the platform was not asked, or refused; empty: it has let go of them.
  void end_clearing(SyncRun& run, std::string_view problem) {
    SyncState state = run.state;
    state.sweep.clear_before = Time{};
    if (problem.empty()) state.sweep.removed_at = now_;
    if (auto written = ledger_.write_state(run.name(), state); !written)
      return ledger_failed(run, written.error());
    run.state = std::move(state);
    run.clear_failures = 0;
    run.measure_wanted = true;
    if (!problem.empty())
      alert(run, fmt::format("others who may stand in its audience are left there: {}", problem));
  }

  // Its renewals have waited long enough behind changes, and there were enough of these.
  bool owes_renewal(SyncRun& run) {
    if (run.plan.to_renew() == 0) {
      run.renewing_since.reset();
      return false;
    }
    if (!run.renewing_since) run.renewing_since = now_;
    return *run.renewing_since + kRenewalPatience <= now_ &&
           connector_of(run).changes_since_renewal >= kChangesPerRenewal;
  }

  // After everything else, and one request at a time at each destination: what has months is hardly ever in
  // the way of a change.
  void send_renewals(std::size_t sync, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    if (!run.runs() || run.is_in_pass() || run.state.frozen || run.plan.ready_to_renew() == 0) return;
    const auto waits_for = [&](auto is_ahead) {
      return std::ranges::any_of(runs_, [&](const auto& other) {
        return other->connector == run.connector && !other->stopped() && is_ahead(*other);
      });
    };
    const bool one_is_out = waits_for([](const SyncRun& other) {
      return std::ranges::any_of(other.active, [](const auto& batch) { return batch->renews; });
    });
    if (one_is_out) return;
    if (owes_renewal(run)) {
      if (!has_place(run, Direction::add)) return;
    } else if (!run.active.empty() ||
               waits_for([](const SyncRun& other) { return other.window > 0 && other.ready() > 0; })) {
      return;
    }
    if (!may_send(sync, out)) return;
    const std::size_t people_max = std::min<std::size_t>(run.limits.batch_records_max, kPeoplePerBuild);
    auto built = builder_.build_renewals(run, people_max, now_);
    if (!built) return ledger_failed(run, built.error());
    run.ledger_failures = 0;
    if (!built->batch) return wake_at(kForeverAgo);  // everybody settled or postponed
    run.active.push_back(std::move(built->batch));
    send_batch(sync, *run.active.back(), out);
  }

  // --- sending

  void send_direction(std::size_t sync, Direction direction, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    if (!run.runs()) return;
    resend(sync, direction, out);
    while (run.window > 0 && run.ready(direction) > 0 && has_place(run, direction) && may_send(sync, out)) {
      std::size_t people_max = std::min<std::size_t>(run.limits.batch_records_max, kPeoplePerBuild);
      if (run.is_in_pass()) people_max = std::min<std::size_t>(people_max, run.window);
      auto built = builder_.build(run, direction, people_max, now_);
      if (!built) {
        ledger_failed(run, built.error());
        return;
      }
      run.ledger_failures = 0;
      run.window -= std::min<std::uint64_t>(run.window, built->people);
      if (run.is_in_pass()) run.pass->begin(built->people);
      if (!built->batch) {
        // People settled or postponed without a request: enough for one poll.
        if (built->people + built->postponed > 0) wake_at(kForeverAgo);
        return;
      }
      run.active.push_back(std::move(built->batch));
      send_batch(sync, *run.active.back(), out);
      resend(sync, direction, out);  // its second half, where it had to be cut
    }
  }

  void resend(std::size_t sync, Direction direction, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    // By index: sending may replace a batch by its halves.
    for (std::size_t i = 0; i < run.active.size(); ++i) {
      ActiveBatch& batch = *run.active[i];
      if (batch.direction != direction || batch.in_flight || !has_come(batch.next_at)) continue;
      if (!may_send(sync, out)) return;
      send_batch(sync, batch, out);
    }
  }

  // Whether one more batch may be begun.
  bool has_place(const SyncRun& run, Direction direction) const {
    const std::uint32_t most = std::max(options_.in_flight_per_sync, 1u);
    if (run.active.size() >= most) return false;
    if (direction == run.protective) return true;
    const auto same = std::count_if(run.active.begin(), run.active.end(),
                                    [&](const auto& batch) { return batch->direction == direction; });
    return static_cast<std::uint32_t>(same) < std::max(most - 1, 1u);
  }

  // Whether one more request may go out now; sends what must come before it (a token, the audience).
  bool may_send(std::size_t sync, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    if (run.in_flight >= std::max(options_.in_flight_per_sync, 1u)) return false;
    if (!run.state.stopped_reason.empty() && (run.in_flight > 0 || !has_come(run.probe_at))) return false;
    return has_come(run.held_back_until) && may_speak(connector_of(run)) && has_token(sync, out) &&
           has_audience(sync, out) && may_speak(connector_of(run));
  }

  // Within the destination's rate, and with somebody there to answer.
  bool may_speak(const Connector& connector) { return has_come(connector.may_speak_at()); }

  // Whether a question about an audience may go out now; sends for the token that must come before it, which
  // may be all that may be sent.
  bool may_ask(std::size_t sync, std::vector<Send>& out) {
    const Connector& connector = connector_of(*runs_[sync]);
    return may_speak(connector) && has_token(sync, out) && may_speak(connector);
  }

  std::uint64_t push(Attempt attempt, HttpRequest request, std::vector<Send>& out) {
    const std::uint64_t id = ++last_send_id_;
    connectors_[attempt.connector].breaker.on_send();
    attempts_.emplace(id, attempt);
    out.push_back({id, std::move(request), runs_[attempt.sync]->connection.reach});
    return id;
  }

  bool has_token(std::size_t sync, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    Connector::Access access = connector_of(run).access(now_);
    if (access.ready) return true;
    if (!access.fetch) {
      wake_at(access.at);
      return false;
    }
    push({.kind = Attempt::Kind::token, .sync = sync, .connector = run.connector}, std::move(*access.fetch),
         out);
    return false;
  }

  destinations::Context context(const SyncRun& run) const {
    return {.config = run.connection.config, .access_token = connectors_[run.connector].token(), .now = now_};
  }

  bool has_audience(std::size_t sync, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    if (!run.state.audience_id.empty() || run.needs_no_audience) return true;
    if (run.creating || !has_come(run.create_at) || !may_speak(connector_of(run))) return false;
    // One of this name may be there: an earlier answer was lost, or somebody made it by hand. It is adopted.
    auto request =
        run.sought ? std::nullopt : run.connection.destination->encode_find(context(run), run.find_page);
    const auto kind = request ? Attempt::Kind::find : Attempt::Kind::create;
    if (!request) request = run.connection.destination->encode_create(context(run));
    if (!request) {
      run.needs_no_audience = true;
      return true;
    }
    run.creating = true;
    connector_of(run).rate.on_send(now_);
    push({.kind = kind,
          .sync = sync,
          .connector = run.connector,
          .token_generation = connector_of(run).token_generation()},
         std::move(*request), out);
    return false;
  }

  static bool goes_by_kind(const SyncRun& run) { return run.connection.destination->one_kind_a_request(); }

  static destinations::Batch encoded(const SyncRun& run, const ActiveBatch& batch) {
    return {.kind = batch.direction,
            .audience_id = run.state.audience_id,
            .id = batch.id,
            .members = goes_by_kind(run) ? batch.part : batch.members,
            .config = &run.connection.config};
  }

  static void cut_part(ActiveBatch& batch) {
    const auto kind = batch.next_kind();
    TR_ASSERT(kind.has_value());
    batch.part.clear();
    batch.part_of.clear();
    for (std::size_t i = 0; i < batch.members.size(); ++i) {
      destinations::Member member = batch.members[i];
      std::erase_if(member.identifiers, [&](const auto& identifier) { return identifier.kind != *kind; });
      if (member.identifiers.empty()) continue;
      batch.part.push_back(std::move(member));
      batch.part_of.push_back(i);
    }
  }

  // Sends the batch, or its first part where the request would be too long.
  void send_batch(std::size_t sync, ActiveBatch& batch, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    ActiveBatch* sending = &batch;
    HttpRequest request;
    for (;;) {
      if (goes_by_kind(run)) cut_part(*sending);
      request = run.connection.destination->encode(encoded(run, *sending), context(run));
      const bool too_long =
          run.limits.batch_bytes_max > 0 && request.body.size() > run.limits.batch_bytes_max;
      if (!too_long || sending->members.size() == 1) break;
      sending = bisect(run, *sending);
      if (sending == nullptr) return;
    }
    sending->in_flight = true;
    sending->waiting_for.clear();
    ++run.in_flight;
    Connector& connector = connector_of(run);
    connector.rate.on_send(now_);
    connector.changes_since_renewal = sending->renews ? 0 : connector.changes_since_renewal + 1;
    push({.kind = Attempt::Kind::batch,
          .sync = sync,
          .connector = run.connector,
          .batch = sending,
          .token_generation = connector.token_generation()},
         std::move(request), out);
  }

  // Replaces the batch by its halves, ready to go; gives the first, or null where the ledger did not take it.
  ActiveBatch* bisect(SyncRun& run, ActiveBatch& batch) {
    const auto at = std::find_if(run.active.begin(), run.active.end(),
                                 [&](const auto& each) { return each.get() == &batch; });
    TR_ASSERT(at != run.active.end() && batch.members.size() > 1);
    SyncState state = run.state;
    auto first = std::make_unique<ActiveBatch>();
    auto second = std::make_unique<ActiveBatch>();
    first->direction = second->direction = batch.direction;
    first->renews = second->renews = batch.renews;
    first->id = run.take_batch_id(state);
    second->id = run.take_batch_id(state);
    // An id is never used for two different requests, not even across a crash.
    if (auto written = ledger_.write_state(run.name(), state); !written) {
      retry_later(batch, std::nullopt, written.error().message);
      return nullptr;
    }
    run.state = std::move(state);
    const std::size_t half = batch.members.size() / 2;
    for (std::size_t i = 0; i < batch.members.size(); ++i) {
      ActiveBatch& into = i < half ? *first : *second;
      into.items.push_back(std::move(batch.items[i]));
      into.members.push_back(std::move(batch.members[i]));
    }
    ActiveBatch* const result = first.get();
    *at = std::move(first);
    run.active.insert(at + 1, std::move(second));
    return result;
  }

  // --- answers

  void notice(std::size_t index, const Result<HttpResponse>& response) {
    if (!connectors_[index].notice(response, now_, backoff_, random_)) return;
    // What waited because it was not there goes now.
    for (auto& run : runs_) {
      if (run->connector != index) continue;
      if (run->create_failures > 0) run->create_at = std::min(run->create_at, now_);
      for (auto& batch : run->active) {
        if (batch->unanswered) batch->next_at = std::min(batch->next_at, now_);
      }
    }
  }

  void on_batch(const Attempt& attempt, const Result<HttpResponse>& response) {
    SyncRun& run = *runs_[attempt.sync];
    ActiveBatch& batch = *attempt.batch;
    TR_ASSERT(batch.in_flight && run.in_flight > 0);
    batch.in_flight = false;
    --run.in_flight;
    batch.unanswered = is_silence(response);
    if (!response) {
      retry_later(batch, std::nullopt, response.error().message);
      return;
    }
    const Reply reply = run.connection.destination->decode(encoded(run, batch), *response);
    if (reply.usage_percent) connector_of(run).rate.on_usage(*reply.usage_percent);
    if (reply.verdict != Reply::Verdict::reauthorise) batch.reauthorised = false;
    // It speaks with us of records again: mended.
    const bool speaks = reply.verdict == Reply::Verdict::done || reply.verdict == Reply::Verdict::split;
    if (speaks && !run.state.stopped_reason.empty()) {
      run.state.stopped_reason.clear();
      alert(run, "no longer stopped: it goes on", true);
    }
    switch (reply.verdict) {
      case Reply::Verdict::done:
        on_done(run, batch, reply);
        break;
      case Reply::Verdict::retry:
        retry_later(batch, reply.retry_after, with_code(reply));
        // A platform that is too busy for us means all our requests, not this one alone.
        if (!batch.unanswered || reply.retry_after)
          connector_of(run).rate.on_throttled(now_, reply.retry_after ? batch.next_at : kForeverAgo);
        break;
      case Reply::Verdict::split:
        on_split(run, batch, reply);
        break;
      case Reply::Verdict::reauthorise:
        on_reauthorise(run, batch, attempt.token_generation, reply);
        break;
      case Reply::Verdict::stop:
        stop(run, with_code(reply));
        break;
    }
  }

  void on_done(SyncRun& run, ActiveBatch& batch, const Reply& reply) {
    const std::size_t sent = encoded(run, batch).members.size();
    if (reply.outcomes.size() != sent) {
      stop(run, fmt::format("the answer speaks of {} records, {} were sent", reply.outcomes.size(), sent));
      return;
    }
    if (goes_by_kind(run)) return settle_part(run, batch, reply.outcomes);
    settle(run, batch, reply.outcomes);
  }

  // Of the kind that was under way. After the last one the batch is settled: somebody of whom one kind was
  // taken and another refused is in the audience, with what was taken.
  void settle_part(SyncRun& run, ActiveBatch& batch, std::span<const Outcome> outcomes) {
    for (std::size_t i = 0; i < batch.part.size(); ++i) {
      if (outcomes[i].kind == Outcome::Kind::accepted) continue;
      ActiveBatch::Refusal& refusal = batch.refusals[batch.part_of[i]];
      refusal.outcome = outcomes[i];
      refusal.identifiers = plus(refusal.identifiers, batch.part[i].identifiers);
    }
    const IdentifierKind kind = batch.part.front().identifiers.front().kind;
    batch.kinds_done.insert(kind);
    if (batch.next_kind()) {
      batch.failures = 0;
      batch.next_at = now_;
      return;
    }
    std::vector<Outcome> all(batch.members.size());
    for (const auto& [i, refusal] : batch.refusals) {
      const auto taken = minus(batch.members[i].identifiers, refusal.identifiers);
      if (taken.empty() || batch.direction == Direction::remove) {
        all[i] = refusal.outcome;
        continue;
      }
      batch.items[i].not_taken = plus(batch.items[i].not_taken, refusal.identifiers);
    }
    if (write_outcomes(run, batch, all)) {
      std::erase_if(run.active, [&](const auto& each) { return each.get() == &batch; });
      return;
    }
    batch.kinds_done.erase(kind);  // it goes again
  }

  void on_split(SyncRun& run, ActiveBatch& batch, const Reply& reply) {
    const auto is_culprit = [](const Outcome& outcome) { return outcome.kind == Outcome::Kind::rejected; };
    const std::size_t sent = encoded(run, batch).members.size();
    const bool named = reply.outcomes.size() == sent &&
                       std::any_of(reply.outcomes.begin(), reply.outcomes.end(), is_culprit);
    if (goes_by_kind(run) && (named || sent == 1)) {
      settle_culprits_of_kind(run, batch, reply);
    } else if (named) {
      settle_culprits(run, batch, reply.outcomes);
    } else if (batch.members.size() == 1) {
      settle(run, batch, {{Outcome{Outcome::Kind::rejected, with_code(reply)}}});
    } else {
      bisect(run, batch);
    }
  }

  void on_reauthorise(SyncRun& run, ActiveBatch& batch, std::uint64_t generation, const Reply& reply) {
    Connector& connector = connector_of(run);
    if (!connector.needs_token() || batch.reauthorised) {
      batch.reauthorised = false;
      connector.forget_token(generation);
      note_refused(run);
      stop(run, with_code(reply));
      return;
    }
    batch.reauthorised = true;
    connector.forget_token(generation);
  }

  void retry_later(ActiveBatch& batch, std::optional<Millis> retry_after, std::string reason) {
    ++batch.failures;
    batch.next_at = now_ + backoff_.wait(batch.failures, retry_after, random_);
    reason.resize(std::min(reason.size(), kReasonBytesMax));
    batch.waiting_for = std::move(reason);
  }

  void stop(SyncRun& run, std::string reason) {
    run.probe_at = now_ + options_.stopped_retry_every;
    run.measure_wanted = true;  // perhaps its audience is gone
    if (run.state.stopped_reason == reason) return;
    run.state.stopped_reason = std::move(reason);
    alert(run, "stopped: " + run.state.stopped_reason);
    // Only for the eyes of the next process; this one knows.
    if (auto written = ledger_.write_state(run.name(), run.state); !written)
      ledger_failed(run, written.error());
  }

  // The ledger does not take what we must write before we may send: nothing goes out until it does.
  void ledger_failed(SyncRun& run, const Error& error) {
    run.held_back_until = now_ + backoff_.wait(++run.ledger_failures, std::nullopt, random_);
    run.waiting_for = error.message;
    wake_at(run.held_back_until);
  }

  // --- settling

  void settle(SyncRun& run, ActiveBatch& batch, std::span<const Outcome> outcomes) {
    if (!write_outcomes(run, batch, outcomes)) return;
    std::erase_if(run.active, [&](const auto& each) { return each.get() == &batch; });
  }

  // Of a batch that goes kind by kind: the culprits lose their identifiers of this kind, and those who have
  // no others are refused; what is left goes again.
  void settle_culprits_of_kind(SyncRun& run, ActiveBatch& batch, const Reply& reply) {
    Outcome whole;
    whole.kind = Outcome::Kind::rejected;
    whole.reason = with_code(reply);
    std::vector<Outcome> outcomes(batch.part.size(), whole);
    if (batch.part.size() > 1) outcomes = reply.outcomes;
    const bool all = std::ranges::all_of(
        outcomes, [](const Outcome& each) { return each.kind == Outcome::Kind::rejected; });
    if (all) return settle_part(run, batch, outcomes);
    std::vector<Outcome> of_all(batch.members.size());
    for (std::size_t i = 0; i < batch.part.size(); ++i) {
      const std::size_t member = batch.part_of[i];
      const auto others = minus(batch.members[member].identifiers, batch.part[i].identifiers);
      if (outcomes[i].kind == Outcome::Kind::accepted) continue;
      if (others.empty() || batch.direction == Direction::remove) {
        of_all[member] = outcomes[i];
        continue;
      }
      batch.members[member].identifiers = others;
      batch.items[member].not_taken = plus(batch.items[member].not_taken, batch.part[i].identifiers);
    }
    settle_culprits(run, batch, of_all);
  }

  // The named records are refused; the others go again, as a new batch.
  void settle_culprits(SyncRun& run, ActiveBatch& batch, std::span<const Outcome> outcomes) {
    ActiveBatch refused, rest;
    std::vector<Outcome> refusals;
    refused.direction = rest.direction = batch.direction;
    rest.renews = batch.renews;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      const bool is_refused = outcomes[i].kind == Outcome::Kind::rejected;
      ActiveBatch& into = is_refused ? refused : rest;
      into.items.push_back(batch.items[i]);
      into.members.push_back(batch.members[i]);
      if (is_refused) refusals.push_back(outcomes[i]);
    }
    SyncState before = run.state;
    rest.id = run.take_batch_id(run.state);
    refused.failures = batch.failures;
    if (!write_outcomes(run, refused, refusals)) {
      run.state = std::move(before);
      batch.failures = refused.failures;
      batch.next_at = refused.next_at;
      batch.waiting_for = std::move(refused.waiting_for);
      return;
    }
    if (rest.items.empty()) {
      std::erase_if(run.active, [&](const auto& each) { return each.get() == &batch; });
    } else {
      batch = std::move(rest);
    }
  }

  // One write for all outcomes; then the plan follows. False: the ledger did not take it, and the request
  // will go again, for nobody knows now what was answered.
  bool write_outcomes(SyncRun& run, ActiveBatch& batch, std::span<const Outcome> outcomes) {
    std::vector<MembershipChange> changes;
    changes.reserve(batch.items.size());
    SyncState state = run.state;
    bool any_accepted = false;
    for (std::size_t i = 0; i < batch.items.size(); ++i) {
      const bool accepted = outcomes[i].kind == Outcome::Kind::accepted;
      any_accepted = any_accepted || accepted;
      ++(accepted ? state.accepted : state.rejected);
      changes.push_back({batch.items[i].person, answered(batch, i, outcomes[i]), &batch.items[i].membership});
    }
    if (any_accepted) {
      state.last_success_at = now_;
      connector_of(run).rate.on_accepted(now_);
    }
    if (auto written = ledger_.write(run.name(), changes, state); !written) {
      retry_later(batch, std::nullopt, written.error().message);
      return false;
    }
    run.state = std::move(state);
    run.measure_wanted = run.measure_wanted || any_accepted;
    run.waiting_for.clear();
    for (std::size_t i = 0; i < batch.items.size(); ++i) {
      run.identifiers += standing_identifiers(changes[i].membership);
      run.identifiers -= standing_identifiers(batch.items[i].membership);
      if (batch.direction == Direction::remove) run.removing.unlock(batch.members[i]);
      follow(run, batch, i, outcomes[i], changes[i].membership);
      const PersonId person = batch.items[i].person;
      if (!run.plan.is_pending(person)) run.causes.erase(person);
      // A second step (old identifiers out, then new ones in) belongs to the window of the first.
      if (run.plan.needs_more(person)) {
        ++run.window;
        if (run.is_in_pass()) ++run.pass->left;
      }
      if (run.is_in_pass()) note_in_pass(run, batch, i, outcomes[i]);
    }
    run.plan.unpark_all();
    return true;
  }

  void note_in_pass(SyncRun& run, const ActiveBatch& batch, std::size_t i, const Outcome& outcome) {
    const bool is_change = batch.items[i].kind == Item::Kind::identifiers;
    const bool is_accepted = outcome.kind == Outcome::Kind::accepted;
    run.pass->note(batch.items[i].person,
                   is_change                           ? "change"
                   : batch.direction == Direction::add ? "add"
                                                       : "remove",
                   is_accepted ? Pass::Outcome::accepted : Pass::Outcome::rejected,
                   is_accepted ? "" : outcome.reason.substr(0, kReasonBytesMax));
  }

  // The membership after the answer.
  Membership answered(const ActiveBatch& batch, std::size_t i, const Outcome& outcome) const {
    const Item& item = batch.items[i];
    const auto& sent = batch.members[i].identifiers;
    const bool accepted = outcome.kind == Outcome::Kind::accepted;
    const bool whole = item.kind == Item::Kind::whole;
    Membership membership = item.membership;
    membership.reason = accepted ? "" : outcome.reason.substr(0, kReasonBytesMax);
    if (!accepted && outcome.too_small) membership.reason.insert(0, kTooSmall);
    membership.refused_at = accepted ? Time{} : now_;
    if (batch.direction == Direction::add && (accepted || item.repeats))
      membership.attributes = fingerprint(batch.members[i].attributes);
    if (batch.direction == Direction::add) {
      if (!item.repeats) membership.uploaded = minus(membership.uploaded, item.not_taken);
      if (!accepted && !item.repeats) membership.uploaded = minus(membership.uploaded, sent);
      membership.unanswered = !accepted && item.repeats;
      if (!whole) {
        // The stay begins anew where nothing was left out of it but what is to go.
        if (accepted && (item.repeats || minus(membership.uploaded, sent).empty()))
          membership.renewed_at = now_;
        return membership;
      }
      membership.renewed_at = Time{};
      if (accepted) membership.state = Membership::State::member;
      if (!accepted)
        membership.state =
            membership.uploaded.empty() ? Membership::State::rejected : Membership::State::removing;
      membership.acknowledged_at = now_;
      return membership;
    }
    if (accepted) membership.uploaded = minus(membership.uploaded, sent);
    if (!whole) {
      membership.unanswered = item.was_unanswered;
    } else if (accepted) {
      membership.state = Membership::State::left;
      membership.acknowledged_at = now_;
    }
    return membership;
  }

  // The plan after the answer.
  void follow(SyncRun& run, const ActiveBatch& batch, std::size_t i, const Outcome& outcome,
              const Membership& now_is) {
    const bool accepted = outcome.kind == Outcome::Kind::accepted;
    const Item& item = batch.items[i];
    const PersonId person = item.person;
    Plan& plan = run.plan;
    const bool adding = batch.direction == Direction::add;
    if (item.kind == Item::Kind::identifiers) {
      if (adding && accepted && now_is.renewed_at == now_) {
        plan.settle_renewal(person);
        if (run.declared_life) run.renewals.note(person, now_);
      } else if (adding && !accepted) {
        plan.settle_renewal(person);
      }
      // With other attributes all identifiers went again.
      if (adding && accepted && now_is.attributes != item.membership.attributes)
        plan.accept_extension(person);
      if (accepted) {
        plan.settle_partly(person);
      } else if (adding) {
        plan.refuse_extension(person);
      } else {
        plan.refuse_reduction(person);
      }
      return;
    }
    if (accepted) run.record_latency(item, now_);
    if (adding && accepted) {
      plan.settle_member(person);
      if (run.declared_life) run.renewals.note(person, now_);
      const std::size_t taken = minus(batch.members[i].identifiers, item.not_taken).size();
      if (now_is.uploaded.size() > taken) plan.mark_changed(person);
      entries_.push_back({sync_id(run), person, now_});
      for (SyncRun* twin : run.twins) {
        if (twin->plan.is_pending(person)) ++twin->window;  // it has waited for this
      }
      if (run.too_small.contains(person.value)) leave_to_twin(run, person);  // wanted again
    } else if (adding && now_is.state == Membership::State::rejected) {
      plan.settle_rejected(person);
    } else if (adding) {
      plan.settle_uncertain_to_remove(person);
    } else if (accepted) {
      plan.settle_left(person);
      if (run.too_small.contains(person.value)) leave_to_twin(run, person);
    } else {
      plan.refuse_removal(person);
      if (outcome.too_small) stand_in(run, person);
    }
  }

  // The platform keeps somebody who should leave a target: its twin takes them, until they are let go.
  void stand_in(SyncRun& run, PersonId person) {
    run.too_small.add(person.value);
    run.ask_again_at = now_ + kTooSmallAgain;
    if (run.connection.sync.effect == Effect::suppress) return;
    for (SyncRun* twin : run.twins) {
      twin->plan.keep(person);
      ++twin->window;
    }
  }
  static void leave_to_twin(SyncRun& run, PersonId person) {
    run.too_small.remove(person.value);
    if (run.connection.sync.effect == Effect::suppress) return;
    for (SyncRun* twin : run.twins) {
      const bool others = std::ranges::any_of(
          twin->twins, [&](const SyncRun* other) { return other->too_small.contains(person.value); });
      if (!others) twin->plan.let_go(person);
    }
  }

  SyncId sync_id(const SyncRun& run) const {
    const auto at =
        std::find_if(runs_.begin(), runs_.end(), [&](const auto& each) { return each.get() == &run; });
    return SyncId{static_cast<std::uint32_t>(at - runs_.begin())};
  }

  // --- tokens, audiences, measurement

  void on_found(const Attempt& attempt, const Result<HttpResponse>& response) {
    SyncRun& run = *runs_[attempt.sync];
    run.creating = false;
    auto found = response
                     ? run.connection.destination->decode_find(*response, run.connection.config)
                     : Result<destinations::AudienceDestination::Found>(std::unexpected(response.error()));
    if (!found) return audience_failed(attempt, response, "cannot look for the audience: ", found.error());
    run.find_page = found->next_page;
    run.sought = found->audience_id.empty() && found->next_page.empty();
    if (!found->audience_id.empty()) use_audience(run, std::move(found->audience_id));
  }

  void on_created(const Attempt& attempt, const Result<HttpResponse>& response) {
    SyncRun& run = *runs_[attempt.sync];
    run.creating = false;
    run.sought = false;  // where this fails, it may have been made all the same
    auto id = response ? run.connection.destination->decode_create(*response)
                       : Result<std::string>(std::unexpected(response.error()));
    if (id && id->empty()) id = invalid("the platform gave the new audience no id");
    if (!id) return audience_failed(attempt, response, "cannot create the audience: ", id.error());
    use_audience(run, std::move(*id));
  }

  void use_audience(SyncRun& run, std::string id) {
    SyncState state = run.state;
    state.audience_id = std::move(id);
    state.stopped_reason.clear();
    // Nothing is added before the ledger knows where to.
    if (auto written = ledger_.write_state(run.name(), state); !written) ledger_failed(run, written.error());
    run.state = std::move(state);
    run.create_failures = 0;
    run.waiting_for.clear();
  }

  void audience_failed(const Attempt& attempt, const Result<HttpResponse>& response, std::string_view what,
                       const Error& error) {
    SyncRun& run = *runs_[attempt.sync];
    ++run.create_failures;
    const bool is_unauthorised = response && response->status == 401 && connector_of(run).needs_token();
    if (is_unauthorised) connector_of(run).forget_token(attempt.token_generation);
    if (response && response->status == 401) note_refused(run);
    const std::string reason = std::string(what) + error.message.substr(0, kReasonBytesMax);
    if (passes_by_itself(error) || (is_unauthorised && run.create_failures == 1)) {
      run.create_at = now_ + backoff_.wait(run.create_failures, std::nullopt, random_);
      run.waiting_for = reason;
    } else {
      stop(run, reason);
    }
  }

  void measure(std::size_t sync, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    if (run.is_dry() || (run.connection.rests && !run.is_in_pass())) return;
    const bool may_look = run.desired_known && !run.state.audience_id.empty() && !run.measuring;
    if (!run.inspect_at)
      run.inspect_at = (run.state.measured_at.ms > 0 ? run.state.measured_at : now_) + options_.inspect_every;
    if (may_look && has_come(*run.inspect_at)) {
      // Where it cannot be asked, no token is fetched for it either.
      const bool can_be_asked =
          run.connection.destination->encode_measure(run.state.audience_id, context(run)).has_value();
      run.measure_wanted = run.measure_wanted || can_be_asked;
      if (!can_be_asked) run.inspect_at = kNever;
    }
    if (!run.measure_wanted || run.measuring || !run.blocked.empty()) return;
    const bool is_stopped = !run.state.stopped_reason.empty();
    if (is_stopped ? run.in_flight > 0 || run.state.audience_id.empty() : !run.active.empty()) return;
    if (!has_come(run.measure_at) || !has_come(run.held_back_until) || !may_ask(sync, out)) return;
    auto request = run.connection.destination->encode_measure(run.state.audience_id, context(run));
    if (!request) {
      run.measure_wanted = false;
      return;
    }
    run.measuring = true;
    run.measure_at = now_ + options_.measure_every;
    connector_of(run).rate.on_send(now_);
    push({.kind = Attempt::Kind::measure, .sync = sync, .connector = run.connector}, std::move(*request),
         out);
  }

  void on_measured(const Attempt& attempt, const Result<HttpResponse>& response) {
    SyncRun& run = *runs_[attempt.sync];
    run.measuring = false;
    run.inspect_at = now_ + options_.inspect_every;
    auto measured = response ? run.connection.destination->decode_measure(*response)
                             : Result<destinations::Measurement>(std::unexpected(response.error()));
    if (!measured) {
      const Backoff backoff{options_.measure_every, std::max(kMeasureCap, options_.measure_every)};
      run.measure_at = std::max(run.measure_at, now_ + backoff.ceiling(++run.measure_failures));
      return;
    }
    run.measure_failures = 0;
    run.stays_days = measured->retention_days;
    look_for_drift(run, *measured);
    run.measure_wanted = false;
    if (!measured->gone) {
      // Platforms count late: ask again until the answer stays the same.
      const bool same = run.state.measured && run.state.measured->size == measured->size &&
                        run.state.measured->match_rate == measured->match_rate &&
                        run.state.measured->detail == measured->detail;
      run.measure_wanted = !same;
      run.state.measured = std::move(*measured);
      run.state.measured_at = now_;
    }
    if (auto written = ledger_.write_state(run.name(), run.state); !written)
      ledger_failed(run, written.error());
  }

  // A point of the history, once what waited has gone.
  void note_match(SyncRun& run) {
    if (!run.runs() || run.state.audience_id.empty() || !has_come(run.held_back_until)) return;
    if (!run.active.empty() || run.ready() > 0 || run.plan.has_unverified()) return;
    const auto& measured = run.state.measured;
    MatchPoint point{.at = now_,
                     .people = run.plan.desired(),
                     .usable = run.plan.desired() - run.plan.without_identifier(),
                     .members = run.plan.delivered(),
                     .identifiers = run.identifiers,
                     .size = measured ? measured->size : std::nullopt,
                     .match_rate = measured ? measured->match_rate : std::nullopt,
                     .measured_at = run.state.measured_at,
                     .configuration = run.configuration};
    if (run.noted) {
      const bool is_reconfigured = run.noted->configuration != run.configuration;
      const bool says_other = run.noted->size != point.size || run.noted->match_rate != point.match_rate;
      const Millis age = now_ - run.noted->at;
      if (!is_reconfigured && age < (says_other ? kMatchPointNotBefore : kMatchPointEvery)) return;
    }
    if (auto written = ledger_.add_match_point(run.name(), point); !written)
      return ledger_failed(run, written.error());
    run.noted = std::move(point);
  }

  // --- drift

  void look_for_drift(SyncRun& run, const destinations::Measurement& measured) {
    const std::uint64_t delivered = run.plan.delivered();
    auto drift = run.adopt_next ? std::vector<Drift>() : drift_of(run.state.baseline, measured, delivered);
    if (is_swept(run)) {  // its size says nothing
      run.state.baseline.size = run.state.baseline.strangers = 0;
      std::erase_if(drift, [](const Drift& each) {
        return each.kind == Drift::Kind::decayed || each.kind == Drift::Kind::foreign;
      });
    }
    std::vector<Drift::Kind> kinds;
    std::string text;
    for (const Drift& each : drift) {
      kinds.push_back(each.kind);
      text += (text.empty() ? "" : "; ") + each.text;
    }
    const bool is_new = kinds != run.drift;
    if (is_new && !drift.empty()) alert(run, "drifted: " + text);
    if (is_new && drift.empty()) alert(run, "is as it should be again at its platform", true);
    run.drift = std::move(kinds);
    run.drift_text = std::move(text);
    if (run.drift.empty()) {
      run.state.baseline = run.adopt_next ? adopted(run.state.baseline, measured, delivered)
                                          : followed(run.state.baseline, measured, delivered);
      run.adopt_next = false;
    } else {
      follow_policy(run, measured, delivered);
    }
  }

  bool is_swept(const SyncRun& run) const {
    const Sweep& sweep = run.state.sweep;
    return sweep.is_on() || (sweep.removed_at.ms != 0 && now_ - sweep.removed_at < kSweptSettles);
  }

  void follow_policy(SyncRun& run, const destinations::Measurement& measured, std::uint64_t delivered) {
    const auto has = [&](Drift::Kind kind) { return std::ranges::find(run.drift, kind) != run.drift.end(); };
    const bool is_ours = run.connection.sync.audience_id.empty();  // made by us, not named by its id
    switch (run.connection.sync.drift) {
      case workspace::DriftPolicy::alert:
        return;
      case workspace::DriftPolicy::adopt:
        if (has(Drift::Kind::gone)) return;
        run.state.baseline = adopted(run.state.baseline, measured, delivered);
        run.drift.clear();
        run.drift_text.clear();
        return;
      case workspace::DriftPolicy::freeze:
        run.state.frozen = true;
        return;
      case workspace::DriftPolicy::reassert:
        run.update_wanted = is_ours && has(Drift::Kind::edited);
        run.start_over_wanted = is_ours && has(Drift::Kind::gone);
        if (has(Drift::Kind::decayed) && now_ - run.state.reupload_asked_at > kReuploadAgain) {
          if (auto asked = ask_for_reupload(run, run.state.sweep); !asked) ledger_failed(run, asked.error());
        }
        return;
    }
  }

  // The audience is gone: another is made, and everybody goes into that.
  void start_over(SyncRun& run) {
    run.start_over_wanted = false;
    run.state.starts_over = true;
    run.state.stopped_reason.clear();
    run.state.audience_id.clear();
    run.state.baseline = {};
    run.state.sweep = {};
    run.state.measured.reset();
    run.state.guards.filled = false;
    auto forgotten = ledger_.write_state(run.name(), run.state);
    if (forgotten) forgotten = forget(run);
    if (!forgotten) {
      run.start_over_wanted = true;
      return ledger_failed(run, forgotten.error());
    }
    // Of a sync that stopped, what went to the audience that is gone and was refused is no longer wanted.
    run.active.clear();
    run.removing = {};
    run.plan.forget_standing();
    run.identifiers = 0;
    run.too_small = Roaring();
    run.sought = false;
    run.find_page.clear();
    run.flush = true;
    run.drift.clear();
    run.drift_text.clear();
  }

  // Of a sync that starts over: nobody stands at the platform.
  Result<void> forget(SyncRun& run) {
    std::vector<PersonId> standing;
    TRY(ledger_.for_each(run.name(), [&](PersonId person, const Membership& membership) {
      if (!membership.uploaded.empty() || membership.state != Membership::State::left)
        standing.push_back(person);
    }));
    run.state.starts_over = false;
    constexpr std::size_t kAtATime = 5'000;
    for (std::size_t first = 0; first < standing.size(); first += kAtATime) {
      const auto people = std::span(standing).subspan(first, std::min(kAtATime, standing.size() - first));
      const auto memberships = TRY(ledger_.find_many(run.name(), people));
      std::vector<MembershipChange> changes;
      for (std::size_t i = 0; i < people.size(); ++i) {
        Membership membership;
        membership.state = Membership::State::left;
        membership.changed_at = memberships[i]->changed_at;
        membership.received_at = memberships[i]->received_at;
        membership.acknowledged_at = std::max(now_, memberships[i]->acknowledged_at);
        changes.push_back({people[i], std::move(membership)});
      }
      SyncState state = run.state;
      state.starts_over = first + kAtATime < standing.size();
      TRY(ledger_.write(run.name(), changes, state));
    }
    return ledger_.write_state(run.name(), run.state);
  }

  void update(std::size_t sync, std::vector<Send>& out) {
    SyncRun& run = *runs_[sync];
    if (!run.runs() || !run.update_wanted || run.updating || run.stopped() || !may_ask(sync, out)) return;
    run.update_wanted = false;
    auto request = run.connection.destination->encode_update(run.state.audience_id, context(run));
    if (!request) return;
    run.updating = true;
    connector_of(run).rate.on_send(now_);
    push({.kind = Attempt::Kind::update, .sync = sync, .connector = run.connector}, std::move(*request), out);
  }

  // Whether it helped is seen when the audience is looked at again.
  void on_updated(const Attempt& attempt, const Result<HttpResponse>& response) {
    SyncRun& run = *runs_[attempt.sync];
    run.updating = false;
    if (response && run.connection.destination->decode_update(*response)) run.measure_wanted = true;
  }

  // --- status

  SyncStatus status_of(const SyncRun& run) const {
    SyncStatus status;
    status.sync = run.name();
    status.segment = run.connection.sync.segment;
    status.destination = run.connection.sync.destination;
    status.effect = run.connection.sync.effect;
    status.audience_id = run.state.audience_id;
    status.desired = run.plan.desired();
    status.delivered = run.plan.delivered();
    status.pending = run.plan.pending();
    status.without_identifier = run.plan.without_identifier();
    status.renewing = run.plan.to_renew();
    status.dead_letters = run.plan.dead_count();
    status.dropped = run.plan.dropped_count();
    status.sent = run.state.sent;
    status.accepted = run.state.accepted;
    status.rejected = run.state.rejected;
    status.measured = run.state.measured;
    status.measured_at = run.state.measured_at;
    status.last_success_at = run.state.last_success_at;
    status.latency_p50 = run.latencies.percentile(0.5);
    status.latency_p95 = run.latencies.percentile(0.95);
    status.latency_p99 = run.latencies.percentile(0.99);
    status.latency_count = run.latencies.count();
    status.objective = run.objective;
    status.latency_within = run.latencies_within;
    status.unprotected = unprotected(run);
    status.state = state_text(run);
    status.mode = run.connection.sync.mode;
    status.credentials_end_at = run.connection.credentials_end_at;
    status.identifiers = run.identifiers;
    status.held = !run.held.empty();
    status.stopped = status.state.starts_with("stopped");
    return status;
  }

  std::string waiting(Time until, std::string_view reason) const {
    const std::int64_t seconds = ((until - now_).count + 999) / 1000;
    return fmt::format("waiting for {}s: {}", std::max<std::int64_t>(seconds, 0), reason);
  }

  std::string why_pending(const SyncRun& run, const Receipt& receipt, PersonId person) const {
    std::string state = state_text(run);
    if (run.is_dry()) return "a dry run, which sends nothing";
    if (state.starts_with("stopped") || state.starts_with("waiting")) return state;
    if (receipt.in_flight) return "sent, and not answered yet";
    if (run.plan.is_withheld(person)) {
      for (const SyncRun* twin : run.twins) {
        if (*receipt.pending == Direction::remove && twin->plan.is_unresolved(person))
          return fmt::format("waiting for its twin \"{}\"", twin->name());
      }
      return "held: " + run.held;
    }
    if (run.plan.is_parked(person)) return "waiting for the answer to a request about the same identifier";
    if (run.next_due && *run.next_due > now_)
      return fmt::format("waiting for {}, by its cadence", format_time(*run.next_due));
    return "waiting for its turn";
  }

  std::string state_text(const SyncRun& run) const {
    const Connector& connector = connectors_[run.connector];
    if (!run.blocked.empty()) return "stopped: " + run.blocked;
    if (run.is_dry()) {
      return fmt::format("dry run: {} would be added, {} removed; nothing is sent",
                         grouped(run.plan.ready(Direction::add)), grouped(run.plan.ready(Direction::remove)));
    }
    if (!run.state.stopped_reason.empty()) return "stopped: " + run.state.stopped_reason;
    const bool has_work = !run.active.empty() || run.plan.pending() > 0;
    if (has_work && connector.is_token_refused()) return "stopped: " + connector.token_problem();
    if (has_work && !connector.token_problem().empty())
      return waiting(connector.token_at(), connector.token_problem());
    if (run.in_flight > 0 || run.creating) return "sending";
    // The first batch to go again says why it waits.
    const ActiveBatch* next = nullptr;
    for (const auto& batch : run.active) {
      if (next == nullptr || batch->next_at < next->next_at) next = batch.get();
    }
    if (has_work && !connector.breaker.is_closed()) {
      return waiting(
          std::min(connector.breaker.next_at(), now_ + kMinute),
          fmt::format("the destination does not answer: {} failures in a row{}", connector.breaker.failures(),
                      next == nullptr || next->waiting_for.empty() ? "" : ", " + next->waiting_for));
    }
    if (next != nullptr && !next->waiting_for.empty())
      return waiting(std::max({next->next_at, run.held_back_until, connector.rate.paused_until()}),
                     next->waiting_for);
    if (has_work && !run.waiting_for.empty())
      return waiting(std::max({run.create_at, run.held_back_until, connector.rate.paused_until()}),
                     run.waiting_for);
    if (!run.held.empty()) return "held: " + run.held;
    if (!run.drift_text.empty()) return "drifted: " + run.drift_text;
    if (!run.active.empty() || run.window > 0) return "sending";
    for (const SyncRun* twin : run.twins) {
      if (run.plan.waits_for(twin->plan))
        return fmt::format("pending: waits for its twin \"{}\"", twin->name());
    }
    if (has_work) return "pending";
    if (const std::uint64_t renewing = run.plan.to_renew(); renewing > 0)
      return fmt::format("adding {} members again", grouped(renewing));
    const Sweep& sweep = run.state.sweep;
    if (sweep.next < sweep.end) {
      return fmt::format("removing others from its audience: {} people to look at",
                         grouped(sweep.end.value - sweep.next.value));
    }
    if (sweep.clear_before.ms != 0) {
      return fmt::format("idle; from {} on its platform is asked to let go of others",
                         format_time(clear_at(run)));
    }
    return run.connection.sync.is_retired() ? "retired: nobody is in its audience" : "idle";
  }

  Ledger& ledger_;
  ProfileSource& profiles_;
  BatchBuilder builder_;
  Random& random_;
  Options options_;
  Backoff backoff_;
  std::vector<std::unique_ptr<SyncRun>> runs_;
  std::vector<Connector> connectors_;
  std::unordered_map<std::uint64_t, Attempt> attempts_;
  std::uint64_t last_send_id_ = 0;
  std::vector<Entry> entries_;
  std::vector<Alert> alerts_;
  std::vector<std::string> refused_;  // destinations
  Time now_ = kForeverAgo;
  Time next_poll_at_ = kForeverAgo;
};

}  // namespace

Result<std::unique_ptr<Delivery>> Delivery::create(std::vector<Connection> connections, Ledger& ledger,
                                                   ProfileSource& profiles, Random& random, Options options) {
  auto body = std::make_unique<Body>(ledger, profiles, random, options);
  TRY(body->open(std::move(connections)));
  return body;
}

}  // namespace tailrace::delivery
