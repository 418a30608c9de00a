#include "server/queries/queries.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/thread_name.h"

namespace tailrace::server {
namespace {

constexpr std::chrono::milliseconds kLook{500};
constexpr Millis kRetryFirst{5'000};
constexpr Millis kRetryMost{10 * 60 * 1000};

// Waits where too much waits to be applied.
PutRecords put_into(Core& core, std::function<bool()> stopping) {
  return [&core, stopping = std::move(stopping)](std::string bytes,
                                                 std::vector<std::uint32_t> ends) -> Result<void> {
    while (true) {
      const auto done = core.submit_and_wait(bytes, ends);
      if (done) return {};
      if (done.error().code != Error::Code::unavailable || stopping()) return std::unexpected(done.error());
      constexpr std::chrono::milliseconds kWait{200};
      std::this_thread::sleep_for(kWait);
    }
  };
}

Result<std::unique_ptr<QueryReader>> reader_of(Core& core, io::HttpClient& client,
                                               const workspace::QuerySource& source,
                                               const std::string& scratch) {
  return make_query_reader(
      source, {.folder = core.folder(), .scratch = scratch, .client = &client, .disk = &core.disk()});
}

std::string last_in_words(const QueryState& state) {
  if (state.paused) return "paused";
  if (state.runs.empty()) return "idle";
  const PastRun& last = state.runs.back();
  switch (last.outcome) {
    case PastRun::Outcome::held:
      return "held: " + last.reason;
    case PastRun::Outcome::failed:
      return "failed: " + last.reason;
    case PastRun::Outcome::done:
      break;
  }
  return "idle";
}

const workspace::QuerySource* find_active(const workspace::Workspace& workspace, const std::string& name) {
  const auto* source = workspace.find_query_source(name);
  return source == nullptr || source->is_retired() ? nullptr : source;
}

std::unexpected<Error> no_source(const std::string& name) {
  return fail(Error::Code::not_found, fmt::format("there is no source \"{}\" that is asked", name));
}

std::unexpected<Error> is_paused() {
  return fail(Error::Code::conflict, "the source is paused; `tailrace resume` lets it go on");
}

}  // namespace

std::string query_directory(const Core& core, const std::string& source) {
  return fmt::format("{}/sources/{}", core.directory(), source);
}

QueryRun query_run(Core& core, const workspace::Workspace& workspace, const workspace::QuerySource& source) {
  return QueryRun(core.disk(), source, wanted_types(workspace, source.spec),
                  {.directory = query_directory(core, source.name)});
}

struct Queries::Worker {
  Worker(Core& core, const workspace::Workspace& workspace, const workspace::QuerySource& config)
      : source(config), time_zone(workspace.time_zone), run(query_run(core, workspace, config)) {}

  const workspace::QuerySource source;
  const std::string time_zone;
  QueryRun run;
  std::mutex running;  // held while the state is changed
  std::thread thread;

  // Guarded by mutex.
  std::mutex mutex;
  std::condition_variable changed;
  bool ending = false;
  QueryReader* reader = nullptr;                    // that is asked now
  std::uint64_t asked = 0;                          // runs that somebody waits for
  std::uint64_t served = 0;                         // of these, those that ended
  QueryRun::Held held = QueryRun::Held::by_guards;  // of the next one that somebody waits for
  Result<PastRun> outcome = PastRun{};              // of the last
  bool is_asking = false;
  Time next_at = kForeverAgo;

