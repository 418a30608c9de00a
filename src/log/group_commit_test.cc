#include "log/group_commit.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/record.h"
#include "support/memory_disk.h"

namespace tailrace::log {
namespace {

using ::testing::HasSubstr;
using testing::MemoryDisk;

constexpr const char* kDirectory = "log";
constexpr Time kNoon{1'772'366'400'000};

void add_record(std::string& bytes, std::vector<std::uint32_t>& ends, const std::string& event) {
  RecordView record;
  record.kind = RecordKind::track;
  record.event = event;
  EXPECT_TRUE(encode_record(record, bytes));
  ends.push_back(static_cast<std::uint32_t>(bytes.size()));
}

Result<void> submit(GroupCommit& group, const std::vector<std::string>& events, GroupCommit::Done done) {
  std::string bytes;
  std::vector<std::uint32_t> ends;
  for (const auto& event : events) add_record(bytes, ends, event);
  return group.submit(std::move(bytes), std::move(ends), std::move(done));
}

std::vector<std::string> events(const Log& log) {
  std::vector<std::string> names;
  const auto reader = *log.read_from(Position{});
  Frame frame;
  while (*reader->next(frame)) names.emplace_back(decode_record(frame.record)->event);
  return names;
}

// Holds the writing thread until it is let go, so that a test decides what waits meanwhile.
class Gate {
 public:
  std::function<Result<void>(Log&)> errand() {
    return [this](Log&) -> Result<void> {
      entered_.set_value();
      open_.get_future().wait();
      return {};
    };
  }
  void wait_until_entered() { entered_.get_future().wait(); }
  void let_go() { open_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> open_;
};

class GroupCommitTest : public ::testing::Test {
 protected:
  GroupCommitTest() : log_(*Log::open(disk_, kDirectory, {.file_bytes = 16384, .preallocate_bytes = 4096})) {}

  std::unique_ptr<GroupCommit> start(GroupCommit::Options options = {}) {
    return std::make_unique<GroupCommit>(
        *log_, options, [] { return kNoon; },
        [this](CommittedBatch batch) { batches_.push_back(std::move(batch)); });
  }

  MemoryDisk disk_;
  std::unique_ptr<Log> log_;
  std::vector<CommittedBatch> batches_;  // written by the writing thread; read it after stop
};

TEST_F(GroupCommitTest, answers_once_the_records_are_on_disk) {
  const auto group = start();
  std::promise<std::vector<std::string>> seen;
  ASSERT_TRUE(submit(*group, {"a", "b"}, [&](Result<CommittedRange> range) {
    ASSERT_TRUE(range);
    EXPECT_EQ(range->begin, log_->begin());
    EXPECT_EQ(range->end, log_->committed());
    seen.set_value(events(*log_));
  }));
  EXPECT_THAT(seen.get_future().get(), ::testing::ElementsAre("a", "b"));
}

TEST_F(GroupCommitTest, commits_all_that_waits_with_one_sync_and_hands_it_on_as_it_stands_in_the_log) {
  const auto group = start();
  Gate gate;
  std::thread errand([&] { EXPECT_TRUE(group->between_commits(gate.errand())); });
  gate.wait_until_entered();
  const auto syncs = disk_.syncs();
  std::vector<CommittedRange> ranges;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(submit(*group, {fmt::format("a{}", i), fmt::format("b{}", i)},
                       [&](Result<CommittedRange> range) { ranges.push_back(*range); }));
  }
  gate.let_go();
  errand.join();
  group->stop();
  EXPECT_EQ(disk_.syncs(), syncs + 1);
  ASSERT_EQ(batches_.size(), 1u);
  const CommittedBatch& batch = batches_[0];
  ASSERT_EQ(batch.size(), 20u);
  EXPECT_EQ(batch.first, log_->begin());
  EXPECT_EQ(batch.next, log_->end());
  EXPECT_EQ(batch.received_at, kNoon);
  std::string bytes;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    EXPECT_EQ(batch.record(i), *log_->read(batch.positions[i], bytes));
    EXPECT_EQ(received_at_of(batch.record(i)), kNoon);
  }
  ASSERT_EQ(ranges.size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(ranges[i].begin, batch.positions[2 * i]);
    EXPECT_EQ(ranges[i].end, i == 9 ? batch.next : batch.positions[2 * i + 2]);
  }
}

TEST_F(GroupCommitTest, stamps_what_the_log_stamps_when_the_clock_goes_back) {
  ASSERT_TRUE(log_->append(std::string(kRecordBytesMin, '\0'), kNoon + kHour));
  ASSERT_TRUE(log_->commit());
  const auto group = start();
  ASSERT_TRUE(submit(*group, {"a"}, [](auto) {}));
  group->stop();
  ASSERT_EQ(batches_.size(), 1u);
  EXPECT_EQ(batches_[0].received_at, kNoon + kHour);
  std::string bytes;
  EXPECT_EQ(batches_[0].record(0), *log_->read(batches_[0].first, bytes));
}

TEST_F(GroupCommitTest, refuses_what_does_not_fit_until_there_is_room_again) {
  std::string bytes;
  std::vector<std::uint32_t> ends;
  add_record(bytes, ends, "a");
  const auto group = start({.max_pending_bytes = 2 * bytes.size()});
  Gate gate;
  std::thread errand([&] { EXPECT_TRUE(group->between_commits(gate.errand())); });
  gate.wait_until_entered();
  std::promise<void> committed;
  EXPECT_TRUE(submit(*group, {"a"}, [](auto) {}));
  EXPECT_TRUE(submit(*group, {"b"}, [&](auto) { committed.set_value(); }));
  const auto refused =
      submit(*group, {"c"}, [](auto) { FAIL() << "a refused submission is not called back"; });
  EXPECT_EQ(refused.error().code, Error::Code::unavailable);
  gate.let_go();
  errand.join();
  committed.get_future().wait();
  EXPECT_TRUE(submit(*group, {"d"}, [](auto) {}));
  group->stop();
  EXPECT_THAT(events(*log_), ::testing::ElementsAre("a", "b", "d"));
}

TEST_F(GroupCommitTest, refuses_what_is_no_list_of_records) {
  const auto group = start({.max_pending_bytes = 100});
  const auto code = [&](std::string bytes, std::vector<std::uint32_t> ends) {
    return group->submit(std::move(bytes), std::move(ends), [](auto) { FAIL(); }).error().code;
  };
  EXPECT_EQ(code("", {}), Error::Code::invalid_argument);
  EXPECT_EQ(code(std::string(8, 'x'), {8}), Error::Code::invalid_argument) << "too short for a record";
  EXPECT_EQ(code(std::string(20, 'x'), {10}), Error::Code::invalid_argument) << "bytes behind the last end";
  EXPECT_EQ(code(std::string(20, 'x'), {10, 30}), Error::Code::invalid_argument);
  EXPECT_EQ(code(std::string(20, 'x'), {20, 10}), Error::Code::invalid_argument);
  EXPECT_EQ(code(std::string(101, 'x'), {101}), Error::Code::invalid_argument) << "would never fit";
}

TEST_F(GroupCommitTest, tells_everybody_when_the_disk_fails_and_hands_nothing_on) {
  const auto group = start();
  std::atomic<int> failed = 0;
  disk_.stop_after(0);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(submit(*group, {"a"}, [&](Result<CommittedRange> range) {
      ASSERT_FALSE(range);
      EXPECT_EQ(range.error().code, Error::Code::io);
      ++failed;
    }));
  }
  group->stop();
  EXPECT_EQ(failed, 5);
  EXPECT_TRUE(batches_.empty());
}

