#include "log/log.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/hash.h"
#include "io/posix_disk.h"
#include "log/compressed_file.h"
#include "log/frame.h"
#include "log/image.h"
#include "model/record.h"
#include "support/memory_disk.h"

namespace tailrace::log {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemoryDisk;
using ::testing::SizeIs;

constexpr const char* kDirectory = "store/log";
constexpr Options kSmallFiles{.file_bytes = 4096, .preallocate_bytes = 1024};
constexpr Time kNoon{1'772'366'400'000};

// An encoded track with this event name; `padding` bytes of payload make it long.
std::string record(std::string_view event, std::size_t padding = 0) {
  const std::string payload(padding, 'x');
  RecordView view;
  view.kind = RecordKind::track;
  view.event = event;
  view.payload = payload;
  std::string bytes;
  EXPECT_TRUE(encode_record(view, bytes));
  return bytes;
}

std::string event_of(std::string_view bytes) {
  const auto view = decode_record(bytes);
  if (!view) return "<" + view.error().message + ">";
  return view->kind == RecordKind::tombstone ? "-" : std::string(view->event);
}

std::unique_ptr<Log> open(Disk& disk, Options options = {}) {
  auto log = Log::open(disk, kDirectory, options);
  EXPECT_TRUE(log) << log.error().message;
  return log ? std::move(*log) : nullptr;
}

Error open_error(Disk& disk, Options options = {}) {
  const auto log = Log::open(disk, kDirectory, options);
  return log ? Error{.message = "it opened"} : log.error();
}

Position append(Log& log, std::string_view event, std::size_t padding = 0, Time now = kNoon) {
  const auto position = log.append(record(event, padding), now);
  EXPECT_TRUE(position) << position.error().message;
  return position.value_or(Position{});
}

std::vector<Position> append_and_commit(Log& log, std::vector<std::string> events, std::size_t padding = 0) {
  std::vector<Position> positions;
  for (const auto& event : events) positions.push_back(append(log, event, padding));
  EXPECT_TRUE(log.commit());
  return positions;
}

// The names of the events from a position on, "!" and the message where reading ends with an error.
std::vector<std::string> events(const Log& log, Position from = {}) {
  std::vector<std::string> names;
  auto reader = log.read_from(from);
  Frame frame;
  for (;;) {
    const auto more = (*reader)->next(frame);
    if (!more) names.push_back("!" + more.error().message);
    if (!more || !*more) return names;
    names.push_back(event_of(frame.record));
  }
}

std::vector<std::string> numbered(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(fmt::format("e{}", i));
  return names;
}

std::vector<std::string> files(Disk& disk) { return *disk.list(kDirectory); }
std::string path(const std::string& name) { return std::string(kDirectory) + "/" + name; }

TEST(Log, gives_back_what_was_committed_in_order) {
  MemoryDisk disk;
  const auto log = open(disk);
  append_and_commit(*log, {"a", "b"});
  append_and_commit(*log, {"c"});
  EXPECT_THAT(events(*log), ElementsAre("a", "b", "c"));
  EXPECT_THAT(events(*open(disk)), ElementsAre("a", "b", "c"));
}

TEST(Log, is_empty_at_first) {
  MemoryDisk disk;
  const auto log = open(disk);
  EXPECT_THAT(events(*log), IsEmpty());
  EXPECT_EQ(log->begin(), log->end());
  EXPECT_EQ(log->committed(), log->end());
  EXPECT_EQ(log->last_received_at(), kForeverAgo);
  EXPECT_EQ(open(disk)->end(), log->end());
}

TEST(Log, shows_readers_nothing_before_it_is_committed) {
  MemoryDisk disk;
  const auto log = open(disk);
  const auto reader = *log->read_from(log->begin());
  Frame frame;
  append(*log, "a");
  EXPECT_FALSE(*reader->next(frame));
  ASSERT_TRUE(log->commit());
  EXPECT_TRUE(*reader->next(frame));
  EXPECT_EQ(event_of(frame.record), "a");
  EXPECT_FALSE(*reader->next(frame));
  EXPECT_EQ(frame.record, "");
  EXPECT_EQ(frame.next, log->end());
}

TEST(Log, commits_with_one_sync_whatever_is_buffered) {
  MemoryDisk disk;
  const auto log = open(disk);
  const auto before = disk.syncs();
  append_and_commit(*log, numbered(100));
  EXPECT_EQ(disk.syncs(), before + 1);
  ASSERT_TRUE(log->commit());
  EXPECT_EQ(disk.syncs(), before + 1) << "nothing was buffered";
}

TEST(Log, does_not_sync_when_that_is_left_to_the_operating_system) {
  MemoryDisk disk;
  const auto log = open(disk, {.durability = Durability::operating_system});
  const auto before = disk.syncs();
  append_and_commit(*log, {"a"});
  EXPECT_EQ(disk.syncs(), before);
  EXPECT_THAT(events(*open(disk)), ElementsAre("a"));
}

TEST(Log, stamps_received_at_which_never_decreases) {
  MemoryDisk disk;
  std::string bytes;
  const auto received = [&](Log& log, Position position) {
    return received_at_of(*log.read(position, bytes));
  };
  {
    const auto log = open(disk);
    const Position first = append(*log, "a", 0, kNoon);
    const Position second = append(*log, "b", 0, kNoon - kHour);
    ASSERT_TRUE(log->commit());
    EXPECT_EQ(received(*log, first), kNoon);
    EXPECT_EQ(received(*log, second), kNoon);
  }
  const auto log = open(disk);
  EXPECT_EQ(log->last_received_at(), kNoon);
  const Position third = append(*log, "c", 0, kNoon - kDay);
  ASSERT_TRUE(log->commit());
  EXPECT_EQ(received(*log, third), kNoon);
}

TEST(Log, begins_a_new_file_when_the_next_frame_does_not_fit) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(20), 1000);
  EXPECT_THAT(files(disk), SizeIs(7));
  EXPECT_EQ(disk.contents(path(files(disk)[0])).size(), parse_file_name(files(disk)[1])->value)
      << "sealed at its length, where the next begins";
  EXPECT_THAT(events(*log), ::testing::ElementsAreArray(numbered(20)));
  const auto again = open(disk, kSmallFiles);
  EXPECT_THAT(events(*again), ::testing::ElementsAreArray(numbered(20)));
  EXPECT_EQ(again->recovery().records, 20u);
  EXPECT_EQ(again->end(), log->end());
}

