// One log for many producers: whatever was submitted while the last sync ran goes into the next one.
//
//   GroupCommit group(*log, {}, clock, [&](CommittedBatch batch) { engine.push(std::move(batch)); });
//   TRY(group.submit(std::move(bytes), std::move(ends), [](Result<CommittedRange> range) { ... answer ...
//   }));
//
// One thread writes: it appends all that waits, commits once, hands the batch on, and calls the producers
// back in order. Callbacks and the consumer run on that thread; while they do, nothing is committed, so they
// should be short. A consumer that blocks is back-pressure: submissions pile up to the limit and are refused.
//
// Everything here is thread-safe. The log must outlive this and belongs to it alone, but for its readers.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "log/log.h"

namespace tailrace::log {

// Records that are on disk, as they stand in the log (received_at stamped), with their bytes.
struct CommittedBatch {
  Position first;                   // of the first record
  Position next;                    // where the log goes on
  std::string bytes;                // the records, one behind the other
  std::vector<std::uint32_t> ends;  // where each ends in bytes
  std::vector<Position> positions;  // of each
  Time received_at;                 // of all of them

  std::size_t size() const { return ends.size(); }
  std::string_view record(std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(bytes).substr(begin, ends[i] - begin);
  }
};

// Where the records of one submission went: [begin, end) holds them all, and none of another's.
struct CommittedRange {
  Position begin;
  Position end;
};

class GroupCommit {
 public:
  // Beyond 1 GiB the ends of a batch would not fit into 32 bits.
  static constexpr std::size_t kMaxPendingBytesMax = std::size_t{1} << 30;
  struct Options {
    std::size_t max_pending_bytes = std::size_t{64} << 20;  // submitted and not yet committed
  };
  using Clock = std::function<Time()>;
  using Done = std::function<void(Result<CommittedRange>)>;
  using Consumer = std::function<void(CommittedBatch)>;

  GroupCommit(Log& log, Options options, Clock clock, Consumer on_committed);
  ~GroupCommit();  // stops
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // Records as model/record.h encodes them, one behind the other; ends[i] is where record i ends in bytes.
  // Once this returns without an error, `done` is called exactly once: with the range when all of them are
  // on disk, or with the io error that stopped the log. Errors here, and then `done` is never called:
  // unavailable (too much waits, or stopping: try again later), invalid_argument (no records, ends that do
  // not fit, a record of a forbidden length, more than max_pending_bytes at once).
  Result<void> submit(std::string bytes, std::vector<std::uint32_t> ends, Done done);

  // Runs work on the writing thread while nothing else writes, for Log::redact, and returns what it returned.
  // What was submitted before is committed before. Not from a callback. Errors: unavailable (stopping).
  Result<void> between_commits(std::function<Result<void>(Log&)> work);

  // Commits all that was submitted, calls everybody back, and ends the thread. Later submissions are refused.
  void stop();

 private:
  struct Submission {
    std::string bytes;
    std::vector<std::uint32_t> ends;
    Done done;
  };
  struct Errand {
    std::function<Result<void>(Log&)> work;
    Result<void> result;
    bool finished = false;
  };

  void run();
  void commit(std::vector<Submission> submissions);
  Result<CommittedBatch> write(const std::vector<Submission>& submissions,
                               std::vector<CommittedRange>& ranges);
  void run_errands(const std::vector<Errand*>& errands);

  Log& log_;
  const Options options_;
  const Clock clock_;
  const Consumer on_committed_;

  std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::condition_variable errand_finished_;
  std::vector<Submission> waiting_;
  std::vector<Errand*> errands_;
  std::size_t pending_bytes_ = 0;
  bool stopping_ = false;
  std::once_flag joined_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tailrace::log