TEST_F(GroupCommitTest, drains_what_was_submitted_when_it_stops_and_takes_no_more) {
  const auto group = start();
  Gate gate;
  std::thread errand([&] { EXPECT_TRUE(group->between_commits(gate.errand())); });
  gate.wait_until_entered();
  std::atomic<int> answered = 0;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(submit(*group, {"a"}, [&](auto) { ++answered; }));
  gate.let_go();
  errand.join();
  group->stop();
  EXPECT_EQ(answered, 100);
  EXPECT_EQ(events(*log_).size(), 100u);
  EXPECT_EQ(submit(*group, {"b"}, [](auto) { FAIL(); }).error().code, Error::Code::unavailable);
  EXPECT_EQ(group->between_commits([](Log&) -> Result<void> { return {}; }).error().code,
            Error::Code::unavailable);
}

TEST_F(GroupCommitTest, redacts_between_commits) {
  const auto group = start();
  std::promise<Position> position;
  ASSERT_TRUE(submit(*group, {"a"}, [&](Result<CommittedRange> range) { position.set_value(range->begin); }));
  const Position at = position.get_future().get();
  ASSERT_TRUE(group->between_commits([&](Log& log) { return log.redact({at}); }));
  std::string bytes;
  EXPECT_EQ(decode_record(*log_->read(at, bytes))->kind, RecordKind::tombstone);
  EXPECT_EQ(group->between_commits([](Log&) -> Result<void> { return invalid("no"); }).error().message, "no");
}

TEST_F(GroupCommitTest, keeps_every_record_of_eight_producers_while_a_reader_follows) {
  constexpr int kProducers = 8;
  constexpr int kSubmissions = 200;
  const auto group = start({.max_pending_bytes = 4096});
  std::atomic<bool> done = false;
  std::vector<std::string> followed;
  std::thread follower([&] {
    const auto reader = *log_->read_from(Position{});
    Frame frame;
    for (bool last = false; !last;) {
      last = done;
      while (*reader->next(frame)) followed.emplace_back(decode_record(frame.record)->event);
    }
  });
  std::vector<std::vector<CommittedRange>> ranges(kProducers);  // each filled on the writing thread
  std::vector<std::thread> producers;
  for (int producer = 0; producer < kProducers; ++producer) {
    producers.emplace_back([&, producer] {
      auto& mine = ranges[static_cast<std::size_t>(producer)];
      for (int i = 0; i < kSubmissions; ++i) {
        const std::vector<std::string> records{fmt::format("{}:{}:first", producer, i),
                                               fmt::format("{}:{}:second", producer, i)};
        while (!submit(*group, records, [&](Result<CommittedRange> range) { mine.push_back(*range); })) {
          std::this_thread::yield();
        }
      }
    });
  }
  for (auto& producer : producers) producer.join();
  group->stop();
  done = true;
  follower.join();

  EXPECT_EQ(followed, events(*log_));
  ASSERT_EQ(followed.size(), std::size_t{2 * kProducers * kSubmissions});
  std::string bytes;
  for (int producer = 0; producer < kProducers; ++producer) {
    const auto& mine = ranges[static_cast<std::size_t>(producer)];
    ASSERT_EQ(mine.size(), std::size_t{kSubmissions});
    for (int i = 0; i < kSubmissions; ++i) {
      const Position begin = mine[static_cast<std::size_t>(i)].begin;
      EXPECT_EQ(decode_record(*log_->read(begin, bytes))->event, fmt::format("{}:{}:first", producer, i));
    }
  }
  std::size_t handed = 0;
  Position next;
  for (const auto& batch : batches_) {
    EXPECT_GE(batch.first, next) << "in log order";
    next = batch.next;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      EXPECT_EQ(decode_record(batch.record(i))->event, followed[handed++]);
    }
  }
  EXPECT_EQ(handed, followed.size());
}

}  // namespace
}  // namespace tailrace::log
