#include "server/backup/backup.h"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/whole_file.h"
#include "log/log.h"
#include "model/record.h"
#include "server/backup/restore.h"
#include "server/formats.h"
#include "server/snapshot/writer.h"
#include "support/memory_disk.h"

namespace tailrace::server {
namespace {

using tailrace::testing::MemoryDisk;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kTarget = "backup";
const Time kNow{1'800'000'000'000};

// A log in several files, plain or compressed as soon as they are sealed, a ledger that is just files, and no
// snapshot, on a disk in memory.
class Backup : public ::testing::TestWithParam<bool> {
 protected:
  Backup() { open(); }

  void open(Time first = Time{1'700'000'000'000}) {
    clock_ = first;
    ASSERT_TRUE(disk_->make_directories("ledger"));
    disk_->set_contents("ledger/CURRENT", "MANIFEST-000001\n");
    disk_->set_contents("ledger/000007.sst", "rows");
    auto opened = log::Log::open(*disk_, "log", {.file_bytes = 4096, .preallocate_bytes = 1024});
    ASSERT_TRUE(opened);
    log_ = std::move(*opened);
  }

  Position add(const std::string& person, const std::string& message) {
    RecordView record;
    record.kind = RecordKind::identify;
    record.source = "app";
    record.message_id = message;
    record.user_id = person;
    const std::string payload = fmt::format(R"({{"email":"{}@example.com","pad":"{:200}"}})", person, "");
    record.payload = payload;
    std::string bytes;
    EXPECT_TRUE(encode_record(record, bytes));
    const auto position = log_->append(bytes, clock_);
    EXPECT_TRUE(position && log_->commit());
    clock_ = clock_ + kSecond;
    while (GetParam() && log_->compress_file().value()) {
    }
    return *position;
  }
  void add_many(int count) {
    for (int i = 0; i < count; ++i) add(fmt::format("person{}", i % 7), fmt::format("m{}", messages_++));
  }

  BackupSource source() const {
    return {.log = "log", .log_end = log_->committed(), .snapshot = nullptr, .ledger = "ledger"};
  }
  Result<BackupReport> write(const std::string& target = kTarget) {
    return write_backup(*disk_, source(), target, kNow);
  }
  Result<RestoreReport> restore(const std::string& directory, const std::vector<Deletions>& deletions = {},
                                const std::string& target = kTarget) {
    return restore_backup(*disk_, target, directory, deletions,
                          [](const std::string&) -> Result<void> { return {}; });
  }
  // All records of a log, as "position message", "position -" for a tombstone.
  std::vector<std::string> records(const std::string& directory) {
    std::vector<std::string> found;
    auto log = log::Log::open(*disk_, directory, {.file_bytes = 4096});
    EXPECT_TRUE(log) << log.error().message;
    if (!log) return found;
    const auto reader = (*log)->read_from((*log)->begin());
    log::Frame frame;
    while (*(*reader)->next(frame)) {
      const auto record = decode_record(frame.record);
      found.push_back(fmt::format("{} {}", frame.position.value,
                                  record->kind == RecordKind::tombstone ? "-" : record->message_id));
    }
    return found;
  }
  // A snapshot of a state, at the end of the log.
  void write_state(const std::string& directory) {
    ASSERT_TRUE(disk_->make_directories(directory));
    ASSERT_TRUE(write_snapshot(*disk_, directory, log_->end(),
                               [](ByteWriter& out) { out.put_string("state of ada"); }));
  }
  // Every byte below a directory.
  std::string everything_in(const std::string& directory) {
    std::string all;
    for (const std::string folder : {"", "/log", "/ledger"}) {
      const auto names = disk_->list(directory + folder);
      if (!names) continue;
      for (const std::string& name : *names) all += disk_->contents(directory + folder + "/" + name);
    }
    return all;
  }

  std::unique_ptr<MemoryDisk> disk_ = std::make_unique<MemoryDisk>();
  std::unique_ptr<log::Log> log_;
  Time clock_;
  int messages_ = 0;
};

TEST_P(Backup, is_restored_with_every_record_and_every_file_of_the_ledger) {
  add_many(40);
  const auto report = write();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->records, 40u);
  EXPECT_GT(report->files, 4u);
  EXPECT_THAT(*verify_backup(*disk_, kTarget), IsEmpty());
  const auto restored = restore("restored");
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->manifest.made, kNow);
  EXPECT_EQ(records("restored/log"), records("log"));
  EXPECT_EQ(disk_->contents("restored/ledger/000007.sst"), "rows");
  EXPECT_EQ(disk_->contents("restored/FORMAT"), kStoreFormat);
}

