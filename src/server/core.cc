#include "server/core.h"

#include <chrono>

#include <spdlog/spdlog.h>

#include "base/thread_name.h"
#include "io/system_clock.h"
#include "server/log_compression.h"
#include "server/metrics.h"
#include "server/queries/queries.h"
#include "server/warehouse/warehouses.h"

namespace tailrace::server {

Core::Core(Disk& disk, Options options, Clock clock)
    : disk_(disk), options_(std::move(options)), clock_(std::move(clock)) {}

Result<std::unique_ptr<Core>> Core::start(Disk& disk, Options options, Clock clock) {
  std::unique_ptr<Core> core(new Core(disk, std::move(options), std::move(clock)));
  auto store = TRY(Store::open(disk, core->options_.store));
  auto ledger = TRY(delivery::Ledger::open(core->options_.store.directory + "/ledger"));
  core->pipeline_ = TRY(Pipeline::open(std::move(store), std::move(ledger), core->clock_()));
  auto source = std::make_shared<SecretSource>(core->options_.secrets_folder);
  core->secrets_ = SecretSource::secrets(source);
  const Secrets& secrets = core->secrets_;
  if (const auto* workspace = core->pipeline_->engine().workspace(); core->options_.deliver && workspace)
    TRY(check_connections(*workspace, secrets, core->options_.running));
  const auto stamp = [raw = core.get()] {
    raw->committing_ = true;
    const Time pinned{raw->pinned_};
    return pinned == kNever ? raw->clock_() : pinned;
  };
  core->commit_ =
      std::make_unique<log::GroupCommit>(core->pipeline_->store().log(), log::GroupCommit::Options{}, stamp,
                                         [raw = core.get()](log::CommittedBatch batch) {
                                           const std::int64_t committed = io::stopwatch_nanoseconds();
                                           raw->queued_bytes_ += batch.bytes.size();
                                           {
                                             const std::lock_guard lock(raw->mutex_);
                                             raw->batches_.push_back({std::move(batch), committed});
                                             ++raw->arrived_batches_;
                                             raw->committing_ = false;
                                           }
                                           raw->arrived_.notify_one();
                                         });
  if (core->options_.deliver) {
    core->courier_ =
        TRY(Courier::start(core->pipeline_->ledger(), *core, *core, core->options_.secrets_folder,
                           std::move(source), core->clock_, [raw = core.get()](auto entries) {
                             raw->post([raw, entries = std::move(entries)](engine::Engine&) {
                               raw->pipeline_->enter(entries, raw->clock_());
                             });
                           }));
    core->pipeline_->deliver_to(*core->courier_, secrets, core->options_.running);
  }
  core->thread_ = std::thread([raw = core.get()] {
    name_thread("core");
    raw->run();
  });
  if (core->options_.deliver) {
    core->compression_ = std::make_unique<LogCompression>(core->pipeline_->store().log());
    // A pass of one sync loads no tables and asks nobody else.
    if (core->options_.running.pass_of.empty()) {
      core->warehouses_ = TRY(Warehouses::start(
          *core, disk, {.directory = packs_directory(*core), .folder = core->options_.secrets_folder}));
      core->queries_ = TRY(Queries::start(*core));
    }
  }
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
    tasks_.push_back({std::move(work), arrived_batches_});
  }
  arrived_.notify_one();
}

void Core::post_soon(std::function<void(engine::Engine&)> work) {
  {
    const std::lock_guard lock(mutex_);
    urgent_.push_back(std::move(work));
  }
  arrived_.notify_one();
}

void Core::do_urgent() {
  std::deque<std::function<void(engine::Engine&)>> urgent;
  {
    const std::lock_guard lock(mutex_);
    urgent.swap(urgent_);
  }
  for (const auto& task : urgent) task(pipeline_->engine());
}

// Where batches come without a pause there is no moment at which all has been applied.
std::function<void(engine::Engine&)> Core::take_task_in_flood() {
  const std::lock_guard lock(mutex_);
  if (batches_.empty() || tasks_.empty() || tasks_.front().after > applied_batches_) return nullptr;
  auto work = std::move(tasks_.front().work);
  tasks_.pop_front();
  return work;
}

Result<void> Core::wait_until_live(const std::function<bool()>& gone) {
  while (true) {
    if (gone()) {
      return tailrace::fail(Error::Code::unavailable,
                            "not waited for any longer: it goes live by itself, once it is filled");
    }
    const bool pending = call([](engine::Engine& engine) { return engine.work_pending(); });
    if (failed_) return tailrace::fail(Error::Code::io, "the store has failed; see the log");
    if (!pending) return {};
  }
}