TEST(Log, gives_a_record_longer_than_a_file_a_file_of_its_own) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, {"short", "long", "short again"}, 9000);
  EXPECT_THAT(files(disk), SizeIs(3));
  EXPECT_THAT(events(*open(disk, kSmallFiles)), ElementsAre("short", "long", "short again"));
}

TEST(Log, takes_records_from_the_shortest_to_the_longest_and_no_others) {
  MemoryDisk disk;
  const auto log = open(disk);
  const std::string shortest(kRecordBytesMin, '\1');
  const std::string longest(kRecordBytesMax, '\1');
  EXPECT_TRUE(log->append(shortest, kNoon));
  EXPECT_TRUE(log->append(longest, kNoon));
  EXPECT_EQ(log->append(shortest.substr(1), kNoon).error().code, Error::Code::invalid_argument);
  EXPECT_EQ(log->append(longest + "x", kNoon).error().code, Error::Code::invalid_argument);
  ASSERT_TRUE(log->commit()) << "a refused record is no failure of the log";
  EXPECT_THAT(events(*log), SizeIs(2));
}

TEST(Log, reads_on_from_any_next_also_across_files) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(12), 1000);
  const auto reader = *log->read_from(Position{});
  Frame frame;
  for (std::size_t left = 11; *reader->next(frame); --left) {
    EXPECT_THAT(events(*log, frame.next), SizeIs(left));
    EXPECT_THAT(events(*log, frame.position), SizeIs(left + 1));
  }
}

TEST(Log, follows_the_writer_across_files) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  const auto reader = *log->read_from(Position{});
  Frame frame;
  for (const auto& name : numbered(20)) {
    append_and_commit(*log, {name}, 1000);
    ASSERT_TRUE(*reader->next(frame));
    EXPECT_EQ(event_of(frame.record), name);
    EXPECT_FALSE(*reader->next(frame));
  }
}

TEST(Log, reads_one_record_by_its_position) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  std::vector<Position> positions;
  for (std::size_t i = 0; i < 30; ++i) positions.push_back(append(*log, fmt::format("e{}", i), i * 100));
  ASSERT_TRUE(log->commit());
  std::string bytes;
  for (std::size_t i = 30; i-- > 0;) {
    EXPECT_EQ(event_of(*log->read(positions[i], bytes)), fmt::format("e{}", i));
  }
}

TEST(Log, says_so_when_there_is_no_record_at_a_position) {
  MemoryDisk disk;
  const auto log = open(disk);
  const Position first = append_and_commit(*log, {"a"})[0];
  const Position buffered = append(*log, "b");
  std::string bytes;
  EXPECT_EQ(log->read(Position{first.value + 8}, bytes).error().code, Error::Code::corrupt);
  EXPECT_EQ(log->read(buffered, bytes).error().code, Error::Code::not_found);
  EXPECT_EQ(log->read(Position{}, bytes).error().code, Error::Code::not_found);
  EXPECT_EQ(log->read_from(Position{buffered.value + 8}).error().code, Error::Code::invalid_argument);
}

TEST(Log, refuses_file_sizes_out_of_bounds) {
  MemoryDisk disk;
  EXPECT_EQ(open_error(disk, {.file_bytes = 100}).code, Error::Code::invalid_argument);
  EXPECT_EQ(open_error(disk, {.file_bytes = 2ull << 30}).code, Error::Code::invalid_argument);
}

// Redaction.

TEST(Redact, leaves_tombstones_at_the_same_positions) {
  MemoryDisk disk;
  const auto log = open(disk);
  const auto positions = append_and_commit(*log, {"a", "b", "c"});
  const auto end = log->end();
  ASSERT_TRUE(log->redact({positions[1]}));
  EXPECT_THAT(events(*log), ElementsAre("a", "-", "c"));
  std::string bytes;
  EXPECT_EQ(event_of(*log->read(positions[1], bytes)), "-");
  EXPECT_EQ(received_at_of(*log->read(positions[1], bytes)), kNoon);
  EXPECT_EQ(event_of(*log->read(positions[2], bytes)), "c");
  EXPECT_EQ(log->end(), end);
  append_and_commit(*log, {"d"});
  EXPECT_THAT(events(*open(disk)), ElementsAre("a", "-", "c", "d"));
}