TEST_P(Backup, holds_the_log_of_changes_and_what_sources_were_asked) {
  add_many(3);
  auto changes = log::Log::open(*disk_, "changes", {.file_bytes = 4096, .preallocate_bytes = 1024});
  ASSERT_TRUE(changes);
  const auto note = [&](char kind) {
    std::string frame(30, 'x');
    frame[0] = kind;
    ASSERT_TRUE((*changes)->append(frame, clock_));
    ASSERT_TRUE((*changes)->commit());
  };
  note(1);
  disk_->set_contents("sources/crm/state.json", "the state");
  const auto begin = [&] {
    BackupSource begun = source();
    begun.changes = "changes";
    begun.changes_end = (*changes)->committed();
    begun.sources.push_back(
        {"sources/crm/state.json", *disk_->open("sources/crm/state.json", Disk::Mode::read)});
    return begun;
  };
  ASSERT_TRUE(write_backup(*disk_, begin(), kTarget, kNow));
  note(2);  // after it
  EXPECT_THAT(*verify_backup(*disk_, kTarget), IsEmpty());
  ASSERT_TRUE(restore("restored"));
  EXPECT_EQ(disk_->contents("restored/sources/crm/state.json"), "the state");
  const auto count = [&](const std::string& directory) {
    const auto log = log::Log::open(*disk_, directory, {.file_bytes = 4096});
    EXPECT_TRUE(log) << log.error().message;
    const auto reader = (*log)->read_from((*log)->begin());
    log::Frame frame;
    int frames = 0;
    while (*(*reader)->next(frame)) ++frames;
    return frames;
  };
  EXPECT_EQ(count("restored/changes"), 1);
  // The next one has what is new of both, and nothing of a source that is no more.
  const auto again = write_backup(*disk_, begin(), kTarget, kNow + kSecond);
  ASSERT_TRUE(again) << again.error().message;
  ASSERT_TRUE(restore("again"));
  EXPECT_EQ(count("again/changes"), 2);
  ASSERT_TRUE(write(kTarget));
  EXPECT_THAT(*disk_->list(std::string(kTarget) + "/sources/crm"), IsEmpty());
  EXPECT_THAT(*disk_->list(std::string(kTarget) + "/changes"), IsEmpty());
}

TEST_P(Backup, holds_what_was_committed_when_it_began_and_a_restored_log_goes_on) {
  add_many(10);
  const auto kept = log_->keep_files();
  const BackupSource begun = source();
  add_many(30);  // while it is written: further records, and further files
  ASSERT_TRUE(write_backup(*disk_, begun, kTarget, kNow));
  ASSERT_TRUE(restore("restored"));
  auto all = records("log");
  all.resize(10);
  EXPECT_EQ(records("restored/log"), all);
  log_ = *log::Log::open(*disk_, "restored/log", {.file_bytes = 4096});
  EXPECT_EQ(log_->end(), begun.log_end);
  add_many(1);
  EXPECT_EQ(records("restored/log").size(), 11u);
}

TEST_P(Backup, into_the_same_folder_copies_only_what_is_new) {
  add_many(40);
  const auto first = write();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->copied_files, first->files);
  add_many(1);
  const auto second = write();
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->copied_files, 1u);   // the open file
  EXPECT_EQ(second->removed_files, 1u);  // as it was before
  EXPECT_LT(second->copied_bytes, 4096u);
  const auto third = write();
  ASSERT_TRUE(third);
  EXPECT_EQ(third->copied_files, 0u);
  ASSERT_TRUE(restore("restored"));
  EXPECT_EQ(records("restored/log"), records("log"));
}

TEST_P(Backup, that_stops_anywhere_leaves_the_one_before_or_the_new_one_whole) {
  for (std::uint64_t stop = 1;; ++stop) {
    disk_ = std::make_unique<MemoryDisk>();
    open();
    add_many(15);
    ASSERT_TRUE(write());
    add_many(15);
    disk_->stop_after(stop);
    const bool done = write().has_value();
    disk_->crash(MemoryDisk::Survives::some, stop);
    ASSERT_THAT(*verify_backup(*disk_, kTarget), IsEmpty()) << "after " << stop << " operations";
    const auto restored = restore("restored");
    ASSERT_TRUE(restored) << restored.error().message;
    const std::uint64_t count = restored->manifest.records;
    EXPECT_TRUE(count == 30 || (!done && count == 15)) << count << " after " << stop << " operations";
    EXPECT_EQ(records("restored/log").size(), count);
    log_.reset();
    auto mended = log::Log::open(*disk_, "log", {.file_bytes = 4096});
    log_ = std::move(*mended);
    const auto again = write();  // what is left over is in nobody's way
    ASSERT_TRUE(again) << again.error().message;
    if (done) break;
  }
}

