#include "server/warehouse/warehouses.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/thread_name.h"
#include "columnar/columnar.h"

namespace tailrace::server {
namespace {

constexpr std::chrono::milliseconds kLook{500};
constexpr Millis kRetryFirst{1'000};
constexpr Millis kRetryMost{5 * 60 * 1000};
constexpr Millis kDropEvery{60'000};

}  // namespace

std::string packs_directory(const Core& core) { return core.directory() + "/warehouse"; }

struct Warehouses::Worker {
  Worker(Core& core, Disk& disk, io::HttpClient& client, const workspace::Workspace& workspace,
         WarehouseConnection connection, const Options& options)
      : name(connection.sync.name),
        destination(connection.sync.destination),
        type(connection.destination->type()),
        time_zone(workspace.time_zone),
        transport(client, disk,
                  {.reach = connection.reach,
                   .now = [&core] { return core.now(); },
                   .read_csv = columnar::read_csv}),
        run(core, workspace, std::move(connection), transport, {.directory = options.directory}) {}

  std::string name, destination, type, time_zone;
  WarehouseTransport transport;
  WarehouseRun run;
  std::thread thread;

  // Guarded by mutex.
  std::mutex mutex;
  std::condition_variable changed;
  bool ending = false;
  std::uint64_t asked = 0;       // attempts that somebody waits for
  std::uint64_t served = 0;      // of these, those that ended
  std::optional<Error> outcome;  // of the last attempt; missing: all was loaded
  std::string doing = "idle";
  Time next_at = kForeverAgo;

  void say(std::string text) {
    const std::lock_guard lock(mutex);
    doing = std::move(text);
  }
};

Warehouses::Warehouses(Core& core, Disk& disk, Options options)
    : core_(core),
      disk_(disk),
      options_(std::move(options)),
      follower_(core, {.end_workers = [this] { end_workers(); },
                       .take_up = [this](const workspace::Workspace& workspace) { take_up(workspace); },
                       .look =
                           [this, drop_at = core.now() + kDropEvery]() mutable {
                             if (core_.now() < drop_at) return;
                             drop_deliveries();
                             drop_at = core_.now() + kDropEvery;
                           }}) {}

Result<std::unique_ptr<Warehouses>> Warehouses::start(Core& core, Disk& disk, Options options) {
  std::unique_ptr<Warehouses> all(new Warehouses(core, disk, std::move(options)));
  all->client_ = TRY(io::HttpClient::start(kWarehouseClient));
  all->follower_.start("warehouses");
  return all;
}

Warehouses::~Warehouses() { stop(); }

void Warehouses::stop() { follower_.stop(); }

void Warehouses::end_workers() {
  std::vector<std::shared_ptr<Worker>> ending;
  {
    const std::lock_guard lock(mutex_);
    ending = std::exchange(workers_, {});
  }
  for (const auto& worker : ending) {
    worker->transport.stop();
    {
      const std::lock_guard lock(worker->mutex);
      worker->ending = true;
    }
    worker->changed.notify_all();
  }
  for (const auto& worker : ending) worker->thread.join();
}

void Warehouses::take_up(const workspace::Workspace& workspace) {
  if (workspace.warehouses.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(options_.directory, error);
  if (!error) std::filesystem::permissions(options_.directory, std::filesystem::perms::owner_all, error);
  if (error) spdlog::error("warehouses: cannot make {}: {}", options_.directory, error.message());
  for (const auto& sync : workspace.warehouses) {
    if (sync.is_retired()) continue;
    auto connection = connect_warehouse(workspace, sync, secrets_of(options_.folder), options_.folder);
    if (!connection) {
      spdlog::error("sync \"{}\" does not run: {}", sync.name, connection.error().message);
      continue;
    }
    auto worker =
        std::make_shared<Worker>(core_, disk_, *client_, workspace, std::move(*connection), options_);
    {
      const std::lock_guard lock(mutex_);
      workers_.push_back(worker);
    }
    worker->thread = std::thread([this, raw = worker.get()] {
      name_thread("warehouse");
      work(*raw);
    });
  }
}

void Warehouses::work(Worker& worker) {
  Millis wait = kRetryFirst;
  // After a start what is due by the last pack, not at once: a restart is no reason.
  if (const auto state = worker.run.state(); state && state->loaded_at.ms != 0 && !state->pending)
    worker.next_at = next_due(worker.run.sync().cadence, worker.time_zone, state->loaded_at);
  while (true) {
    std::uint64_t asked = 0;
    {
      std::unique_lock lock(worker.mutex);
      while (!worker.ending && worker.asked == worker.served && core_.now() < worker.next_at)
        worker.changed.wait_for(lock, kLook);
      if (worker.ending) return;
      asked = worker.asked;
    }
    std::optional<Error> outcome;
    const auto state = worker.run.state();
    if (!state) {
      outcome = state.error();
    } else if (state->paused) {
      outcome = Error{Error::Code::conflict, "the sync is paused; `tailrace resume` lets it go on"};
      worker.say("paused");
    } else {
      worker.say("loading");
      while (true) {
        const auto more = worker.run.step();
        if (!more) outcome = more.error();
        if (!more || !*more) break;
      }
    }
    const Time now = core_.now();
    std::unique_lock lock(worker.mutex);
    const bool is_stopped =
        outcome && outcome->code != Error::Code::unavailable && outcome->code != Error::Code::conflict;
    if (!outcome) {
      wait = kRetryFirst;
      worker.doing = "idle";
      worker.next_at = next_due(worker.run.sync().cadence, worker.time_zone, now);
    } else if (state && state->paused) {
      worker.next_at = now + kRetryMost;
    } else {
      if (!worker.ending)
        spdlog::error("sync \"{}\" {}: {}", worker.name, is_stopped ? "stopped" : "waits", outcome->message);
      worker.doing = is_stopped ? "stopped: " + outcome->message
                                : fmt::format("waiting for {}s: {}", wait.count / 1000, outcome->message);
      worker.next_at = now + (is_stopped ? kRetryMost : wait);
      wait = std::min(Millis{wait.count * 2}, kRetryMost);
    }
    worker.outcome = outcome;
    worker.served = asked;
    lock.unlock();
    worker.changed.notify_all();
  }
}

Result<std::shared_ptr<Warehouses::Worker>> Warehouses::find(const std::string& sync) {
  follower_.catch_up();
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(workers_, sync, [](const auto& worker) { return worker->name; });
  if (found == workers_.end())
    return fail(Error::Code::not_found, fmt::format("there is no warehouse sync \"{}\" that runs", sync));
  return *found;
}

Result<void> Warehouses::load_now(const std::string& sync) {
  const auto worker = TRY(find(sync));
  std::unique_lock lock(worker->mutex);
  const std::uint64_t mine = ++worker->asked;
  worker->changed.notify_all();
  worker->changed.wait(lock, [&] { return worker->served >= mine || worker->ending; });
  if (worker->served < mine) return fail(Error::Code::unavailable, "given up, because the sync ends");
  if (worker->outcome) return std::unexpected(*worker->outcome);
  return {};
}

Result<void> Warehouses::set_paused(const std::string& sync, bool paused) {
  const auto worker = TRY(find(sync));
  TRY(worker->run.set_paused(paused));
  {
    const std::lock_guard lock(worker->mutex);
    worker->doing = paused ? "paused" : "idle";
    if (!paused) worker->next_at = kForeverAgo;
  }
  worker->changed.notify_all();
  return {};
}

Result<std::vector<WarehouseStatus>> Warehouses::status() {
  std::vector<std::shared_ptr<Worker>> workers;
  {
    const std::lock_guard lock(mutex_);
    workers = workers_;
  }
  const Position applied = core_.call([&](engine::Engine&) { return core_.applied(); });
  std::vector<WarehouseStatus> all;
  for (const auto& worker : workers) {
    WarehouseStatus& one = all.emplace_back();
    one.sync = worker->name;
    one.destination = worker->destination;
    one.type = worker->type;
    one.state = TRY(worker->run.state());
    one.behind_bytes = applied.value - std::min(one.state.log, applied).value;
    const std::lock_guard lock(worker->mutex);
    one.doing = worker->doing;
  }
  return all;
}

// What all warehouses have.
void Warehouses::drop_deliveries() {
  std::optional<std::uint64_t> before;
  {
    const std::lock_guard lock(mutex_);
    if (workers_.empty()) return;
  }
  const auto status = this->status();
  if (!status) return spdlog::error("warehouses: {}", status.error().message);
  for (const auto& one : *status) {
    if (one.state.begun) before = std::min(before.value_or(one.state.deliveries), one.state.deliveries);
  }
  if (!before || *before == 0) return;
  const auto dropped =
      core_.with_ledger([&](delivery::Ledger& ledger) { return ledger.drop_deliveries(*before); });
  if (!dropped) spdlog::error("warehouses: {}", dropped.error().message);
}

Result<void> load_resting(Core& core, const workspace::Workspace& workspace, const std::string& sync,
                          const std::string& folder) {
  const auto* config = workspace.find_warehouse(sync);
  if (config == nullptr)
    return fail(Error::Code::not_found, fmt::format("there is no warehouse sync \"{}\"", sync));
  auto connection = TRY(connect_warehouse(workspace, *config, secrets_of(folder), folder));
  const auto client = TRY(io::HttpClient::start(kWarehouseClient));
  const std::string directory = packs_directory(core);
  TRY(core.disk().make_directories(directory));
  WarehouseTransport transport(
      *client, core.disk(),
      {.reach = connection.reach, .now = [&core] { return core.now(); }, .read_csv = columnar::read_csv});
  WarehouseRun run(core, workspace, std::move(connection), transport, {.directory = directory});
  while (TRY(run.step())) {
  }
  return {};
}

Result<std::vector<WarehouseStatus>> resting_status(Core& core, const workspace::Workspace& workspace) {
  const Position applied = core.call([&](engine::Engine&) { return core.applied(); });
  std::vector<WarehouseStatus> all;
  for (const auto& sync : workspace.warehouses) {
    WarehouseStatus& one = all.emplace_back();
    one.sync = sync.name;
    one.destination = sync.destination;
    const auto* destination = workspace.find_destination(sync.destination);
    if (destination != nullptr) one.type = destination->type;
    one.state =
        TRY(core.with_ledger([&](delivery::Ledger& ledger) { return ledger.warehouse_state(sync.name); }));
    one.behind_bytes = applied.value - std::min(one.state.log, applied).value;
    one.doing = sync.is_retired()                   ? "retired"
                : one.state.paused                  ? "paused"
                : !one.state.stopped_reason.empty() ? "stopped: " + one.state.stopped_reason
                                                    : "not running: `tailrace serve` loads";
  }
  return all;
}

}  // namespace tailrace::server