TEST(Redact, leaves_no_byte_of_the_payload_on_the_disk) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  std::vector<Position> positions;
  for (int i = 0; i < 40; ++i) positions.push_back(append(*log, i % 2 == 0 ? "secret" : "kept", 300));
  ASSERT_TRUE(log->commit());
  std::vector<Position> secret;
  for (std::size_t i = 0; i < positions.size(); i += 2) secret.push_back(positions[i]);
  std::ranges::reverse(secret);
  secret.push_back(secret.front());
  ASSERT_TRUE(log->redact(secret)) << "in any order, and twice";
  for (const auto& name : files(disk)) EXPECT_EQ(disk.contents(path(name)).find("secret"), std::string::npos);
  EXPECT_THAT(events(*log), SizeIs(40));
  EXPECT_EQ(events(*open(disk, kSmallFiles)), events(*log));
  EXPECT_THAT(verify(disk, kDirectory)->damage, IsEmpty());
}

TEST(Redact, writes_nothing_when_it_is_done_already) {
  MemoryDisk disk;
  const auto log = open(disk);
  const auto positions = append_and_commit(*log, {"a", "b"});
  ASSERT_TRUE(log->redact(positions));
  const auto syncs = disk.syncs();
  ASSERT_TRUE(log->redact(positions));
  EXPECT_EQ(disk.syncs(), syncs);
}

TEST(Redact, is_seen_by_a_reader_that_is_under_way) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  const auto positions = append_and_commit(*log, {"a", "b", "c"});
  const auto reader = *log->read_from(Position{});
  Frame frame;
  ASSERT_TRUE(*reader->next(frame));
  ASSERT_TRUE(log->redact({positions[1]}));
  ASSERT_TRUE(*reader->next(frame));
  EXPECT_EQ(event_of(frame.record), "-");
  append_and_commit(*log, {"d"});
  ASSERT_TRUE(*reader->next(frame) && *reader->next(frame));
  EXPECT_EQ(event_of(frame.record), "d");
}

TEST(Redact, changes_nothing_when_a_position_is_wrong) {
  MemoryDisk disk;
  const auto log = open(disk);
  const auto positions = append_and_commit(*log, {"a", "b"});
  EXPECT_EQ(log->redact({positions[0], Position{positions[1].value + 8}}).error().code, Error::Code::corrupt);
  EXPECT_EQ(log->redact({positions[0], log->end()}).error().code, Error::Code::not_found);
  EXPECT_THAT(events(*log), ElementsAre("a", "b"));
}

TEST(Redact, goes_on_after_the_disk_was_too_full_for_it) {
  MemoryDisk disk;
  const auto log = open(disk);
  const auto positions = append_and_commit(*log, {"a", "b"});
  disk.set_capacity(disk.contents(path(files(disk)[0])).size() + 120);
  EXPECT_THAT(log->redact({positions[0]}).error().message, HasSubstr("the disk is full"));
  EXPECT_THAT(files(disk), ElementsAre("00000000000000000000.log", "redaction")) << "the copy is gone";
  append_and_commit(*log, {"c"});
  EXPECT_THAT(events(*log), ElementsAre("a", "b", "c"));
  disk.set_capacity(1 << 30);
  ASSERT_TRUE(log->redact({positions[0]}));
  EXPECT_THAT(files(disk), SizeIs(1));
  EXPECT_THAT(events(*log), ElementsAre("-", "b", "c"));
}

// Half a deletion would give people other ids when the log is replayed.
TEST(Redact, of_several_files_is_done_whole_or_not_at_all_wherever_the_power_goes) {
  bool finished = false;
  std::uint64_t done_later = 0;
  for (std::uint64_t operations = 1; !finished; ++operations) {
    MemoryDisk disk;
    std::vector<Position> positions;
    {
      const auto log = open(disk, kSmallFiles);
      for (int i = 0; i < 30; ++i) positions.push_back(append(*log, "e", 400));
      ASSERT_TRUE(log->commit());
      disk.stop_after(operations);
      finished = log->redact({positions[1], positions[15], positions[29]}).has_value();
    }
    disk.crash(MemoryDisk::Survives::some, operations);
    const auto log = open(disk, kSmallFiles);
    const auto names = events(*log);
    ASSERT_THAT(names, SizeIs(30));
    const auto gone = std::ranges::count(names, "-");
    EXPECT_TRUE(gone == 0 || gone == 3) << gone << " tombstones after " << operations << " operations";
    EXPECT_TRUE(!finished || gone == 3);
    done_later += !finished && gone == 3;
    EXPECT_THAT(open(disk, kSmallFiles)->recovery().note, IsEmpty()) << "nothing is left to be finished";
  }
  EXPECT_GT(done_later, 0U);
}

TEST(Redact, that_was_under_way_and_whose_list_is_damaged_is_reported) {
  MemoryDisk disk;
  append_and_commit(*open(disk), {"a"});
  disk.set_contents(path("redaction"), "TRREDAC1 and what is no list");
  EXPECT_EQ(open_error(disk).code, Error::Code::corrupt);
  EXPECT_THAT(open_error(disk).message, HasSubstr("a deletion was under way"));
}

TEST(Redact, leftovers_are_removed_when_the_log_is_opened) {
  MemoryDisk disk;
  append_and_commit(*open(disk), {"a"});
  disk.set_contents(path("00000000000000000000.log.tmp"), "half");
  const auto log = open(disk);
  EXPECT_THAT(files(disk), SizeIs(1));
  EXPECT_THAT(log->recovery().note, HasSubstr("unfinished"));
  EXPECT_THAT(events(*log), ElementsAre("a"));
}

// Compression of sealed files.

// How many there were.
int compress_all(Log& log) {
  for (int files = 0;; ++files) {
    const auto compressed = log.compress_file();
    EXPECT_TRUE(compressed) << compressed.error().message;
    if (!compressed || !*compressed) return files;
  }
}