  bool is_ending() {
    const std::lock_guard lock(mutex);
    return ending;
  }
  void set_reader(QueryReader* asked_now) {
    const std::lock_guard lock(mutex);
    reader = asked_now;
    if (ending && reader != nullptr) reader->stop();
  }
};

Result<std::unique_ptr<Queries>> Queries::start(Core& core) {
  std::unique_ptr<Queries> all(new Queries(core));
  all->client_ = TRY(io::HttpClient::start(kQueryClient));
  all->follower_.start("queries");
  return all;
}

Queries::Queries(Core& core)
    : core_(core),
      follower_(core, {.end_workers = [this] { end_workers(); },
                       .take_up = [this](const workspace::Workspace& workspace) { take_up(workspace); }}) {}

Queries::~Queries() { stop(); }

void Queries::stop() { follower_.stop(); }

void Queries::end_workers() {
  std::vector<std::shared_ptr<Worker>> ending;
  {
    const std::lock_guard lock(mutex_);
    ending = std::exchange(workers_, {});
  }
  for (const auto& worker : ending) {
    {
      const std::lock_guard lock(worker->mutex);
      worker->ending = true;
      if (worker->reader != nullptr) worker->reader->stop();
    }
    worker->changed.notify_all();
  }
  for (const auto& worker : ending) worker->thread.join();
}

void Queries::take_up(const workspace::Workspace& workspace) {
  for (const auto& source : workspace.query_sources) {
    if (source.is_retired()) continue;
    auto worker = std::make_shared<Worker>(core_, workspace, source);
    {
      const std::lock_guard lock(mutex_);
      workers_.push_back(worker);
    }
    worker->thread = std::thread([this, raw = worker.get()] {
      name_thread("query");
      work(*raw);
    });
  }
}

void Queries::work(Worker& worker) {
  Millis wait = kRetryFirst;
  const auto put = put_into(core_, [&worker] { return worker.is_ending(); });
  // After a start it is due by its last run, not at once: a restart is no reason. A run that was begun is.
  if (const auto state = worker.run.state(); state && !state->pending && !state->runs.empty() &&
                                             state->runs.back().outcome != PastRun::Outcome::failed)
    worker.next_at = next_due(worker.source.cadence, worker.time_zone, state->runs.back().ended_at);
  while (true) {
    std::uint64_t asked = 0;
    QueryRun::Held held = QueryRun::Held::by_guards;
    {
      std::unique_lock lock(worker.mutex);
      while (!worker.ending && worker.asked == worker.served && core_.now() < worker.next_at)
        worker.changed.wait_for(lock, kLook);
      if (worker.ending) return;
      asked = worker.asked;
      held = std::exchange(worker.held, QueryRun::Held::by_guards);
      worker.is_asking = true;
    }
    Result<PastRun> outcome = PastRun{};
    bool paused = false;
    {
      const std::lock_guard alone(worker.running);
      const auto state = worker.run.state();
      if (!state) {
        outcome = std::unexpected(state.error());
      } else if (state->paused) {
        paused = true;
        outcome = is_paused();
      } else {
        outcome = ask(worker, put, held);
      }
    }
    const Time now = core_.now();
    std::unique_lock lock(worker.mutex);
    worker.is_asking = false;
    if (outcome || paused) {
      wait = kRetryFirst;
      worker.next_at = next_due(worker.source.cadence, worker.time_zone, now);
    } else {
      if (!worker.ending) spdlog::error("source \"{}\": {}", worker.source.name, outcome.error().message);
      const bool may_pass = outcome.error().code == Error::Code::unavailable;
      worker.next_at = std::min(now + (may_pass ? wait : kRetryMost),
                                next_due(worker.source.cadence, worker.time_zone, now));
      wait = std::min(Millis{wait.count * 2}, kRetryMost);
    }
    if (outcome && outcome->outcome == PastRun::Outcome::held)
      spdlog::error("source \"{}\" is held: {}", worker.source.name, outcome->reason);
    worker.outcome = std::move(outcome);
    worker.served = asked;
    lock.unlock();
    worker.changed.notify_all();
  }
}

// Credentials are read for each run: they may have changed.
Result<PastRun> Queries::ask(Worker& worker, const PutRecords& put, QueryRun::Held held) {
  const std::string directory = query_directory(core_, worker.source.name);
  const auto reader = TRY(reader_of(core_, *client_, worker.source, directory));
  worker.set_reader(reader.get());
  auto ended = worker.run.run(*reader, put, [this] { return core_.now(); }, held);
  worker.set_reader(nullptr);
  return ended;
}

Result<std::shared_ptr<Queries::Worker>> Queries::find(const std::string& source) {
  follower_.catch_up();
  const std::lock_guard lock(mutex_);
  const auto found =
      std::ranges::find(workers_, source, [](const auto& worker) { return worker->source.name; });
  if (found == workers_.end()) return no_source(source);
  return *found;
}

Result<PastRun> Queries::run_now(const std::string& source, QueryRun::Held held) {
  const auto worker = TRY(find(source));
  std::unique_lock lock(worker->mutex);
  if (held == QueryRun::Held::released) worker->held = held;
  const std::uint64_t mine = ++worker->asked;
  worker->changed.notify_all();
  worker->changed.wait(lock, [&] { return worker->served >= mine || worker->ending; });
  if (worker->served < mine) return fail(Error::Code::unavailable, "given up, because the source ends");
  return worker->outcome;
}

Result<void> Queries::set_paused(const std::string& source, bool paused) {
  const auto worker = TRY(find(source));
  {
    const std::lock_guard alone(worker->running);
    TRY(worker->run.set_paused(paused));
  }
  {
    const std::lock_guard lock(worker->mutex);
    if (!paused) worker->next_at = kForeverAgo;
  }
  worker->changed.notify_all();
  return {};
}

Result<std::vector<QueryStatus>> Queries::status() {
  follower_.catch_up();
  std::vector<std::shared_ptr<Worker>> workers;
  {
    const std::lock_guard lock(mutex_);
    workers = workers_;
  }
  std::vector<QueryStatus> all;
  for (const auto& worker : workers) {
    QueryStatus& one = all.emplace_back();
    one.source = worker->source.name;
    one.type = worker->source.type;
    one.rows = worker->source.spec.rows;
    one.state = TRY(worker->run.state());
    const std::lock_guard lock(worker->mutex);
    one.doing = worker->is_asking ? (one.state.pending ? "sending" : "asking") : last_in_words(one.state);
    if (!one.state.paused && worker->next_at != kForeverAgo) one.next_at = worker->next_at;
  }
  return all;
}

Result<PastRun> run_resting(Core& core, const workspace::Workspace& workspace, const std::string& source,
                            QueryRun::Held held) {
  const auto* config = find_active(workspace, source);
  if (config == nullptr) return no_source(source);
  const auto client = TRY(io::HttpClient::start(kQueryClient));
  const auto reader = TRY(reader_of(core, *client, *config, query_directory(core, source)));
  QueryRun run = query_run(core, workspace, *config);
  if (TRY(run.state()).paused) return is_paused();
  const auto put = put_into(core, [] { return false; });
  return run.run(*reader, put, [&core] { return core.now(); }, held);
}

Result<std::vector<QueryStatus>> resting_query_status(Core& core, const workspace::Workspace& workspace) {
  std::vector<QueryStatus> all;
  for (const auto& source : workspace.query_sources) {
    QueryStatus& one = all.emplace_back();
    one.source = source.name;
    one.type = source.type;
    one.rows = source.spec.rows;
    one.state = TRY(query_run(core, workspace, source).state());
    const std::string last = last_in_words(one.state);
    one.doing = source.is_retired() ? "retired"
                : last == "idle"    ? "not running: `tailrace serve` asks"
                                    : last;
  }
  return all;
}

Result<QueryRun::Preview> preview_query(Core& core, const workspace::Workspace& workspace,
                                        const workspace::QuerySource& source, std::size_t records_max) {
  const auto client = TRY(io::HttpClient::start(kQueryClient));
  const std::string scratch = query_directory(core, source.name) + "/preview";
  TRY(core.disk().make_directories(scratch));
  const auto reader = TRY(reader_of(core, *client, source, scratch));
  return query_run(core, workspace, source).preview(*reader, core.now(), records_max);
}

}  // namespace tailrace::server
