#include "log/group_commit.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/thread_name.h"
#include "model/record.h"

namespace tailrace::log {
namespace {

Result<void> check_records(const std::string& bytes, const std::vector<std::uint32_t>& ends) {
  if (ends.empty()) return invalid("nothing was submitted to the log");
  std::uint32_t begin = 0;
  for (const std::uint32_t end : ends) {
    if (end < begin || end - begin < kRecordBytesMin || end - begin > kRecordBytesMax) {
      return invalid(fmt::format("a record from byte {} to {} is submitted; records have {} to {} bytes",
                                 begin, end, kRecordBytesMin, kRecordBytesMax));
    }
    begin = end;
  }
  if (begin != bytes.size()) {
    return invalid(fmt::format("the last record ends at byte {} of {} submitted", begin, bytes.size()));
  }
  return {};
}

}  // namespace

GroupCommit::GroupCommit(Log& log, Options options, Clock clock, Consumer on_committed)
    : log_(log), options_(options), clock_(std::move(clock)), on_committed_(std::move(on_committed)) {
  TR_ASSERT(options_.max_pending_bytes <= kMaxPendingBytesMax);
  thread_ = std::thread([this] {
    name_thread("log-writer");
    run();
  });
}

GroupCommit::~GroupCommit() { stop(); }

Result<void> GroupCommit::submit(std::string bytes, std::vector<std::uint32_t> ends, Done done) {
  TRY(check_records(bytes, ends));
  if (bytes.size() > options_.max_pending_bytes) {
    return invalid(fmt::format("{} bytes are submitted at once; at most {} can wait: split them",
                               bytes.size(), options_.max_pending_bytes));
  }
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return fail(Error::Code::unavailable, "the log is being closed; try again later");
    if (bytes.size() > options_.max_pending_bytes - pending_bytes_) {
      return fail(Error::Code::unavailable, "records come faster than the disk takes them; try again later");
    }
    pending_bytes_ += bytes.size();
    waiting_.push_back({std::move(bytes), std::move(ends), std::move(done)});
  }
  work_arrived_.notify_one();
  return {};
}

Result<void> GroupCommit::between_commits(std::function<Result<void>(Log&)> work) {
  Errand errand{.work = std::move(work), .result = {}};
  std::unique_lock lock(mutex_);
  if (stopping_) return fail(Error::Code::unavailable, "the log is being closed; try again later");
  errands_.push_back(&errand);
  work_arrived_.notify_one();
  errand_finished_.wait(lock, [&] { return errand.finished; });
  return errand.result;
}

void GroupCommit::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  work_arrived_.notify_one();
  std::call_once(joined_, [this] { thread_.join(); });
}

void GroupCommit::run() {
  for (;;) {
    std::vector<Submission> submissions;
    std::vector<Errand*> errands;
    {
      std::unique_lock lock(mutex_);
      work_arrived_.wait(lock, [&] { return stopping_ || !waiting_.empty() || !errands_.empty(); });
      if (waiting_.empty() && errands_.empty()) return;
      submissions.swap(waiting_);
      errands.swap(errands_);
    }
    if (!submissions.empty()) commit(std::move(submissions));
    run_errands(errands);
  }
}

void GroupCommit::commit(std::vector<Submission> submissions) {
  std::vector<CommittedRange> ranges;
  auto batch = write(submissions, ranges);
  std::size_t bytes = 0;
  for (const auto& submission : submissions) bytes += submission.bytes.size();
  {
    const std::scoped_lock lock(mutex_);
    pending_bytes_ -= bytes;
  }
  // The consumer first: who was called back finds the records there.
  const bool written = batch.has_value();
  if (written) on_committed_(std::move(*batch));
  for (std::size_t i = 0; i < submissions.size(); ++i) {
    if (written) {
      submissions[i].done(ranges[i]);
    } else {
      submissions[i].done(std::unexpected(batch.error()));
    }
  }
}

Result<CommittedBatch> GroupCommit::write(const std::vector<Submission>& submissions,
                                          std::vector<CommittedRange>& ranges) {
  CommittedBatch batch;
  // The log stamps this very time, so that the batch can be stamped without reading it back.
  batch.received_at = std::max(clock_(), log_.last_received_at());
  std::size_t bytes = 0, records = 0;
  for (const auto& submission : submissions) {
    bytes += submission.bytes.size();
    records += submission.ends.size();
  }
  batch.bytes.reserve(bytes);
  batch.ends.reserve(records);
  batch.positions.reserve(records);
  ranges.reserve(submissions.size());
  for (const auto& submission : submissions) {
    std::size_t begin = batch.bytes.size();
    const std::size_t base = begin;
    const std::size_t first = batch.positions.size();
    batch.bytes += submission.bytes;
    for (const std::uint32_t end : submission.ends) {
      stamp_received_at(batch.bytes, begin, batch.received_at);
      const std::string_view record = std::string_view(batch.bytes).substr(begin, base + end - begin);
      batch.positions.push_back(TRY(log_.append(record, batch.received_at)));
      begin = base + end;
      batch.ends.push_back(static_cast<std::uint32_t>(begin));
    }
    ranges.push_back({batch.positions[first], log_.end()});
  }
  TRY(log_.commit());
  batch.first = batch.positions.front();
  batch.next = log_.end();
  return batch;
}

void GroupCommit::run_errands(const std::vector<Errand*>& errands) {
  for (Errand* errand : errands) {
    auto result = errand->work(log_);
    const std::scoped_lock lock(mutex_);
    errand->result = std::move(result);
    errand->finished = true;
    errand_finished_.notify_all();
  }
}

}  // namespace tailrace::log