std::uint64_t bytes_on_disk(MemoryDisk& disk) {
  std::uint64_t bytes = 0;
  for (const auto& name : files(disk)) bytes += disk.contents(path(name)).size();
  return bytes;
}

// Of several blocks, one of them of a single long record.
std::vector<Position> append_blocks(Log& log) {
  auto positions = append_and_commit(log, numbered(200), 1000);
  positions.push_back(append(log, "long", 3 * kBlockBytes));
  const auto more = append_and_commit(log, numbered(100), 777);
  positions.insert(positions.end(), more.begin(), more.end());
  return positions;
}
constexpr Options kMiddleFiles{.file_bytes = 1 << 18, .preallocate_bytes = 1024};

TEST(Compress, leaves_every_record_at_its_position) {
  MemoryDisk disk;
  const auto log = open(disk, kMiddleFiles);
  const auto positions = append_blocks(*log);
  append_and_commit(*log, numbered(300), 1000);
  const auto before = events(*log);
  const auto bytes_before = bytes_on_disk(disk);
  const auto half = events(*log, positions[150]);
  const auto first_bytes = disk.contents(path(files(disk)[0]));
  EXPECT_GE(compress_all(*log), 2);
  EXPECT_LT(bytes_on_disk(disk) * 2, bytes_before);
  EXPECT_EQ(events(*log), before);
  EXPECT_EQ(events(*log, positions[150]), half);
  std::string bytes;
  for (std::size_t i = 0; i < positions.size(); i += 7)
    EXPECT_EQ(event_of(*log->read(positions[i], bytes)), before[i]);
  EXPECT_EQ(received_at_of(*log->read(positions[3], bytes)), kNoon);
  const auto again = open(disk, kMiddleFiles);
  EXPECT_EQ(events(*again), before);
  EXPECT_EQ(again->end(), log->end());
  EXPECT_EQ(again->recovery().records, before.size());
  EXPECT_THAT(verify(disk, kDirectory)->damage, IsEmpty());
  EXPECT_EQ(verify(disk, kDirectory)->records, before.size());
  EXPECT_EQ(compress_all(*again), 0) << "it knows what is compressed";
  const auto undone = open_log_file(disk, path(files(disk)[0]));
  std::string plain(*undone->file->size() + 9, '\0');
  plain.resize(*undone->file->read_at(0, plain));
  EXPECT_EQ(plain, first_bytes) << "to the last byte";
}

TEST(Compress, takes_sealed_files_alone_and_the_oldest_first) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  EXPECT_FALSE(*log->compress_file());
  append_and_commit(*log, numbered(10), 1000);
  const auto names = files(disk);
  ASSERT_THAT(names, SizeIs(4));
  const auto sizes = [&] {
    std::vector<std::size_t> all;
    for (const auto& name : names) all.push_back(disk.contents(path(name)).size());
    return all;
  };
  const auto before = sizes();
  EXPECT_TRUE(*log->compress_file());
  const auto after = sizes();
  EXPECT_LT(after[0], before[0]);
  EXPECT_THAT((std::vector(after.begin() + 1, after.end())),
              ::testing::ElementsAreArray(before.begin() + 1, before.end()));
  EXPECT_EQ(compress_all(*log), 2);
  EXPECT_EQ(sizes()[3], before[3]) << "it is still written";
  append_and_commit(*log, numbered(10), 1000);
  EXPECT_GE(compress_all(*log), 3);
}

TEST(Compress, is_seen_by_nobody_who_reads_meanwhile) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(10), 1000);
  const auto reader = *log->read_from(Position{});
  Frame frame;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(*reader->next(frame));
    EXPECT_EQ(event_of(frame.record), fmt::format("e{}", i));
    ASSERT_TRUE(log->compress_file());
  }
  EXPECT_FALSE(*reader->next(frame));
}

TEST(Compress, goes_on_beside_the_writer_and_readers) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  const auto positions = append_and_commit(*log, numbered(40), 1000);
  std::atomic<bool> stop = false;
  std::thread compressing([&] {
    while (!stop) EXPECT_TRUE(log->compress_file());
  });
  std::thread reading([&] {
    std::string bytes;
    while (!stop) {
      for (std::size_t i = 0; i < positions.size(); ++i)
        EXPECT_EQ(event_of(*log->read(positions[i], bytes)), fmt::format("e{}", i));
    }
  });
  for (int i = 0; i < 200; ++i) append_and_commit(*log, {"more"}, 500);
  EXPECT_THAT(events(*log), SizeIs(240));
  stop = true;
  compressing.join();
  reading.join();
}

TEST(Compress, leaves_a_file_that_is_redacted_compressed) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  const auto positions = append_and_commit(*log, {"a", "secret", "c", "d", "e", "f", "g"}, 1000);
  EXPECT_EQ(compress_all(*log), 2);
  std::string bytes;
  EXPECT_EQ(event_of(*log->read(positions[1], bytes)), "secret");
  ASSERT_TRUE(log->redact({positions[1]}, {}, {{positions[4], 1}}));
  const auto left = ElementsAre("a", "-", "c", "d", "e", "f", "g");
  EXPECT_THAT(events(*log), left);
  EXPECT_EQ(event_of(*log->read(positions[1], bytes)), "-");
  EXPECT_EQ(decode_record(*log->read(positions[4], bytes))->pinned, 1);
  EXPECT_EQ(compress_all(*log), 0);
  EXPECT_THAT(events(*open(disk, kSmallFiles)), left);
}