void Core::run() {
  pipeline_->start_delivery();
  while (true) {
    std::deque<Arrival> batches;
    std::function<void(engine::Engine&)> task;
    {
      std::unique_lock lock(mutex_);
      const bool busy = pipeline_->engine().work_pending() && !failed_;
      if (!busy && batches_.empty() && tasks_.empty() && urgent_.empty() && !stopping_) {
        const Millis wait =
            std::max(Millis{0}, std::min(pipeline_->engine().next_change() - clock_(), kSecond));
        arrived_.wait_for(lock, std::chrono::milliseconds(wait.count), [&] {
          return !batches_.empty() || !tasks_.empty() || !urgent_.empty() || stopping_;
        });
      }
      batches = std::move(batches_);
      batches_.clear();
      // A task sees what was committed before it was posted: it waits while there are batches.
      if (batches.empty() && !tasks_.empty()) {
        task = std::move(tasks_.front().work);
        tasks_.pop_front();
      }
      if (stopping_ && batches.empty() && !task && urgent_.empty()) return;
    }
    do_urgent();
    for (const auto& arrival : batches) {
      if (!failed_) apply(arrival);
      queued_bytes_ -= arrival.batch.bytes.size();
      ++applied_batches_;
      do_urgent();
    }
    if (!task) task = take_task_in_flood();
    if (failed_) {
      if (task) task(pipeline_->engine());
      continue;
    }
    // Not beyond the stamp of records that are on their way: what fires before them and what after is decided
    // by their stamp. So the clock is read first.
    if (const Time now = clock_(); batches.empty() && !committing_) {
      if (auto passed = pipeline_->let_time_pass(now); !passed) fail(passed.error());
    }
    if (!failed_ && pipeline_->engine().work_pending()) {
      if (auto worked = pipeline_->work(clock_()); !worked) fail(worked.error());
    }
    look_after_snapshot();
    pipeline_->start_delivery();
    if (task) task(pipeline_->engine());
    if (pipeline_->redaction_due(clock_()) && stillnesses_ == 0) redact();
  }
}

void Core::apply(const Arrival& arrival) {
  const auto changed = [&] {
    metrics().apply_lag.observe(io::stopwatch_nanoseconds() - arrival.committed_ns);
  };
  if (auto applied = pipeline_->apply(arrival.batch, clock_(), changed); !applied)
    return fail(applied.error());
  if (pipeline_->records_since_snapshot() >= options_.snapshot_every_records) save_snapshot();
}

// In a copy of this process: writing takes seconds where there are tens of millions of events, and records
// must not wait for it.
void Core::save_snapshot() {
  if (!pipeline_->can_save_snapshot()) return;
  if (snapshot_ != nullptr) return;  // the one before is being written
  if (auto committed = pipeline_->store().commit_changes(); !committed) {
    spdlog::error("no snapshot: {}", committed.error().message);
    return;
  }
  pipeline_->snapshot_begun();
  auto child = io::ChildProcess::start([store = &pipeline_->store(), applied = pipeline_->applied()] {
    return store->save_snapshot(applied).has_value();
  });
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

void Core::redact() {
  if (!pipeline_->redaction_pending()) return;
  snapshot_.reset();  // one that is being written is from before
  const auto redacted = commit_->between_commits(
      [&](log::Log& log) -> Result<void> { return pipeline_->redact(log, clock_()); });
  if (!redacted) {
    spdlog::error("deleted people are still in the log, to be tried again in a minute: {}",
                  redacted.error().message);
    return;
  }
  save_snapshot();
}

Core::Stillness::Stillness(Core& core) : core_(core) {
  core_.call([this](engine::Engine&) {
    if (!core_.failed_ && core_.stillnesses_ == 0) core_.redact();
    ++core_.stillnesses_;
    return true;
  });
  files_ = core_.store().log().keep_files();
}
Core::Stillness::~Stillness() {
  core_.call([this](engine::Engine&) {
    --core_.stillnesses_;
    return true;
  });
}

void Core::fail(const Error& error) {
  failed_ = true;
  spdlog::critical("the engine stopped: {}. Records on disk are safe; mend the cause and start again",
                   error.message);
}

std::vector<PersonProfile> Core::profiles(std::span<const PersonId> people) {
  const std::vector<PersonId> wanted(people.begin(), people.end());
  return call_soon([this, wanted](engine::Engine&) { return pipeline_->profiles(wanted); });
}

PersonId Core::person_limit() {
  return call_soon([this](engine::Engine&) { return pipeline_->person_limit(); });
}

Result<delivery::EventSource::Page> Core::judged(LoggedRecords records, const Question& question) {
  return call_soon([&](engine::Engine& engine) -> Result<Page> {
    if (failed_) return tailrace::fail(Error::Code::unavailable, "the engine stopped; see the log");
    return judge(engine, pipeline_->applied(), std::move(records), question);
  });
}

Result<delivery::EventSource::Page> Core::read(Position from, Position until, std::size_t records,
                                               const Question& question) {
  return judged(TRY(read_records(store().log(), from, until, records)), question);
}

Result<std::vector<delivery::LoggedEvent>> Core::at(std::span<const Position> positions,
                                                    const Question& question) {
  auto page = TRY(judged(TRY(read_records(store().log(), positions)), question));
  return std::move(page.events);
}

Result<void> Core::stop(Millis grace) {
  if (!thread_.joinable()) return {};
  compression_.reset();
  if (queries_ != nullptr) queries_->stop();        // it writes the log
  if (warehouses_ != nullptr) warehouses_->stop();  // it asks the core and the courier
  if (courier_) courier_->stop(grace);              // it may ask for profiles: the core thread still runs
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
  const bool cut_off = snapshot_ != nullptr && snapshot_->state() != io::ChildProcess::State::succeeded;
  snapshot_.reset();
  // With a deletion unfinished, the log is replayed at the next start, and the deletion finished.
  const bool is_new = cut_off || pipeline_->records_since_snapshot() > 0;
  if (failed_ || !is_new || !pipeline_->can_save_snapshot()) return {};
  TRY(pipeline_->store().save_snapshot(pipeline_->applied()));
  return {};
}

}  // namespace tailrace::server
