#include "server/queries/query_run.h"

#include <map>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "model/json.h"
#include "model/record.h"
#include "support/memory_disk.h"

namespace tailrace::server {
namespace {

using sources::ColumnKind;
using sources::RowsAs;
using ::testing::HasSubstr;
using testing::MemoryDisk;

// A table of people or events: id, value.
struct Database final : QueryReader {
  std::map<std::string, std::string> rows;
  std::optional<Error> down;

  Result<void> read(const std::string&, RowSink& sink) override {
    if (down) return std::unexpected(*down);
    TRY(sink.columns({{"id", ColumnKind::text}, {"value", ColumnKind::text}}));
    // In an order of its own.
    for (auto row = rows.rbegin(); row != rows.rend(); ++row) TRY(sink.row({row->first, row->second}));
    return {};
  }
  void stop() override {}
};

// The log, which outlives every crash, and what it makes of people: a message counts once.
struct Log {
  std::vector<std::string> records;
  std::size_t puts = 0;
  std::size_t fail_put = 0;  // the n-th put fails
  bool fails_after = false;  // the records are there all the same

  Result<void> put(const std::string& bytes, const std::vector<std::uint32_t>& ends) {
    const bool fails = ++puts == fail_put;
    if (fails && !fails_after) return fail(Error::Code::io, "the log is gone");
    for (std::size_t i = 0; i < ends.size(); ++i) {
      const std::size_t begin = i == 0 ? 0 : ends[i - 1];
      records.push_back(bytes.substr(begin, ends[i] - begin));
    }
    return fails ? fail(Error::Code::io, "the log is gone") : Result<void>();
  }
  std::vector<RecordView> counted() const {
    std::vector<RecordView> views;
    std::set<std::string_view> ids;
    for (const std::string& bytes : records) {
      const auto record = decode_record(bytes);
      EXPECT_TRUE(record.has_value());
      if (ids.insert(record->message_id).second) views.push_back(*record);
    }
    return views;
  }
  // person -> value, by event time as people are; null: none.
  std::map<std::string, std::string> attributes() const {
    std::map<std::string, std::pair<Time, std::string>> latest;
    for (const RecordView& record : counted()) {
      auto& known = latest[std::string(record.user_id)];
      if (known.first <= record.time) known = {record.time, std::string(record.payload)};
    }
    std::map<std::string, std::string> values;
    for (const auto& [person, known] : latest) {
      const auto traits = parse_json(known.second);
      if (traits->find("value")->present()) values[person] = traits->find("value")->string;
    }
    return values;
  }
  std::map<std::string, int> events() const {
    std::map<std::string, int> counts;
    for (const RecordView& record : counted()) ++counts[std::string(record.user_id)];
    return counts;
  }
};

class QueryRuns : public ::testing::Test {
 protected:
  QueryRuns() { become(RowsAs::people); }