TEST(Compress, undoes_the_blocks_alone_in_which_something_is_redacted) {
  MemoryDisk disk;
  const auto log = open(disk, kMiddleFiles);
  const auto positions = append_blocks(*log);
  append_and_commit(*log, numbered(300), 1000);
  ASSERT_GE(compress_all(*log), 2);
  const auto before = events(*log);
  const std::string file = path(files(disk)[0]);
  const auto damaged = disk.contents(file);
  // In another block than what is redacted: it stays what it is.
  disk.flip_bit(file, 8 * (kFileHeaderBytes + 20));
  const auto hurt = disk.contents(file);
  ASSERT_TRUE(log->redact({positions[200], positions[220]}));
  EXPECT_EQ(disk.contents(file).substr(kFileHeaderBytes, 100), hurt.substr(kFileHeaderBytes, 100));
  disk.flip_bit(file, 8 * (kFileHeaderBytes + 20));
  EXPECT_EQ(disk.contents(file).substr(0, 100), damaged.substr(0, 100));
  auto after = before;
  after[200] = after[220] = "-";
  EXPECT_EQ(events(*log), after);
  EXPECT_EQ(events(*open(disk, kMiddleFiles)), after);
  // In the block itself: nothing is changed, and the damage is named.
  disk.flip_bit(file, 8 * (kFileHeaderBytes + 20));
  EXPECT_EQ(log->redact({positions[0]}).error().code, Error::Code::corrupt);
}

TEST(Compress, that_is_cut_off_leaves_nothing_behind) {
  MemoryDisk disk;
  const auto log = open(disk, kMiddleFiles);
  append_blocks(*log);
  append_and_commit(*log, numbered(300), 1000);
  const auto names = files(disk);
  const auto bytes = bytes_on_disk(disk);
  int asked = 0;
  EXPECT_EQ(log->compress_file([&] { return ++asked == 3; }).error().code, Error::Code::unavailable);
  EXPECT_EQ(files(disk), names);
  EXPECT_EQ(bytes_on_disk(disk), bytes);
  EXPECT_TRUE(*log->compress_file());
}

TEST(Compress, waits_for_whoever_wants_files_to_stay) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(10), 1000);
  const auto bytes = bytes_on_disk(disk);
  auto kept = log->keep_files();
  EXPECT_FALSE(*log->compress_file());
  kept.unlock();
  EXPECT_EQ(bytes_on_disk(disk), bytes);
  EXPECT_EQ(compress_all(*log), 3);
}

TEST(Compress, throws_the_copy_away_when_somebody_wants_files_to_stay_meanwhile) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(10), 1000);
  const auto bytes = bytes_on_disk(disk);
  std::optional<std::shared_lock<std::shared_mutex>> begun;
  EXPECT_FALSE(*log->compress_file([&] { return begun.emplace(log->keep_files()), false; }))
      << "it has begun when the copy was nearly done";
  EXPECT_EQ(bytes_on_disk(disk), bytes);
  begun.reset();
  EXPECT_EQ(compress_all(*log), 3);
}

TEST(Compress, gives_copies_the_file_as_it_is_stored) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  const auto positions = append_and_commit(*log, numbered(10), 1000);
  ASSERT_TRUE(log->redact({positions[0]}));
  const auto before = *image_of(disk, kDirectory, log->committed());
  compress_all(*log);
  const auto after = *image_of(disk, kDirectory, log->committed());
  ASSERT_THAT(after.files, SizeIs(4));
  for (std::size_t i = 0; i < 3; ++i) {
    const auto stored = disk.contents(path(files(disk)[i]));
    EXPECT_EQ(after.files[i].bytes, stored.size());
    EXPECT_EQ(after.files[i].sha256, sha256_hex(stored));
  }
  EXPECT_EQ(after.files[3].sha256, before.files[3].sha256);
  EXPECT_EQ(after.tombstones, before.tombstones);
  EXPECT_EQ(after.records, before.records);
}

TEST(Compress, leaves_a_damaged_file_as_it_is) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(10), 1000);
  const auto file = path(files(disk)[0]);
  disk.flip_bit(file, 2000 * 8);
  const auto bytes = disk.contents(file);
  EXPECT_EQ(log->compress_file().error().code, Error::Code::corrupt);
  EXPECT_EQ(disk.contents(file), bytes);
  EXPECT_THAT(files(disk), SizeIs(4));
}

TEST(Compress, goes_on_with_the_files_behind_a_damaged_one) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(10), 1000);
  disk.flip_bit(path(files(disk)[0]), 2000 * 8);
  EXPECT_FALSE(log->compress_file());
  EXPECT_EQ(compress_all(*log), 2);
}

TEST(Compress, leaves_a_file_that_would_not_read_the_same) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(10), 1001);
  const auto file = path(files(disk)[0]);
  std::string bytes = disk.contents(file);
  const auto header = *read_frame_header(bytes.data() + kFileHeaderBytes, Position{kFileHeaderBytes});
  ASSERT_LT(header.length, padded(header.length));
  bytes[kFileHeaderBytes + kFrameHeaderBytes + header.length] = 'x';  // padding, which is not stored
  seal_frame(bytes, kFileHeaderBytes, Position{kFileHeaderBytes}, header.length, header.back);
  disk.set_contents(file, bytes);
  EXPECT_THAT(log->compress_file().error().message, HasSubstr("do not read the same"));
  EXPECT_EQ(disk.contents(file), bytes);
  EXPECT_THAT(files(disk), SizeIs(4));
}

TEST(Compress, waits_until_a_file_is_committed_whole) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  for (const auto& event : numbered(10)) append(*log, event, 1000);
  EXPECT_FALSE(*log->compress_file()) << "a copy of the log would end within it";
  ASSERT_TRUE(log->commit());
  EXPECT_EQ(compress_all(*log), 3);
}

