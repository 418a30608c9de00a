// What the log must survive: a run of commits, rotations, compressions, a redaction and a reopening, stopped
// at every single operation, with every kind of loss. Nothing acknowledged is missing, nothing else is there
// but a beginning of what was under way.
#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "log/log.h"
#include "model/record.h"
#include "support/memory_disk.h"

namespace tailrace::log {
namespace {

using testing::MemoryDisk;
using Survives = MemoryDisk::Survives;

constexpr const char* kDirectory = "log";
constexpr Options kOptions{.file_bytes = 8192, .preallocate_bytes = 2048};
constexpr int kCommits = 24;
constexpr int kRedactAfterCommit = 14;
constexpr int kReopenAfterCommit = 8;
constexpr int kCompressEvery = 6;  // so that files are compressed before and after the redaction

// Record `number` of a run. Lengths differ, so that frames lie over sector borders in every way.
std::string numbered_record(int number) {
  const std::string event = std::to_string(number);
  const std::string payload(static_cast<std::size_t>(number * 97 % 1300),
                            static_cast<char>('a' + number % 26));
  RecordView record;
  record.kind = RecordKind::track;
  record.event = event;
  record.payload = payload;
  std::string bytes;
  EXPECT_TRUE(encode_record(record, bytes));
  return bytes;
}

struct Attempt {
  int appended = 0;
  int acknowledged = 0;
  std::vector<Position> positions;  // of what was appended
  std::vector<Position> redacted;   // or meant to be
  bool redaction_done = false;
  bool compressed = false;
};

std::vector<Position> every_third(const std::vector<Position>& positions) {
  std::vector<Position> chosen;
  for (std::size_t i = 0; i < positions.size(); i += 3) chosen.push_back(positions[i]);
  return chosen;
}

Result<void> commit_some(Log& log, int commit, Attempt& run) {
  for (int i = 0; i <= commit % 5; ++i) {
    ++run.appended;
    const auto position = log.append(numbered_record(run.appended - 1), Time{commit});
    if (!position) return std::unexpected(position.error());
    run.positions.push_back(*position);
  }
  TRY(log.commit());
  run.acknowledged = run.appended;
  return {};
}

// The whole run; ends at the first error.
Result<void> work(Disk& disk, Attempt& run) {
  auto log = TRY(Log::open(disk, kDirectory, kOptions));
  for (int commit = 0; commit < kCommits; ++commit) {
    TRY(commit_some(*log, commit, run));
    if (commit == kReopenAfterCommit) {
      log.reset();
      log = TRY(Log::open(disk, kDirectory, kOptions));
    }
    if (commit % kCompressEvery == kCompressEvery - 1) {
      while (TRY(log->compress_file())) run.compressed = true;
    }
    if (commit != kRedactAfterCommit) continue;
    run.redacted = every_third(run.positions);
    TRY(log->redact(run.redacted));
    run.redaction_done = true;
  }
  return {};
}

bool may_be_tombstone(const Attempt& run, Position position) {
  return std::ranges::count(run.redacted, position) > 0;
}

// Reads all and compares it with what was appended. Returns how many records there are.
int expect_prefix(const Log& log, const Attempt& run) {
  const auto reader = *log.read_from(Position{});
  Frame frame;
  int count = 0;
  for (;; ++count) {
    const auto more = reader->next(frame);
    EXPECT_TRUE(more) << more.error().message;
    if (!more || !*more) break;
    EXPECT_LT(count, run.appended) << "more than was ever appended";
    if (count >= run.appended) break;
    const auto record = decode_record(frame.record);
    EXPECT_TRUE(record);
    const auto index = static_cast<std::size_t>(count);
    if (index < run.positions.size()) {
      EXPECT_EQ(frame.position, run.positions[index]);
    }
    if (record->kind == RecordKind::tombstone) {
      EXPECT_TRUE(may_be_tombstone(run, frame.position)) << "record " << count;
      continue;
    }
    EXPECT_FALSE(run.redaction_done && may_be_tombstone(run, frame.position)) << "record " << count;
    std::string expected = numbered_record(count);
    stamp_received_at(expected, 0, record->received_at);
    EXPECT_EQ(frame.record, expected);
  }
  EXPECT_GE(count, run.acknowledged);
  return count;
}

// After whatever has happened: the log opens, holds what it must, and takes more. Twice, as mending must not
// leave behind what a second opening trips over.
void expect_recovers(Disk& disk, const Attempt& run) {
  {
    const auto log = Log::open(disk, kDirectory, kOptions);
    ASSERT_TRUE(log) << log.error().message;
    const int count = expect_prefix(**log, run);
    EXPECT_EQ((*log)->recovery().records, static_cast<std::uint64_t>(count));
    ASSERT_TRUE((*log)->append(numbered_record(1000), Time{}));
    ASSERT_TRUE((*log)->commit());
  }
  const auto again = Log::open(disk, kDirectory, kOptions);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ((*again)->recovery().cut_bytes, 0u);
  const auto verified = verify(disk, kDirectory);
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_THAT(verified->damage, ::testing::IsEmpty());
  EXPECT_EQ(verified->records, (*again)->recovery().records);
}

std::uint64_t operations_of_a_whole_run() {
  MemoryDisk disk;
  Attempt run;
  EXPECT_TRUE(work(disk, run));
  EXPECT_EQ(run.acknowledged, run.appended);
  EXPECT_TRUE(run.redaction_done);
  EXPECT_TRUE(run.compressed);
  const std::uint64_t operations = disk.operations();
  EXPECT_GT(disk.list(kDirectory)->size(), 2u) << "the run rotates";
  return operations;
}

void expect_recovery_from_a_stop_at_every_operation(Survives survives, std::uint64_t seeds) {
  const std::uint64_t operations = operations_of_a_whole_run();
  for (std::uint64_t stop = 0; stop <= operations; ++stop) {
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      SCOPED_TRACE(fmt::format("stopped after operation {} of {}, seed {}", stop, operations, seed));
      MemoryDisk disk;
      Attempt run;
      disk.stop_after(stop);
      (void)work(disk, run);
      disk.crash(survives, seed);
      expect_recovers(disk, run);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(Crash, at_every_operation_when_all_that_was_written_survives) {
  expect_recovery_from_a_stop_at_every_operation(Survives::everything, 1);
}

TEST(Crash, at_every_operation_when_only_what_was_synced_survives) {
  expect_recovery_from_a_stop_at_every_operation(Survives::nothing, 1);
}

TEST(Crash, at_every_operation_when_any_sectors_survive) {
  expect_recovery_from_a_stop_at_every_operation(Survives::some, 20);
}

TEST(Crash, during_recovery_from_a_crash_is_survived_too) {
  const std::uint64_t operations = operations_of_a_whole_run();
  Random random(1);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    MemoryDisk disk;
    Attempt run;
    disk.stop_after(random.below(operations));
    (void)work(disk, run);
    disk.crash(Survives::some, seed);
    for (int again = 0; again < 3; ++again) {
      disk.stop_after(random.below(40));
      (void)Log::open(disk, kDirectory, kOptions);
      disk.crash(Survives::some, seed + 1);
    }
    expect_recovers(disk, run);
    if (HasFailure()) return;
  }
}

// The process goes on, or is started again on a running machine; later there is a power cut as well.
TEST(Fault, in_every_operation_loses_nothing_acknowledged_and_is_reported) {
  const std::uint64_t operations = operations_of_a_whole_run();
  for (std::uint64_t n = 1; n <= operations; ++n) {
    SCOPED_TRACE(fmt::format("operation {} of {} fails", n, operations));
    MemoryDisk disk;
    Attempt run;
    disk.fail_operation(n);
    EXPECT_FALSE(work(disk, run)) << "a failure must not be swallowed";
    expect_recovers(disk, run);
    if (HasFailure()) return;
  }
}

TEST(Fault, what_a_reopened_log_has_shown_survives_a_power_cut) {
  const std::uint64_t operations = operations_of_a_whole_run();
  for (std::uint64_t n = 1; n <= operations; ++n) {
    SCOPED_TRACE(fmt::format("operation {} of {} fails", n, operations));
    MemoryDisk disk;
    Attempt run;
    disk.fail_operation(n);
    (void)work(disk, run);
    {
      const auto log = Log::open(disk, kDirectory, kOptions);
      ASSERT_TRUE(log) << log.error().message;
      run.acknowledged = expect_prefix(**log, run);
    }
    disk.crash(Survives::nothing);
    expect_recovers(disk, run);
    if (HasFailure()) return;
  }
}

TEST(Fault, while_opening_changes_nothing_for_the_next_opening) {
  MemoryDisk whole;
  Attempt run;
  ASSERT_TRUE(work(whole, run));
  const std::uint64_t before = whole.operations();
  ASSERT_TRUE(Log::open(whole, kDirectory, kOptions));
  const std::uint64_t operations = whole.operations() - before;
  for (std::uint64_t n = 1; n <= operations; ++n) {
    whole.fail_operation(n);
    EXPECT_FALSE(Log::open(whole, kDirectory, kOptions)) << n;
    const auto log = Log::open(whole, kDirectory, kOptions);
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ(expect_prefix(**log, run), run.appended);
  }
}

}  // namespace
}  // namespace tailrace::log