TEST_P(Backup, whose_first_run_was_cut_off_is_known_as_none) {
  add_many(15);
  for (std::uint64_t stop = 6;; ++stop) {
    const std::string target = fmt::format("backup{}", stop);
    disk_->stop_after(stop);
    const bool done = write(target).has_value();
    disk_->crash(MemoryDisk::Survives::everything);
    log_ = *log::Log::open(*disk_, "log", {.file_bytes = 4096});
    if (done) break;
    const auto restored = restore("restored", {}, target);
    if (restored) break;  // all was there but the removal of the marker
    EXPECT_TRUE(restored.error().code == Error::Code::corrupt ||
                restored.error().code == Error::Code::not_found);
    EXPECT_FALSE(disk_->exists("restored/FORMAT"));
    ASSERT_TRUE(write(target)) << "goes on where it was cut off";
  }
}

TEST_P(Backup, with_a_damaged_or_missing_file_is_refused_and_the_file_is_named) {
  add_many(40);
  ASSERT_TRUE(write());
  const auto manifest = read_manifest(*disk_, kTarget);
  ASSERT_TRUE(manifest);
  for (const BackupFile& file : manifest->files) {
    const std::string path = kTarget + ("/" + file.name);
    disk_->flip_bit(path, file.bytes * 4);
    EXPECT_THAT(verify_backup(*disk_, kTarget)->front(), HasSubstr(file.name));
    const auto restored = restore("restored");
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().code, Error::Code::corrupt);
    EXPECT_THAT(restored.error().message, HasSubstr(file.name));
    EXPECT_FALSE(disk_->exists("restored"));
    disk_->flip_bit(path, file.bytes * 4);
  }
  disk_->flip_bit(std::string(kTarget) + "/BACKUP", 400);
  EXPECT_THAT(restore("restored").error().message, HasSubstr("backup/BACKUP: it is damaged"));
  disk_->flip_bit(std::string(kTarget) + "/BACKUP", 400);
  ASSERT_TRUE(disk_->remove(kTarget + ("/" + manifest->files.front().name)));
  EXPECT_THAT(restore("restored").error().message, HasSubstr("is missing"));
}

TEST_P(Backup, of_a_damaged_log_is_not_made_and_the_one_before_stays) {
  add_many(40);
  ASSERT_TRUE(write());
  disk_->flip_bit("log/00000000000000000000.log", 8 * 300);
  const auto report = write();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Error::Code::corrupt);
  EXPECT_THAT(*verify_backup(*disk_, kTarget), IsEmpty());
}

TEST_P(Backup, leaves_folders_alone_that_are_none) {
  add_many(3);
  ASSERT_TRUE(disk_->make_directories("home/log"));
  disk_->set_contents("home/letter", "dear");
  EXPECT_EQ(write("home").error().code, Error::Code::conflict);
  ASSERT_TRUE(write());
  disk_->set_contents("occupied/x", "");
  ASSERT_TRUE(disk_->make_directories("occupied"));
  EXPECT_EQ(restore("occupied").error().code, Error::Code::conflict);
  EXPECT_THAT(restore("restored", {}, "nothing").error().message, HasSubstr("no backup in nothing"));
}

TEST_P(Backup, of_another_store_or_of_a_later_state_is_not_overwritten) {
  add_many(3);
  ASSERT_TRUE(write());
  auto longer = std::move(log_);
  disk_->set_contents("other/x", "");
  ASSERT_TRUE(disk_->make_directories("other"));
  log_ = *log::Log::open(*disk_, "other/log", {.file_bytes = 4096});
  clock_ = Time{1'750'000'000'000};
  add_many(5);
  BackupSource others = source();
  others.log = "other/log";
  EXPECT_THAT(write_backup(*disk_, others, kTarget, kNow).error().message, HasSubstr("another store"));
  BackupSource older{.log = "log", .log_end = longer->begin(), .snapshot = nullptr, .ledger = "ledger"};
  EXPECT_THAT(write_backup(*disk_, older, kTarget, kNow).error().message, HasSubstr("knows more records"));
}