TEST(Compress, leaves_the_file_plain_with_which_a_copy_of_the_log_would_end) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  while (files(disk).size() < 2) {
    ASSERT_TRUE(log->commit());
    append(*log, "a", 1000);
  }
  EXPECT_FALSE(*log->compress_file()) << "of the next file nothing is committed";
  ASSERT_TRUE(log->commit());
  EXPECT_EQ(compress_all(*log), 1);
}

TEST(Compress, of_a_file_that_cannot_be_put_in_place_leaves_nothing_behind) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(10), 1000);
  const auto names = files(disk);
  const auto before = events(*log);
  int failures = 0;
  for (std::uint64_t operation = 1;; ++operation) {
    disk.fail_operation(operation);
    const auto compressed = log->compress_file();
    if (compressed) break;
    ++failures;
    EXPECT_EQ(files(disk), names) << "operation " << operation;
    EXPECT_EQ(events(*log), before);
  }
  EXPECT_GT(failures, 3);
}

TEST(Compress, says_so_when_the_disk_is_too_full_for_it) {
  MemoryDisk disk;
  const auto log = open(disk, kSmallFiles);
  append_and_commit(*log, numbered(10), 1000);
  disk.set_capacity(bytes_on_disk(disk) + 20);
  EXPECT_THAT(log->compress_file().error().message, HasSubstr("the disk is full"));
  EXPECT_THAT(files(disk), SizeIs(4));
  disk.set_capacity(1 << 20);
  append_and_commit(*log, {"more"});
  EXPECT_EQ(compress_all(*log), 3);
}

// Damage.

TEST(Damage, of_a_compressed_block_costs_the_records_in_it_alone) {
  MemoryDisk disk;
  std::vector<Position> positions;
  {
    const auto log = open(disk, kMiddleFiles);
    positions = append_and_commit(*log, numbered(300), 1000);
    ASSERT_EQ(compress_all(*log), 1);
  }
  const auto file = path(files(disk)[0]);
  disk.flip_bit(file, kFileHeaderBytes * 8 + 500);
  const auto log = open(disk, kMiddleFiles);
  const auto place = HasSubstr(fmt::format("{} at offset {}", file, kFileHeaderBytes));
  EXPECT_THAT(events(*log), ElementsAre(place));
  std::string bytes;
  EXPECT_THAT(log->read(positions[0], bytes).error().message, place);
  const auto found = *verify(disk, kDirectory);
  EXPECT_THAT(found.damage, ElementsAre(place));
  EXPECT_GT(found.records, 200u);
  const auto next = positions[300 - found.records];
  EXPECT_THAT(found.damage[0], HasSubstr(fmt::format("the next whole record begins at {}", next.value)));
  EXPECT_EQ(events(*log, next).front(), fmt::format("e{}", 300 - found.records));
}

TEST(Damage, in_any_bit_of_a_compressed_file_is_noticed) {
  MemoryDisk disk;
  {
    const auto log = open(disk, kSmallFiles);
    append_and_commit(*log, numbered(14), 600);
    ASSERT_EQ(compress_all(*log), 2);
  }
  const auto whole = *verify(disk, kDirectory);
  ASSERT_THAT(whole.damage, IsEmpty());
  const auto file = path(files(disk)[0]);
  for (std::uint64_t bit = 0; bit < disk.contents(file).size() * 8; ++bit) {
    disk.flip_bit(file, bit);
    const auto found = verify(disk, kDirectory);
    EXPECT_TRUE(!found || !found->damage.empty()) << "bit " << bit;
    disk.flip_bit(file, bit);
  }
  const auto bytes = disk.contents(file);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    disk.set_contents(file, bytes.substr(0, length));
    EXPECT_FALSE(verify(disk, kDirectory)) << "cut at " << length;
  }
}

TEST(Damage, files_that_are_missing_behind_a_compressed_one_are_noticed) {
  MemoryDisk disk;
  {
    const auto log = open(disk, kSmallFiles);
    append_and_commit(*log, numbered(5), 1000);
    ASSERT_EQ(compress_all(*log), 1);
  }
  const auto names = files(disk);
  const auto compressed = disk.contents(path(names[0]));
  ASSERT_TRUE(disk.remove(path(names[1])));
  EXPECT_THAT(open_error(disk).message, HasSubstr("the files behind it are missing"));
  EXPECT_EQ(disk.contents(path(names[0])), compressed);
}

TEST(Damage, torn_tail_is_cut_at_the_last_whole_record) {
  MemoryDisk disk;
  Position torn;
  {
    const auto log = open(disk);
    append_and_commit(*log, {"a", "b"});
    torn = append_and_commit(*log, {"c"})[0];
  }
  disk.flip_bit(path(files(disk)[0]), torn.value * 8 + 200);
  const auto log = open(disk);
  EXPECT_THAT(events(*log), ElementsAre("a", "b"));
  EXPECT_EQ(log->end(), torn);
  EXPECT_GT(log->recovery().cut_bytes, 0u);
  EXPECT_THAT(log->recovery().note, HasSubstr(fmt::format("at offset {}", torn.value)));
  append_and_commit(*log, {"d"});
  EXPECT_THAT(events(*open(disk)), ElementsAre("a", "b", "d"));
}

