#include "server/core.h"

#include <filesystem>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/whole_file.h"
#include "io/posix_disk.h"
#include "io/system_clock.h"

namespace tailrace::server {
namespace {

class RunningStore : public ::testing::Test {
 protected:
  RunningStore() {
    std::string name = ::testing::TempDir() + "tailrace-core-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~RunningStore() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Core> start() {
    Core::Options options;
    options.store.directory = directory_ + "/store";
    options.snapshot_every_records = 100;
    auto core = Core::start(*disk_, std::move(options), io::system_now);
    if (!core) throw std::runtime_error(core.error().message);
    return std::move(*core);
  }
  void identify(Core& core, int person, const std::string& plan = "free") {
    const std::string id = fmt::format("u{}", person);
    const std::string payload = fmt::format(R"({{"plan":"{}"}})", plan);
    RecordView record;
    record.kind = RecordKind::identify;
    record.source = "app";
    record.message_id = id;
    record.user_id = id;
    record.payload = payload;
    submit(core, record);
  }
  void submit(Core& core, const RecordView& record) {
    std::string bytes;
    ASSERT_TRUE(encode_record(record, bytes));
    const auto end = static_cast<std::uint32_t>(bytes.size());
    ASSERT_TRUE(core.submit_and_wait(std::move(bytes), {end}));
  }
  std::string snapshot() const { return directory_ + "/store/snapshot"; }
  std::vector<std::string> snapshot_files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/store")) {
      if (entry.path().filename().string().starts_with("snapshot")) names.push_back(entry.path().filename());
    }
    return names;
  }

  std::string bytes_of_snapshots() const {
    std::string all;
    for (const auto& name : snapshot_files()) all += *read_whole(*disk_, directory_ + "/store/" + name);
    return all;
  }

  std::string directory_;
  std::unique_ptr<Disk> disk_ = io::posix_disk();
};

TEST_F(RunningStore, writes_snapshots_beside_the_records_that_go_on) {
  auto core = start();
  int people = 0;
  while (!std::filesystem::exists(snapshot()) && people < 100'000) identify(*core, people++);
  ASSERT_TRUE(std::filesystem::exists(snapshot())) << "after " << people << " records";
  const auto kept = directory_ + "/kept";
  std::filesystem::create_directory(kept);
  for (const auto& name : snapshot_files())
    std::filesystem::copy_file(directory_ + "/store/" + name, kept + "/" + name);
  ASSERT_TRUE(core->stop({0}));
  core.reset();
  // As after a crash: the snapshot that was written meanwhile, and the log.
  for (const auto& name : snapshot_files()) std::filesystem::remove(directory_ + "/store/" + name);
  std::filesystem::copy(kept, directory_ + "/store");
  core = start();
  EXPECT_TRUE(core->store().opened().from_snapshot);
  EXPECT_LT(core->store().opened().replayed, static_cast<std::uint64_t>(people));
  EXPECT_EQ(core->call([](engine::Engine& engine) { return engine.counts().people; }),
            static_cast<std::uint64_t>(people));
}

TEST_F(RunningStore, stops_while_a_snapshot_is_being_written) {
  auto core = start();
  for (int person = 0; person < 105; ++person) identify(*core, person);
  ASSERT_TRUE(core->stop({0}));
  core.reset();
  core = start();
  EXPECT_TRUE(core->store().opened().from_snapshot);
  EXPECT_EQ(core->store().opened().replayed, 0u);
}

// Also in files of snapshots from before, of which the later ones are the difference.
TEST_F(RunningStore, keeps_no_byte_of_somebody_deleted_in_any_snapshot) {
  auto core = start();
  identify(*core, 0, "very private");
  for (int times = 0; times < 3; ++times) {
    for (int person = 1; person < 90; ++person) identify(*core, person + 100 * times);
    ASSERT_TRUE(core->stop({0}));
    core.reset();
    core = start();
  }
  EXPECT_GT(snapshot_files().size(), 2U);
  EXPECT_NE(bytes_of_snapshots().find("very private"), std::string::npos);
  RecordView record;
  record.kind = RecordKind::remove;
  record.source = "app";
  record.message_id = "gone";
  record.user_id = "u0";
  submit(*core, record);
  ASSERT_TRUE(core->stop({0}));
  core.reset();
  EXPECT_GT(snapshot_files().size(), 1U);
  EXPECT_EQ(bytes_of_snapshots().find("very private"), std::string::npos);
}

workspace::SyncConfig sync_with_holdout(std::uint32_t per_million) {
  workspace::SyncConfig sync;
  sync.name = "Winback";
  sync.holdout_per_million = per_million;
  return sync;
}

std::uint32_t held_out_of(const workspace::SyncConfig& sync, std::uint32_t people) {
  std::uint32_t count = 0;
  for (std::uint32_t person = 0; person < people; ++person) count += held_out(sync, PersonId(person));
  return count;
}

TEST(Holdout, holds_out_the_share_it_names) {
  EXPECT_EQ(held_out_of(sync_with_holdout(0), 10'000), 0u);
  EXPECT_EQ(held_out_of(sync_with_holdout(1'000'000), 10'000), 10'000u);
  // 10 % of 20,000 with a standard deviation of 42.
  EXPECT_NEAR(held_out_of(sync_with_holdout(100'000), 20'000), 2'000, 210);
}

TEST(Holdout, is_the_same_at_every_replay_and_differs_by_salt) {
  const auto sync = sync_with_holdout(500'000);
  auto salted = sync;
  salted.holdout_salt = "another";
  std::uint32_t differing = 0;
  for (std::uint32_t person = 0; person < 1'000; ++person) {
    EXPECT_EQ(held_out(sync, PersonId(person)), held_out(sync, PersonId(person)));
    differing += held_out(sync, PersonId(person)) != held_out(salted, PersonId(person));
  }
  EXPECT_NEAR(differing, 500, 80);
}

TEST(Secrets, are_read_from_where_they_are_named) {
  using workspace::SecretReference;
  ::setenv("TAILRACE_TEST_SECRET", "value", 1);
  EXPECT_EQ(*resolve_secret({SecretReference::Kind::environment, "TAILRACE_TEST_SECRET"}, "."), "value");
  const auto unset = resolve_secret({SecretReference::Kind::environment, "TAILRACE_TEST_UNSET"}, ".");
  EXPECT_EQ(unset.error().message, "the environment variable TAILRACE_TEST_UNSET is not set");
  const auto missing = resolve_secret({SecretReference::Kind::file, "no/such/file"}, "/tmp");
  EXPECT_EQ(missing.error().message, "the file /tmp/no/such/file cannot be read or is empty");
}

}  // namespace
}  // namespace tailrace::server
