#include "server/core.h"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/hash.h"
#include "base/thread_name.h"
#include "io/system_clock.h"
#include "server/metrics.h"

namespace tailrace::server {
namespace {

// How long deletions wait for others: each walk over the log serves all that came.
constexpr Millis kRedactAfter{2'000};
constexpr std::size_t kRouted = 512;

delivery::Delivery::Origin origin_of(std::string_view source) {
  return source.find('#') == std::string_view::npos ? delivery::Delivery::Origin::live
                                                    : delivery::Delivery::Origin::backfill;
}

}  // namespace

Result<std::string> resolve_secret(const workspace::SecretReference& reference, const std::string& folder) {
  switch (reference.kind) {
    case workspace::SecretReference::Kind::none:
      return std::string();
    case workspace::SecretReference::Kind::environment: {
      const char* value = std::getenv(reference.name.c_str());
      if (value == nullptr || *value == '\0') {
        return invalid(fmt::format("the environment variable {} is not set", reference.name));
      }
      return std::string(value);
    }
    case workspace::SecretReference::Kind::file: {
      const std::string path =
          reference.name.starts_with('/') ? reference.name : folder + "/" + reference.name;
      std::ifstream file(path, std::ios::binary);
      std::ostringstream text;
      text << file.rdbuf();
      std::string value = text.str();
      while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.pop_back();
      if (!file || value.empty()) return invalid(fmt::format("the file {} cannot be read or is empty", path));
      return value;
    }
  }
  return std::string();
}

bool held_out(const workspace::SyncConfig& sync, PersonId person) {
  if (sync.holdout_per_million == 0) return false;
  const std::string& salt = sync.holdout_salt.empty() ? sync.name : sync.holdout_salt;
  const Sha256 digest = hmac_sha256(salt, std::to_string(person.value));
  std::uint64_t draw = 0;
  for (int i = 0; i < 8; ++i) draw = draw << 8 | digest[static_cast<std::size_t>(i)];
  return draw % 1'000'000 < sync.holdout_per_million;
}

Core::Core(Options options, Clock clock) : options_(std::move(options)), clock_(std::move(clock)) {}

Result<std::unique_ptr<Core>> Core::start(Disk& disk, Options options, Clock clock) {
  std::unique_ptr<Core> core(new Core(std::move(options), std::move(clock)));
  core->store_ = TRY(Store::open(disk, core->options_.store));
  core->ledger_ = TRY(delivery::Ledger::open(core->options_.store.directory + "/ledger"));
  core->applied_ = core->store_->log().end();
  core->records_since_snapshot_ = core->store_->opened().replayed;
  engine::Engine& engine = core->store_->engine();
  core->deletions_ = core->store_->take_deletions();
  if (engine.workspace() != nullptr) {
    engine::Output unused;
    for (const auto& sync : engine.workspace()->syncs) {
      TRY(core->ledger_->for_each_entry(
          sync.name, [&](PersonId person, Time at) { engine.enter_sync(sync.name, person, at, unused); }));
    }
    engine.advance(core->clock_(), unused);
    if (core->options_.deliver) TRY(connect(*engine.workspace(), core->options_.secrets_folder));
  }
  const auto stamp = [raw = core.get()] {
    raw->committing_ = true;
    const Time pinned{raw->pinned_};
    return pinned == kNever ? raw->clock_() : pinned;
  };
  core->commit_ = std::make_unique<log::GroupCommit>(
      core->store_->log(), log::GroupCommit::Options{}, stamp, [raw = core.get()](log::CommittedBatch batch) {
        const std::int64_t committed = io::stopwatch_nanoseconds();
        raw->queued_bytes_ += batch.bytes.size();
        {
          const std::lock_guard lock(raw->mutex_);
          raw->batches_.push_back({std::move(batch), committed});
          raw->committing_ = false;
        }
        raw->arrived_.notify_one();
      });
  if (core->options_.deliver) {
    core->courier_ =
        TRY(Courier::start(*core->ledger_, *core, core->clock_, [raw = core.get()](auto entries) {
          raw->post([raw, entries = std::move(entries)](engine::Engine& live) {
            if (live.workspace() == nullptr) return;
            for (const auto& entry : entries) {
              if (entry.sync.value < live.workspace()->syncs.size()) {
                live.enter_sync(live.workspace()->syncs[entry.sync.value].name, entry.person, entry.at,
                                raw->output_);
              }
            }
            raw->route(delivery::Delivery::Origin::live);
          });
        }));
  }
  core->thread_ = std::thread([raw = core.get()] {
    name_thread("core");
    raw->run();
  });
  return core;
}

Core::~Core() { static_cast<void>(stop({0})); }

Result<void> Core::submit(std::string bytes, std::vector<std::uint32_t> ends, log::GroupCommit::Done done) {
  if (failed_)
    return tailrace::fail(Error::Code::io, "the store has failed and takes nothing more; see the log");
  if (queued_bytes_ > options_.queue_bytes_max) {
    return tailrace::fail(Error::Code::unavailable, "too much waits to be applied; send again in a second");
  }
  return commit_->submit(std::move(bytes), std::move(ends), std::move(done));
}

Result<log::CommittedRange> Core::submit_and_wait(std::string bytes, std::vector<std::uint32_t> ends) {
  auto answer = std::make_shared<std::promise<Result<log::CommittedRange>>>();
  auto range = answer->get_future();
  TRY(submit(std::move(bytes), std::move(ends),
             [answer](Result<log::CommittedRange> done) { answer->set_value(std::move(done)); }));
  return range.get();
}

void Core::pin_clock(std::optional<Time> instant) { pinned_ = instant.value_or(kNever).ms; }

void Core::post(std::function<void(engine::Engine&)> work) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(work));
  }
  arrived_.notify_one();
}