TEST(Damage, whole_records_behind_a_torn_one_in_the_same_commit_are_cut_too) {
  MemoryDisk disk;
  append_and_commit(*open(disk), {"a"});
  const auto positions = append_and_commit(*open(disk), {"b", "c", "d"});
  disk.flip_bit(path(files(disk)[0]), positions[1].value * 8 + 200);
  const auto log = open(disk);
  EXPECT_THAT(events(*log), ElementsAre("a", "b"));
  append_and_commit(*log, {"e"});
  EXPECT_THAT(events(*open(disk)), ElementsAre("a", "b", "e")) << "nothing comes back to life";
}

TEST(Damage, before_the_last_commit_is_reported_with_its_place_and_nothing_is_changed) {
  MemoryDisk disk;
  std::vector<Position> positions;
  {
    const auto log = open(disk);
    positions = append_and_commit(*log, {"a", "b"});
    append_and_commit(*log, {"c"});
  }
  const std::string file = path(files(disk)[0]);
  disk.set_contents(file + ".tmp", "half");
  disk.flip_bit(file, positions[1].value * 8 + 200);
  const std::string before = disk.contents(file);
  const Error error = open_error(disk);
  EXPECT_EQ(error.code, Error::Code::corrupt);
  EXPECT_THAT(error.message, HasSubstr(fmt::format("{} at offset {}", file, positions[1].value)));
  EXPECT_EQ(disk.contents(file), before);
  EXPECT_THAT(files(disk), SizeIs(2));
  const auto found = verify(disk, kDirectory);
  EXPECT_THAT(found->damage,
              ElementsAre(HasSubstr(fmt::format("{} at offset {}", file, positions[1].value))));
  EXPECT_EQ(found->records, 2u);
}

TEST(Damage, in_a_sealed_file_is_found_by_whoever_reads_there) {
  MemoryDisk disk;
  std::vector<Position> positions;
  positions = append_and_commit(*open(disk, kSmallFiles), numbered(9), 1000);
  const std::string file = path(files(disk)[1]);
  const Position damaged = positions[4];
  const auto offset = damaged.value - parse_file_name(files(disk)[1])->value;
  disk.flip_bit(file, offset * 8 + 300);
  const auto log = open(disk, kSmallFiles);
  const auto place = HasSubstr(fmt::format("{} at offset {}", file, offset));
  EXPECT_THAT(events(*log), ElementsAre("e0", "e1", "e2", "e3", place));
  std::string bytes;
  EXPECT_THAT(log->read(damaged, bytes).error().message, place);
  EXPECT_THAT(log->redact({positions[3]}).error().message, place) << "no damage is copied over in silence";
  EXPECT_THAT(verify(disk, kDirectory)->damage, ElementsAre(place));
  EXPECT_EQ(verify(disk, kDirectory)->records, 8u);
}

TEST(Damage, in_any_bit_is_noticed) {
  MemoryDisk disk;
  append_and_commit(*open(disk, kSmallFiles), numbered(5), 1000);
  append_and_commit(*open(disk, kSmallFiles), numbered(2));
  append_and_commit(*open(disk, kSmallFiles), {"last"});
  const auto whole = *verify(disk, kDirectory);
  ASSERT_THAT(whole.damage, IsEmpty());
  ASSERT_EQ(whole.records, 8u);
  for (const auto& name : files(disk)) {
    const bool is_last = name == files(disk).back();
    const auto bytes =
        is_last ? disk.contents(path(name)).find_last_not_of('\0') : disk.contents(path(name)).size();
    for (std::uint64_t bit = 0; bit < bytes * 8; bit += 3) {
      disk.flip_bit(path(name), bit);
      const auto found = verify(disk, kDirectory);
      EXPECT_TRUE(!found || !found->damage.empty() || found->torn_bytes > 0) << name << " bit " << bit;
      disk.flip_bit(path(name), bit);
    }
  }
}

TEST(Damage, missing_files_are_named) {
  MemoryDisk disk;
  append_and_commit(*open(disk, kSmallFiles), numbered(12), 1000);
  const auto names = files(disk);
  ASSERT_THAT(names, SizeIs(4));
  const std::string second = disk.contents(path(names[1]));
  ASSERT_TRUE(disk.remove(path(names[1])));
  EXPECT_EQ(open_error(disk).code, Error::Code::corrupt);
  EXPECT_THAT(open_error(disk).message, HasSubstr(path(names[0])));
  EXPECT_THAT(open_error(disk).message, HasSubstr("missing"));
  disk.set_contents(path(names[1]), second.substr(0, second.size() - 8));
  EXPECT_THAT(open_error(disk).message, HasSubstr("cut short"));
  disk.set_contents(path(names[1]), second + "12345678");
  EXPECT_THAT(open_error(disk).message,
              HasSubstr(fmt::format("{} at offset {}", path(names[1]), second.size())));
  disk.set_contents(path(names[1]), second);
  ASSERT_TRUE(disk.remove(path(names[0])));
  EXPECT_THAT(open_error(disk).message, HasSubstr("missing"));
}

TEST(Damage, renamed_file_is_noticed) {
  MemoryDisk disk;
  append_and_commit(*open(disk), {"a"});
  ASSERT_TRUE(disk.rename(path(file_name(Position{})), path(file_name(Position{4096}))));
  disk.set_contents(path(file_name(Position{})), encode_file_header({}) + std::string(4096 - 48, '\0'));
  EXPECT_THAT(open_error(disk).message, HasSubstr("its name does not fit its header"));
}

