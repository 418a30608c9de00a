// The running store: the log's writer, the engine on a thread of its own, and (in `serve`) delivery.
//
//   producers (HTTP, imports) -> GroupCommit -> log, fsync -> core thread: engine.apply -> deltas -> courier
//
// Everything that reads or changes the engine runs on the core thread, by call() or post(). Between records
// it lets time pass, and fills a new workspace's columns in slices.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "io/child_process.h"
#include "log/group_commit.h"
#include "server/courier.h"
#include "server/event_log.h"
#include "server/pipeline.h"

namespace tailrace::server {

class LogCompression;
class Queries;
class Warehouses;

class Core final : public delivery::ProfileSource, public delivery::EventSource {
 public:
  struct Options {
    Store::Options store;
    bool deliver = false;             // with a courier
    Running running = {};             // which of its syncs
    std::string secrets_folder = {};  // what `file:` references are relative to
    // Committed but not yet applied, before producers are refused.
    std::size_t queue_bytes_max = std::size_t{256} << 20;
    std::uint64_t snapshot_every_records = 5'000'000;
  };
  using Clock = std::function<Time()>;

  static Result<std::unique_ptr<Core>> start(Disk& disk, Options options, Clock clock);
  ~Core() override;  // stops

  // Commits records; `done` is called when they are on disk. Errors: unavailable (answer 429),
  // invalid_argument.
  Result<void> submit(std::string bytes, std::vector<std::uint32_t> ends, log::GroupCommit::Done done);
  // The same, waiting.
  Result<log::CommittedRange> submit_and_wait(std::string bytes, std::vector<std::uint32_t> ends);
  // Stamps records with this instant instead of the clock's, until it is taken back. Never earlier than the
  // log's last.
  void pin_clock(std::optional<Time> instant);

  // Runs work on the core thread and waits for its answer. All records committed before have been applied.
  // The engine has been brought to the present. Not from the core thread.
  template <class Work>
  auto call(Work work) {
    using Answer = decltype(work(std::declval<engine::Engine&>()));
    auto task = std::make_shared<std::packaged_task<Answer(engine::Engine&)>>(std::move(work));
    auto answer = task->get_future();
    post([task](engine::Engine& engine) { (*task)(engine); });
    return answer.get();
  }
  void post(std::function<void(engine::Engine&)> work);
  // As call(), between any two batches: what was committed may not be applied yet. For those who must not
  // wait until a flood of records is over, as delivery.
  template <class Work>
  auto call_soon(Work work) {
    using Answer = decltype(work(std::declval<engine::Engine&>()));
    auto task = std::make_shared<std::packaged_task<Answer(engine::Engine&)>>(std::move(work));
    auto answer = task->get_future();
    post_soon([task](engine::Engine& engine) { (*task)(engine); });
    return answer.get();
  }
  // Held by an import: two at once would both count from what the log holds of a file, and write its lines
  // twice.
  std::mutex& one_import() { return one_import_; }
  // Held by a backup: two at once would make their copies of the ledger in one place.
  std::mutex& one_backup() { return one_backup_; }
  // Waits until a workspace that was applied is live. gone: asked now and then; true ends the wait with
  // `unavailable`.
  Result<void> wait_until_live(const std::function<bool()>& gone);

  // While it exists, the files of the log stay as they are, but for the one that is written: deletions wait,
  // after those that are pending were carried out, and so does compression. Not from the core thread.
  class Stillness {
   public:
    explicit Stillness(Core& core);
    ~Stillness();
    Stillness(const Stillness&) = delete;
    Stillness& operator=(const Stillness&) = delete;

   private:
    Core& core_;
    std::shared_lock<std::shared_mutex> files_;
  };

  Courier* courier() { return courier_.get(); }
  Warehouses* warehouses() { return warehouses_.get(); }  // in `serve`
  const Secrets& secrets() const {
    return secrets_;
  }  // of the store's folder; programs are not run each time
  Queries* queries() { return queries_.get(); }  // likewise
  // Reads the ledger on the thread that owns it. Not from the core thread.
  template <class Work>
  auto with_ledger(Work work) {
    if (courier_ == nullptr) return work(pipeline_->ledger());
    return courier_->call([&](delivery::Delivery*) { return work(pipeline_->ledger()); });
  }
  Store& store() { return pipeline_->store(); }
  Disk& disk() { return disk_; }
  const std::string& directory() const { return options_.store.directory; }
  const std::string& folder() const { return options_.secrets_folder; }  // the workspace's
  Time now() const { return clock_(); }
  // A new workspace that is being filled. On the core thread.
  std::optional<Pipeline::Filling> filling() const { return pipeline_->filling(); }
  // True once the engine met an error it cannot go on from (the store's disk fails); nothing is accepted any
  // more.
  bool failed() const { return failed_; }
  // All before it. On the core thread.
  Position applied() const { return pipeline_->applied(); }
  std::size_t queued_bytes() const { return queued_bytes_; }

  std::vector<PersonProfile> profiles(std::span<const PersonId> people) override;
  PersonId person_limit() override;

  // For streams: the log is read on the caller's thread, and judged on the core's. Errors besides:
  // unavailable (the engine stopped).
  Result<Page> read(Position from, Position until, std::size_t records, const Question& question) override;
  Result<std::vector<delivery::LoggedEvent>> at(std::span<const Position> positions,
                                                const Question& question) override;
  Position begin() override { return store().log().begin(); }
  Position end() override { return store().log().committed(); }
  Result<Position> received_since(Time instant) override { return store().log().received_since(instant); }

  // Takes nothing new, applies what was committed, ends delivery, saves a snapshot, unless a workspace is
  // being filled. Errors: io (the snapshot; the log has all).
  Result<void> stop(Millis grace);

 private:
  Core(Disk& disk, Options options, Clock clock);
  void run();
  struct Arrival {
    log::CommittedBatch batch;
    std::int64_t committed_ns;  // io::stopwatch_nanoseconds() when it was on disk
  };
  void apply(const Arrival& arrival);
  void post_soon(std::function<void(engine::Engine&)> work);
  void do_urgent();
  // The next task, where all it is to see was applied. Null: there is none.
  std::function<void(engine::Engine&)> take_task_in_flood();
  Result<Page> judged(LoggedRecords records, const Question& question);
  void redact();
  void save_snapshot();
  void look_after_snapshot();
  void fail(const Error& error);

  Disk& disk_;
  Options options_;
  Clock clock_;
  std::unique_ptr<Pipeline> pipeline_;  // of the core thread, but for the ledger
  std::unique_ptr<log::GroupCommit> commit_;
  std::unique_ptr<LogCompression> compression_;
  std::unique_ptr<Courier> courier_;
  std::unique_ptr<Warehouses> warehouses_;
  Secrets secrets_;
  std::unique_ptr<Queries> queries_;
  std::unique_ptr<io::ChildProcess> snapshot_;  // being written
  int stillnesses_ = 0;                         // of the core thread

  std::atomic<bool> failed_{false};
  std::atomic<bool> committing_{false};  // a stamp was given to records that have not reached the mailbox
  std::atomic<std::int64_t> pinned_{kNever.ms};
  std::atomic<std::size_t> queued_bytes_{0};

  std::mutex one_import_;
  std::mutex one_backup_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Arrival> batches_;
  std::uint64_t arrived_batches_ = 0;
  std::uint64_t applied_batches_ = 0;  // of the core thread
  struct Task {
    std::function<void(engine::Engine&)> work;
    std::uint64_t after;  // so many batches have been applied
  };
  std::deque<Task> tasks_;
  std::deque<std::function<void(engine::Engine&)>> urgent_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tailrace::server