Result<void> Core::wait_until_live() {
  while (true) {
    const bool pending = call([](engine::Engine& engine) { return engine.work_pending(); });
    if (failed_) return tailrace::fail(Error::Code::io, "the store has failed; see the log");
    if (!pending) return {};
  }
}

void Core::run() {
  start_delivery();
  while (true) {
    std::deque<Arrival> batches;
    std::function<void(engine::Engine&)> task;
    {
      std::unique_lock lock(mutex_);
      const bool busy = store_->engine().work_pending() && !failed_;
      if (!busy && batches_.empty() && tasks_.empty() && !stopping_) {
        const Millis wait = std::max(Millis{0}, std::min(store_->engine().next_change() - clock_(), kSecond));
        arrived_.wait_for(lock, std::chrono::milliseconds(wait.count),
                          [&] { return !batches_.empty() || !tasks_.empty() || stopping_; });
      }
      batches = std::move(batches_);
      batches_.clear();
      // A task sees what was committed before it was posted: it waits while there are batches.
      if (batches.empty() && !tasks_.empty()) {
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      if (stopping_ && batches.empty() && !task) return;
    }
    for (const auto& arrival : batches) {
      if (!failed_) apply(arrival);
      queued_bytes_ -= arrival.batch.bytes.size();
    }
    if (failed_) {
      if (task) task(store_->engine());
      continue;
    }
    if (batches.empty()) let_time_pass();
    if (store_->engine().work_pending()) {
      if (auto worked = store_->engine().work(); !worked) fail(worked.error());
    }
    look_after_snapshot();
    start_delivery();
    if (task) task(store_->engine());
    if (!deletions_.empty() && clock_() >= redact_at_) redact();
  }
}

void Core::apply(const Arrival& arrival) {
  const log::CommittedBatch& batch = arrival.batch;
  std::vector<delivery::Delivery::Origin> origins;  // of the records decoded so far
  origins.reserve(batch.size());
  const auto record_at = [&](std::size_t i) -> Result<engine::Engine::Located> {
    const RecordView record = TRY(decode_record(batch.record(i)));
    origins.push_back(origin_of(record.source));
    return engine::Engine::Located{batch.positions[i], record};
  };
  // What many records changed is handed on at once: each hand-over wakes a thread.
  const auto after = [&](std::size_t i, const RecordView&) {
    const bool go_on = i + 1 < origins.size() && origins[i + 1] == origins[i] && (i + 1) % kRouted != 0;
    if (go_on || output_.empty()) return;
    if (!output_.deltas.empty())
      metrics().apply_lag.observe(io::stopwatch_nanoseconds() - arrival.committed_ns);
    route(origins[i]);
  };
  if (auto applied = store_->engine().apply_all(batch.size(), output_, record_at, after); !applied)
    return fail(applied.error());
  applied_ = batch.next;
  records_since_snapshot_ += batch.size();
  if (records_since_snapshot_ >= options_.snapshot_every_records && deletions_.empty()) save_snapshot();
}

// In a copy of this process: writing takes seconds where there are tens of millions of events, and records
// must not wait for it.
void Core::save_snapshot() {
  if (store_->engine().work_pending()) return;
  if (snapshot_ != nullptr) return;  // the one before is being written
  records_since_snapshot_ = 0;
  auto child = io::ChildProcess::start(
      [store = store_.get(), applied = applied_] { return store->save_snapshot(applied).has_value(); });
  if (child) {
    snapshot_ = std::move(*child);
  } else {
    spdlog::error("no snapshot: {}", child.error().message);
  }
}

void Core::look_after_snapshot() {
  if (snapshot_ == nullptr || snapshot_->state() == io::ChildProcess::State::running) return;
  if (snapshot_->state() == io::ChildProcess::State::failed)
    spdlog::error("no snapshot: its file could not be written (is the disk full?); restarts take longer");
  snapshot_.reset();
}

void Core::let_time_pass() {
  // Not beyond the stamp of records that are on their way: what fires before them and what after is decided
  // by their stamp.
  const Time now = clock_();
  if (committing_) return;
  store_->engine().advance(now, output_);
  route(delivery::Delivery::Origin::live);
}

void Core::route(delivery::Delivery::Origin origin) {
  engine::Engine& engine = store_->engine();
  if (courier_ != nullptr && delivered_generation_ == engine.generation() && engine.workspace() != nullptr) {
    std::vector<std::pair<SyncId, Delta>> changes;
    for (const Delta& delta : output_.deltas) {
      const auto sync = engine.sync_of(delta.segment);
      if (sync && !held_out(engine.workspace()->syncs[sync->value], delta.person))
        changes.emplace_back(*sync, delta);
    }
    if (!changes.empty()) courier_->change(std::move(changes), origin);
    if (!output_.changed_profiles.empty() && !engine.workspace()->syncs.empty())
      courier_->profiles_changed(std::move(output_.changed_profiles));
  }
  if (deletions_.empty() && !output_.deletions.empty()) redact_at_ = clock_() + kRedactAfter;
  deletions_.insert(deletions_.end(), output_.deletions.begin(), output_.deletions.end());
  output_.clear();
}

void Core::start_delivery() {
  engine::Engine& engine = store_->engine();
  if (courier_ == nullptr || engine.workspace() == nullptr || delivered_generation_ == engine.generation())
    return;
  delivered_generation_ = engine.generation();
  auto connections = connect(*engine.workspace(), options_.secrets_folder);
  if (!connections) {
    spdlog::error("delivery stopped: {}", connections.error().message);
    return;
  }
  Courier::Configuration configuration;
  for (std::uint32_t sync = 0; sync < connections->size(); ++sync) {
    auto people = engine.members(engine.audience(SyncId(sync)));
    std::erase_if(people, [&](PersonId person) { return held_out((*connections)[sync].sync, person); });
    configuration.desired.push_back(std::move(people));
  }
  configuration.connections = std::move(*connections);
  courier_->configure(std::move(configuration));
}

Result<std::vector<delivery::Connection>> Core::connect(const workspace::Workspace& workspace,
                                                        const std::string& secrets_folder) {
  std::vector<delivery::Connection> connections;
  std::string problems;
  for (const auto& sync : workspace.syncs) {
    delivery::Connection connection;
    connection.sync = sync;
    connection.time_zone = workspace.time_zone;
    const auto* destination = workspace.find_destination(sync.destination);
    connection.destination = destination == nullptr ? nullptr : destinations::find(destination->type);
    if (connection.destination == nullptr) {
      return invalid(
          fmt::format("sync \"{}\": this version knows no destination \"{}\"", sync.name, sync.destination));
    }
    destinations::Config& config = connection.config;
    for (const auto& setting : connection.destination->settings()) {
      if (!setting.default_value.empty()) config.settings[std::string(setting.name)] = setting.default_value;
    }
    for (const auto& [name, value] : destination->settings) config.settings[name] = value;
    for (const auto& [name, value] : sync.settings) config.settings[name] = value;
    for (const auto& [name, reference] : destination->credentials) {
      auto secret = resolve_secret(reference, secrets_folder);
      if (!secret) {
        const std::string problem =
            fmt::format("  destination \"{}\", `{}`: {}\n", destination->name, name, secret.error().message);
        if (problems.find(problem) == std::string::npos) problems += problem;
        continue;
      }
      config.secrets[name] = std::move(*secret);
    }
    const auto named = sync.settings.find("audience_name");
    config.audience_name = named == sync.settings.end() ? sync.name : named->second;
    const auto described = sync.settings.find("audience_description");
    const auto* segment = workspace.find_segment(sync.segment);
    if (described != sync.settings.end()) {
      config.audience_description = described->second;
    } else if (segment != nullptr) {
      config.audience_description = fmt::format("Tailrace: segment {}{}{}", segment->name,
                                                segment->owner.empty() ? "" : ", owner ", segment->owner);
    }
    config.default_region = workspace.default_region;
    connections.push_back(std::move(connection));
  }
  if (!problems.empty())
    return invalid("credentials are missing:\n" + problems + "set them where `tailrace serve` runs");
  return connections;
}

void Core::redact() {
  // The records of deleted people become tombstones in the log. Their history, profile and memberships are
  // gone already. A snapshot from before would meet tombstones where it needs a deletion or a merge, so it
  // goes first; a crash on the way replays the log from its beginning and finishes this.
  if (deletions_.empty()) return;
  std::vector<Position> positions;
  std::vector<Position> creators;
  const auto mentions = [&](const RecordView& record, Position position) {
    for (const auto& deletion : deletions_) {
      if (position > deletion.until) continue;
      for (const Identifier& identifier : deletion.identifiers) {
        const bool by_id =
            identifier.kind == IdentifierKind::external_id || identifier.kind == IdentifierKind::anonymous_id;
        const bool named = identifier.value == record.user_id || identifier.value == record.anonymous_id ||
                           identifier.value == record.previous_id;
        const bool anonymous = record.user_id.empty() && record.anonymous_id.empty();
        if ((by_id && named) ||
            (anonymous && record.payload.find(identifier.value) != std::string_view::npos))
          return true;
      }
    }
    return false;
  };
  snapshot_.reset();  // one that is being written is from before, too
  auto outcome = commit_->between_commits([&](log::Log& log) -> Result<void> {
    TRY(store_->drop_snapshot());
    const auto reader = TRY(log.read_from(log.begin()));
    log::Frame frame;
    while (TRY(reader->next(frame))) {
      const RecordView record = TRY(decode_record(frame.record));
      if (record.kind != RecordKind::workspace && record.kind != RecordKind::tombstone &&
          mentions(record, frame.position)) {
        positions.push_back(frame.position);
      }
    }
    for (const auto& deletion : deletions_) {
      creators.insert(creators.end(), deletion.created_by.begin(), deletion.created_by.end());
    }
    // A record that made the person known is theirs, whatever it says.
    positions.insert(positions.end(), creators.begin(), creators.end());
    return log.redact(std::move(positions), std::move(creators));
  });
  if (!outcome) {
    spdlog::error("deleted people are still in the log, to be tried again in a minute: {}",
                  outcome.error().message);
    redact_at_ = clock_() + kMinute;
    return;
  }
  deletions_.clear();
  save_snapshot();
}

void Core::fail(const Error& error) {
  failed_ = true;
  output_.clear();
  spdlog::critical("the engine stopped: {}. Records on disk are safe; mend the cause and start again",
                   error.message);
}

std::vector<PersonProfile> Core::profiles(std::span<const PersonId> people) {
  const std::vector<PersonId> wanted(people.begin(), people.end());
  return call([wanted](engine::Engine& engine) {
    std::vector<PersonProfile> result;
    result.reserve(wanted.size());
    for (const PersonId person : wanted) result.push_back(engine.profile(person));
    return result;
  });
}

Result<void> Core::stop(Millis grace) {
  if (!thread_.joinable()) return {};
  if (courier_) courier_->stop(grace);  // it may ask for profiles: the core thread still runs
  if (!failed_) {
    call([this](engine::Engine&) {
      redact();
      return true;
    });
  }
  commit_->stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_.notify_one();
  thread_.join();
  snapshot_.reset();
  // With a deletion unfinished, the log is replayed at the next start, and the deletion finished.
  if (failed_ || records_since_snapshot_ == 0 || !deletions_.empty()) return {};
  while (store_->engine().work_pending()) TRY(store_->engine().work());
  return store_->save_snapshot(applied_);
}

}  // namespace tailrace::server