TEST_P(Backup, of_a_newer_version_is_refused_by_name) {
  add_many(3);
  ASSERT_TRUE(write());
  const std::string path = std::string(kTarget) + "/BACKUP";
  const std::string text = disk_->contents(path);
  disk_->set_contents(path, "tailrace backup 4" + text.substr(17));
  EXPECT_EQ(restore("restored").error().code, Error::Code::unsupported);
  auto manifest = *parse_manifest(text);
  manifest.ledger_format += 1;
  disk_->set_contents(path, to_text(manifest));
  EXPECT_EQ(restore("restored").error().code, Error::Code::unsupported);
  EXPECT_FALSE(disk_->exists("restored"));
}

TEST_P(Backup, leaves_out_a_snapshot_that_is_damaged) {
  add_many(3);
  write_state("state");
  const auto write_noting = [&] {
    BackupSource begun = source();
    begun.snapshot = SnapshotReader::open(*disk_, "state");
    const auto report = write_backup(*disk_, begun, kTarget, kNow);
    EXPECT_TRUE(report);
    return report->note;
  };
  EXPECT_EQ(write_noting(), "");
  EXPECT_EQ(read_manifest(*disk_, kTarget)->snapshot, log_->end());
  disk_->flip_bit("state/" + snapshot_file_name(1), 70);
  EXPECT_THAT(write_noting(), HasSubstr("is damaged and was left out"));
  EXPECT_FALSE(read_manifest(*disk_, kTarget)->snapshot);
  EXPECT_EQ(everything_in(kTarget).find("state of ada"), std::string::npos);
  disk_->set_contents("state/snapshot", "TRSNAP01 and what it was");
  EXPECT_THAT(write_noting(), HasSubstr("is of another version and was left out"));
}

TEST_P(Backup, brings_a_snapshot_back_in_all_its_files) {
  add_many(3);
  write_state("state");
  BackupSource begun = source();
  begun.snapshot = SnapshotReader::open(*disk_, "state");
  ASSERT_TRUE(write_backup(*disk_, begun, kTarget, kNow));
  EXPECT_THAT(*verify_backup(*disk_, kTarget), IsEmpty());
  ASSERT_TRUE(restore("restored"));
  const auto snapshot = SnapshotReader::open(*disk_, "restored");
  ASSERT_TRUE(snapshot && *snapshot != nullptr);
  EXPECT_EQ((*snapshot)->manifest().position, log_->end());
  ByteReader in(**snapshot);
  EXPECT_EQ(*in.get_string(), "state of ada");
}

// Its snapshot was one file, which is of another version now.
TEST_P(Backup, of_the_version_before_is_restored) {
  add_many(3);
  ASSERT_TRUE(write());
  const std::string path = std::string(kTarget) + "/BACKUP";
  std::string text = disk_->contents(path);
  text = std::string(kBackupFormatsBefore.back()) + text.substr(kBackupFormat.size());
  text.resize(text.rfind("sum "));
  disk_->set_contents(path, text + "sum " + sha256_hex(text) + "\n");
  ASSERT_TRUE(restore("restored"));
  EXPECT_EQ(records("restored/log"), records("log"));
}

TEST_P(Backup, that_is_restored_stops_anywhere_with_nothing_or_the_whole) {
  add_many(30);
  ASSERT_TRUE(write());
  const auto expected = records("log");
  for (std::uint64_t stop = 1;; ++stop) {
    const std::string directory = fmt::format("restored{}", stop);
    disk_->stop_after(stop);
    const bool done = restore(directory).has_value();
    disk_->crash(MemoryDisk::Survives::some, stop);
    if (disk_->exists(directory + "/FORMAT")) {
      EXPECT_EQ(records(directory + "/log"), expected);
    } else {
      ASSERT_FALSE(done);
      EXPECT_TRUE(!disk_->exists(directory) || disk_->list(directory)->empty());
      const auto again = restore(directory);
      ASSERT_TRUE(again) << again.error().message;
      EXPECT_EQ(records(directory + "/log"), expected);
    }
    if (done) break;
  }
}

