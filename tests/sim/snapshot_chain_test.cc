// A store whose state comes from snapshots, each the difference to the one before, is the store whose log is
// replayed: on random histories, with restarts, deletions and new workspaces between the snapshots.
#include <gtest/gtest.h>

#include "model/json.h"
#include "property/play.h"
#include "property/random_scenario.h"
#include "property/seeds.h"
#include "server/snapshot/reader.h"
#include "server/store.h"
#include "server/verify.h"
#include "support/memory_disk.h"

namespace tailrace::testing {
namespace {

class ChainedStore {
 public:
  struct Counts {
    int whole = 0;  // snapshots
    int differences = 0;
    int restarts = 0;
  };

  Counts play(std::uint64_t seed) {
    Random random(seed);
    const Scenario scenario = random_scenario(random, seed);
    restart();
    take_up(scenario.first, kStart);
    for (std::size_t i = 0; i < scenario.steps.size(); ++i) {
      const Input& input = scenario.steps[i].input;
      if (scenario.second && i == scenario.change) take_up(*scenario.second, input.received_at);
      if (input.kind == Input::Kind::sync_entry) continue;  // the ledger's, which is not here
      with_record(input, input.received_at, [&](const RecordView& record) { append(record); });
      if (random.below(4) == 0) save();
      if (random.below(8) == 0) restart();
    }
    save();
    restart();
    EXPECT_TRUE(store_->opened().from_snapshot);
    EXPECT_EQ(store_->opened().replayed, 0u);
    expect_same_as_replayed();
    return counts_;
  }

 private:
  static constexpr const char* kDirectory = "store";

  void restart() {
    store_.reset();
    auto store = server::Store::open(
        disk_, {.directory = kDirectory, .log = {.file_bytes = 16 << 10, .preallocate_bytes = 4 << 10}});
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    EXPECT_EQ(store_->opened().note, "");
    ++counts_.restarts;
  }
  void append(RecordView record) {
    log::Log& log = store_->log();
    record.received_at = std::max(record.received_at, log.last_received_at());
    std::string bytes;
    ASSERT_TRUE(encode_record(record, bytes));
    const auto position = log.append(bytes, record.received_at);
    ASSERT_TRUE(position && log.commit());
    engine::Output output;
    ASSERT_TRUE(store_->engine().apply(*position, *decode_record(bytes), output));
    while (store_->engine().work_pending()) ASSERT_TRUE(store_->engine().work());
  }
  void take_up(const workspace::Workspace& workspace, Time at) {
    const std::string payload = to_json(workspace::to_value(workspace));
    append({.kind = RecordKind::workspace, .received_at = at, .payload = payload});
  }
  void save() {
    const auto written = store_->save_snapshot(store_->log().end());
    ASSERT_TRUE(written) << written.error().message;
    ++(written->whole ? counts_.whole : counts_.differences);
  }
  // As it is, and as time will change it within a year.
  void expect_same_as_replayed() {
    const Time now = store_->engine().now();
    const auto by_snapshots = server::digest_of(store_->engine(), now);
    store_.reset();
    ASSERT_TRUE(server::remove_snapshot(disk_, kDirectory));
    restart();
    EXPECT_FALSE(store_->opened().from_snapshot);
    const auto by_log = server::digest_of(store_->engine(), now);
    ASSERT_TRUE(by_snapshots && by_log);
    EXPECT_EQ(by_snapshots->parts, by_log->parts);
  }

  MemoryDisk disk_;
  std::unique_ptr<server::Store> store_;
  Counts counts_;
};

TEST(SnapshotChains, give_the_state_that_the_log_gives) {
  ChainedStore::Counts all;
  const auto play = [&](std::uint64_t seed) {
    SCOPED_TRACE(seed);
    const SeedInHand in_hand(seed);
    const auto counts = ChainedStore().play(seed);
    all.whole += counts.whole;
    all.differences += counts.differences;
    all.restarts += counts.restarts;
  };
  for (std::uint64_t seed = 1; seed <= 40 && !::testing::Test::HasFailure(); ++seed) play(seed);
  EXPECT_GT(all.whole, 0);
  EXPECT_GT(all.differences, all.whole);
  EXPECT_GT(all.restarts, 100);
  for_fresh_seeds(10, play);
}

}  // namespace
}  // namespace tailrace::testing