TEST(Damage, newer_format_is_refused_with_what_to_do) {
  MemoryDisk disk;
  ASSERT_TRUE(disk.make_directories(kDirectory));
  const std::string bytes = encode_file_header({}, kFormatVersion + 1) + "what a later release writes";
  disk.set_contents(path(file_name(Position{})), bytes);
  EXPECT_EQ(open_error(disk).code, Error::Code::unsupported);
  EXPECT_THAT(open_error(disk).message, HasSubstr(fmt::format("log format {}", kFormatVersion + 1)));
  EXPECT_THAT(open_error(disk).message, HasSubstr("newer"));
  EXPECT_EQ(disk.contents(path(file_name(Position{}))), bytes);
  EXPECT_EQ(verify(disk, kDirectory).error().code, Error::Code::unsupported);
}

TEST(Damage, frame_copied_to_another_place_is_no_frame) {
  MemoryDisk disk;
  append_and_commit(*open(disk), {"a", "b"});
  const std::string file = path(files(disk)[0]);
  std::string bytes = disk.contents(file);
  const auto length = frame_bytes(record("a").size());
  bytes.replace(kFileHeaderBytes + 2 * length, length, bytes.substr(kFileHeaderBytes, length));
  disk.set_contents(file, bytes);
  const auto log = open(disk);
  EXPECT_THAT(events(*log), ElementsAre("a", "b"));
  EXPECT_GT(log->recovery().cut_bytes, 0u);
}

// Failures of the disk.

TEST(DiskFailure, the_log_takes_nothing_more_after_a_failed_sync) {
  MemoryDisk disk;
  const auto log = open(disk, {.preallocate_bytes = 0});
  append_and_commit(*log, {"a"});
  append(*log, "b");
  disk.fail_operation(2);  // the write, then the sync
  EXPECT_EQ(log->commit().error().code, Error::Code::io);
  EXPECT_THAT(log->commit().error().message, HasSubstr("takes nothing more"));
  EXPECT_THAT(log->append(record("c"), kNoon).error().message, HasSubstr("a fault was asked for"));
  EXPECT_FALSE(log->redact({log->begin()}));
  EXPECT_THAT(events(*log), ElementsAre("a")) << "what was committed can still be read";
}

TEST(DiskFailure, what_a_failed_sync_left_in_the_cache_is_written_again_on_opening) {
  MemoryDisk disk;
  {
    const auto log = open(disk, {.preallocate_bytes = 0});
    append_and_commit(*log, {"a"});
    append(*log, "b");
    disk.fail_operation(2);
    ASSERT_FALSE(log->commit());
  }
  ASSERT_THAT(events(*open(disk)), ElementsAre("a", "b")) << "seen, so it may be acted on";
  disk.crash(MemoryDisk::Survives::nothing);
  EXPECT_THAT(events(*open(disk)), ElementsAre("a", "b"));
}

TEST(DiskFailure, full_disk_says_so_and_loses_nothing_acknowledged) {
  for (std::uint64_t capacity = 5000; capacity < 12'000; capacity += 501) {
    MemoryDisk disk;
    std::vector<std::string> acknowledged;
    {
      const auto log = open(disk, kSmallFiles);
      disk.set_capacity(capacity);
      std::string message;
      for (int i = 0; message.empty(); ++i) {
        const auto position = log->append(record(fmt::format("e{}", i), 150), kNoon);
        const auto committed = position ? log->commit() : Result<void>(std::unexpected(position.error()));
        if (committed) {
          acknowledged.push_back(fmt::format("e{}", i));
        } else {
          message = committed.error().message;
        }
      }
      EXPECT_THAT(message, HasSubstr("the disk is full"));
      EXPECT_EQ(events(*log), acknowledged);
    }
    disk.set_capacity(1 << 20);
    auto found = events(*open(disk, kSmallFiles));
    found.resize(std::min(found.size(), acknowledged.size()));
    EXPECT_EQ(found, acknowledged) << capacity;
  }
}

// The real disk.

class RealDisk : public ::testing::Test {
 protected:
  RealDisk() {
    std::string name = (std::filesystem::temp_directory_path() / "tailrace-log-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~RealDisk() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Log> open_real() {
    auto log = Log::open(*disk_, directory_ + "/store/log", kSmallFiles);
    EXPECT_TRUE(log) << log.error().message;
    return std::move(*log);
  }

  std::unique_ptr<Disk> disk_ = io::posix_disk();
  std::string directory_;
};

TEST_F(RealDisk, keeps_a_log_over_reopening_and_redaction) {
  std::vector<Position> positions;
  {
    const auto log = open_real();
    positions = append_and_commit(*log, numbered(20), 1000);
    EXPECT_THAT(events(*log), ::testing::ElementsAreArray(numbered(20)));
  }
  {
    const auto log = open_real();
    ASSERT_TRUE(log->redact({positions[0], positions[19]}));
    append_and_commit(*log, {"more"});
  }
  const auto log = open_real();
  const auto found = events(*log);
  ASSERT_THAT(found, SizeIs(21));
  EXPECT_EQ(found[0], "-");
  EXPECT_EQ(found[1], "e1");
  EXPECT_EQ(found[19], "-");
  EXPECT_EQ(found[20], "more");
  EXPECT_THAT(verify(*disk_, directory_ + "/store/log")->damage, IsEmpty());
}

TEST_F(RealDisk, cuts_a_torn_tail) {
  std::string file;
  {
    const auto log = open_real();
    append_and_commit(*log, {"a"});
    file = directory_ + "/store/log/" + file_name(Position{});
  }
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(200).write("torn", 4);
  const auto log = open_real();
  EXPECT_THAT(events(*log), ElementsAre("a"));
  EXPECT_GT(log->recovery().cut_bytes, 0u);
}

}  // namespace
}  // namespace tailrace::log