TEST_P(Backup, into_the_same_folder_keeps_nothing_of_somebody_deleted_since) {
  add_many(10);
  const Position first = add("ada", "a1");
  add_many(20);
  const Position second = add("ada", "a2");
  add_many(20);
  ASSERT_TRUE(write());
  if (!GetParam()) {
    EXPECT_THAT(everything_in(kTarget), HasSubstr("ada@example.com"));
  }
  ASSERT_TRUE(log_->redact({first, second}, {first}));
  const auto report = write();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->tombstones, 2u);
  EXPECT_EQ(everything_in(kTarget).find("ada@example.com"), std::string::npos);
  ASSERT_TRUE(restore("restored"));
  EXPECT_EQ(records("restored/log"), records("log"));
}

TEST_P(Backup, from_before_a_deletion_is_restored_without_the_person_by_the_list_of_a_later_one) {
  add_many(10);
  const Position first = add("ada", "a1");
  add_many(20);
  write_state("state");
  BackupSource begun = source();
  begun.snapshot = SnapshotReader::open(*disk_, "state");
  ASSERT_TRUE(write_backup(*disk_, begun, "old", kNow));
  ASSERT_TRUE(read_manifest(*disk_, "old")->snapshot);
  add_many(5);
  const Position later = add("ada", "a2");
  ASSERT_TRUE(log_->redact({first, later}, {first}));
  ASSERT_TRUE(write());

  const auto deletions = read_deletions(*disk_, kTarget);
  ASSERT_TRUE(deletions);
  EXPECT_EQ(deletions->tombstones.size(), 2u);
  EXPECT_EQ(to_text(*deletions).find("ada"), std::string::npos);
  const auto restored = restore("restored", {*deletions}, "old");
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->deleted_records, 1u);  // the other came after the backup
  EXPECT_EQ(everything_in("restored").find("ada"), std::string::npos);
  auto expected = records("log");
  expected.resize(31);
  EXPECT_EQ(records("restored/log"), expected);
  // As the log itself has it, with the person's place kept.
  std::string ours;
  std::string theirs;
  const auto reopened = log::Log::open(*disk_, "restored/log", {.file_bytes = 4096});
  EXPECT_EQ(*log_->read(first, ours), *(*reopened)->read(first, theirs));
}

TEST_P(Backup, is_not_restored_with_the_deletions_of_another_store) {
  add_many(10);
  ASSERT_TRUE(write());
  Deletions others{.log = {Time{1}, 9}, .tombstones = {}};
  EXPECT_EQ(restore("restored", {others}).error().code, Error::Code::conflict);
  others.log = read_manifest(*disk_, kTarget)->log;
  others.tombstones = {
      {.position = Position{48}, .received_at = Time{5}, .length = 9, .created_person = false}};
  EXPECT_EQ(restore("restored", {others}).error().code, Error::Code::conflict);
  EXPECT_FALSE(disk_->exists("restored"));
}

INSTANTIATE_TEST_SUITE_P(OfALog, Backup, ::testing::Bool(),
                         [](const auto& log) { return log.param ? "that_is_compressed" : "that_is_plain"; });

TEST(Manifest, reads_what_it_wrote_and_nothing_that_leads_out_of_a_store) {
  Manifest manifest{.made = kNow,
                    .log_format = 1,
                    .log_end = Position{4800},
                    .records = 12,
                    .log = {Time{-5}, 40},
                    .snapshot = Position{4000},
                    .ledger_format = 2,
                    .files = {{.sha256 = sha256_hex("a"),
                               .bytes = 1,
                               .place = "ledger/000001.sst",
                               .name = "ledger/000001.sst.ca978112ca1bbdca"},
                              {.sha256 = sha256_hex("a"),
                               .bytes = 1,
                               .place = "snapshot.000012",
                               .name = "snapshot.000012.ca978112ca1bbdca"}}};
  EXPECT_EQ(*parse_manifest(to_text(manifest)), manifest);
  for (const char* place : {"../FORMAT", "ledger/../../x", "ledger/a/b", "ledger/.", "FORMAT", "log/x.log",
                            "/etc", "snapshot.x", "snapshot.000001/x"}) {
    Manifest bad = manifest;
    bad.files[0].place = place;
    bad.files[0].name = std::string(place) + ".ca978112ca1bbdca";
    EXPECT_EQ(parse_manifest(to_text(bad)).error().code, Error::Code::corrupt) << place;
  }
  Manifest bad = manifest;
  bad.files[0].name = "ledger/../../../secret";
  EXPECT_FALSE(parse_manifest(to_text(bad)));
}

}  // namespace
}  // namespace tailrace::server