  void become(RowsAs rows) {
    source_ = {};
    source_.name = "crm";
    source_.type = "postgres";
    source_.spec = {.query = "SELECT", .rows = rows, .key = {"id"}, .user_id = "id"};
    if (rows == RowsAs::events) source_.spec.event = "Seen";
    source_.guards = workspace::QuerySource::guards_of(rows);
  }
  QueryRun make_run() {
    return QueryRun(disk_, source_, {},
                    {.directory = "store/sources/crm", .memory_bytes_max = 2'000, .batch_records_max = 3});
  }
  Result<PastRun> run(QueryRun::Held held = QueryRun::Held::by_guards) {
    QueryRun made = make_run();
    return made.run(
        database_,
        [this](std::string bytes, std::vector<std::uint32_t> ends) { return log_.put(bytes, ends); },
        [this] { return Time{now_ += 1'000}; }, held);
  }
  QueryState state() {
    const auto known = make_run().state();
    EXPECT_TRUE(known.has_value());
    return *known;
  }
  void fill(int people) {
    for (int i = 0; i < people; ++i) database_.rows[fmt::format("u{:03}", i)] = fmt::format("v{}", i);
  }

  MemoryDisk disk_;
  workspace::QuerySource source_;
  Database database_;
  Log log_;
  std::int64_t now_ = 1'772'359'200'000;
};

TEST_F(QueryRuns, only_what_changed_is_sent) {
  fill(30);
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(log_.records.size(), 30U);
  EXPECT_EQ(log_.attributes(), database_.rows);
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(log_.records.size(), 30U);
  database_.rows["u005"] = "other";
  database_.rows.erase("u006");
  database_.rows["u100"] = "new";
  const auto third = run();
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->counts, (sources::RowCounts{.rows = 30,
                                               .before = 30,
                                               .added = 1,
                                               .changed = 1,
                                               .gone = 1,
                                               .unchanged = 28,
                                               .rejected = 0,
                                               .ambiguous = 0,
                                               .records = 3}));
  EXPECT_EQ(log_.attributes(), database_.rows);
  // What is there and back again is told each time.
  database_.rows["u005"] = "v5";
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(log_.attributes(), database_.rows);
  EXPECT_EQ(state().runs.size(), 4U);
}

TEST_F(QueryRuns, a_query_that_suddenly_gives_nothing_takes_nothing_away) {
  fill(30);
  ASSERT_TRUE(run().has_value());
  const auto full = std::exchange(database_.rows, {});
  const auto held = run();
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(held->outcome, PastRun::Outcome::held);
  EXPECT_EQ(held->reason, "the query gives no rows, and gave 30 before");
  EXPECT_EQ(log_.attributes(), full);
  EXPECT_EQ(log_.records.size(), 30U);
  // It is as it was: nothing was lost.
  database_.rows = full;
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(log_.records.size(), 30U);
  // Where it is meant, somebody says so.
  database_.rows.clear();
  ASSERT_TRUE(run(QueryRun::Held::released).has_value());
  EXPECT_TRUE(log_.attributes().empty());
}

TEST_F(QueryRuns, too_many_at_once_are_held) {
  fill(100);
  ASSERT_TRUE(run().has_value());
  for (int i = 0; i < 20; ++i) database_.rows.erase(fmt::format("u{:03}", i));
  EXPECT_EQ(run()->outcome, PastRun::Outcome::done);
  for (int i = 20; i < 37; ++i) database_.rows.erase(fmt::format("u{:03}", i));
  const auto held = run();
  EXPECT_EQ(held->reason, "17 of 80 rows would be gone, more than 20%");
  source_.guards.change_share_per_million = 500'000;
  EXPECT_EQ(run()->outcome, PastRun::Outcome::done);
  source_.guards = {.change_share_per_million = {}, .change_count = 12, .size_min = 50};
  for (int i = 37; i < 50; ++i) database_.rows.erase(fmt::format("u{:03}", i));
  EXPECT_EQ(run()->reason, "13 rows would be gone, more than 12");
  source_.guards.change_count = 13;
  EXPECT_EQ(run()->outcome, PastRun::Outcome::done);
  database_.rows.erase("u099");
  EXPECT_EQ(run()->reason, "the query gives 49 rows, fewer than 50");
}

TEST_F(QueryRuns, a_database_that_is_down_is_one_line_of_the_history) {
  fill(3);
  ASSERT_TRUE(run().has_value());
  database_.down = Error{Error::Code::unavailable, "nobody answers"};
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(run().has_value());
  database_.down.reset();
  ASSERT_TRUE(run().has_value());
  const QueryState known = state();
  ASSERT_EQ(known.runs.size(), 3U);
  EXPECT_EQ(known.runs[1].outcome, PastRun::Outcome::failed);
  EXPECT_EQ(known.runs[1].reason, "nobody answers");
  EXPECT_EQ(known.runs[1].repeats, 4U);
}

TEST_F(QueryRuns, more_rows_than_were_meant_are_an_error) {
  fill(11);
  source_.rows_max = 10;
  EXPECT_THAT(run().error().message, HasSubstr("more than 10 rows"));
  EXPECT_TRUE(log_.records.empty());
}

TEST_F(QueryRuns, a_preview_changes_nothing) {
  fill(3);
  const auto seen = make_run().preview(database_, Time{now_}, 2);
  ASSERT_TRUE(seen.has_value()) << seen.error().message;
  EXPECT_EQ(seen->counts.added, 3U);
  EXPECT_EQ(seen->records.size(), 2U);
  EXPECT_TRUE(log_.records.empty());
  EXPECT_EQ(state(), QueryState{});
  ASSERT_TRUE(run().has_value());
  database_.rows.clear();
  EXPECT_EQ(make_run().preview(database_, Time{now_}, 2)->held, "the query gives no rows, and gave 3 before");
  EXPECT_EQ(log_.records.size(), 3U);
}

TEST_F(QueryRuns, a_damaged_snapshot_is_no_empty_one) {
  fill(3);
  ASSERT_TRUE(run().has_value());
  disk_.flip_bit("store/sources/crm/snapshot-1", 900);
  EXPECT_EQ(run().error().code, Error::Code::corrupt);
  ASSERT_TRUE(disk_.remove("store/sources/crm/snapshot-1").has_value());
  EXPECT_EQ(run().error().code, Error::Code::corrupt);
  EXPECT_EQ(log_.records.size(), 3U);
}

TEST_F(QueryRuns, no_file_is_left_but_the_snapshot_and_the_state) {
  fill(100);
  ASSERT_TRUE(run().has_value());
  database_.rows.erase("u001");
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(disk_.list("store/sources/crm"), (std::vector<std::string>{"snapshot-2", "state.json"}));
}

TEST_F(QueryRuns, the_clock_may_go_back) {
  fill(1);
  ASSERT_TRUE(run().has_value());
  now_ -= kDay.count;
  database_.rows["u000"] = "newer";
  ASSERT_TRUE(run().has_value());
  EXPECT_EQ(log_.attributes(), database_.rows);
}

// The machine stops after every operation of the disk in turn, and whatever of it was not synced may be lost.
// Then the run is finished, and the rows changed meanwhile are taken by the next.
TEST_F(QueryRuns, a_crash_between_any_two_steps_neither_loses_nor_doubles) {
  for (const RowsAs rows : {RowsAs::people, RowsAs::events}) {
    bool was_untouched = false;
    for (std::uint64_t stop = 1; !was_untouched; ++stop) {
      ASSERT_LT(stop, 2'000U);
      for (const auto survives : {MemoryDisk::Survives::nothing, MemoryDisk::Survives::some}) {
        disk_.~MemoryDisk();
        new (&disk_) MemoryDisk();
        become(rows);
        database_.rows.clear();
        log_ = {};
        fill(40);
        ASSERT_TRUE(run().has_value());
        const std::size_t first = log_.counted().size();
        ASSERT_EQ(first, 40U);
        database_.rows["u001"] = "changed";
        database_.rows.erase("u002");
        for (int i = 0; i < 7; ++i) database_.rows[fmt::format("n{}", i)] = "new";
        disk_.stop_after(stop);
        was_untouched = run().has_value() && !disk_.stopped();
        disk_.crash(survives, stop);
        // Somebody changed it before we came back.
        database_.rows["u001"] = "changed again";
        database_.rows["n8"] = "newer";
        const auto resumed = run();
        ASSERT_TRUE(resumed.has_value()) << stop << ": " << resumed.error().message;
        const auto after = run();
        ASSERT_TRUE(after.has_value()) << stop << ": " << after.error().message;
        ASSERT_FALSE(state().pending.has_value());
        if (rows == RowsAs::people) {
          ASSERT_EQ(log_.attributes(), database_.rows) << stop;
        } else {
          std::map<std::string, int> expected{{"u002", 1}};
          for (const auto& [id, value] : database_.rows) expected[id] = 1;
          ASSERT_EQ(log_.events(), expected) << stop;
        }
        // What goes twice is one batch at most, and de-duplication knows it.
        ASSERT_LE(log_.records.size(), log_.counted().size() + 3) << stop;
      }
    }
  }
}

TEST_F(QueryRuns, a_log_that_fails_on_the_way_is_gone_on_with) {
  for (const bool fails_after : {false, true}) {
    for (std::size_t fails = 1; fails <= 14; ++fails) {
      disk_.~MemoryDisk();
      new (&disk_) MemoryDisk();
      database_.rows.clear();
      fill(40);
      log_ = {.records = {}, .puts = 0, .fail_put = fails, .fails_after = fails_after};
      EXPECT_EQ(run().error().code, Error::Code::io);
      EXPECT_EQ(state().runs.back().outcome, PastRun::Outcome::failed);
      ASSERT_TRUE(run().has_value());
      EXPECT_EQ(log_.attributes(), database_.rows);
      EXPECT_LE(log_.records.size(), 43U);
    }
  }
}

TEST(QueryStateText, is_read_as_it_was_written) {
  QueryState state;
  state.snapshot = 3;
  state.numbers = 4;
  state.last_begun = Time{17};
  state.paused = true;
  state.pending =
      QueryState::Pending{.number = 4, .began_at = Time{17}, .sent = 2'000, .counts = {.rows = 5}};
  state.add({.began_at = Time{1},
             .ended_at = Time{2},
             .outcome = PastRun::Outcome::held,
             .reason = "a \"reason\"",
             .counts = {.gone = 4}});
  EXPECT_EQ(parse_query_state(to_text(state)), state);
  EXPECT_EQ(parse_query_state(to_text({})), QueryState{});
  const std::string whole = to_text(state);
  for (std::size_t size = 0; size + 1 < whole.size(); ++size)
    EXPECT_FALSE(parse_query_state(whole.substr(0, size)).has_value()) << size;
}

}  // namespace
}  // namespace tailrace::server
