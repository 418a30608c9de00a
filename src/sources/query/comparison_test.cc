// Against a judge that holds everything in maps.
#include "sources/query/comparison.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "model/record.h"

namespace tailrace::sources {
namespace {

using Cells = std::vector<std::optional<std::string>>;

// key, value; a value that is no number does not fit.
struct TestRow {
  std::string key, value;
};

class World {
 public:
  explicit World(RowsAs rows) {
    spec_ = {.query = "SELECT", .rows = rows, .key = {"id"}, .user_id = "id"};
    if (rows == RowsAs::events) spec_.event = "Seen";
    if (rows == RowsAs::members) spec_.attribute = "listed";
  }

  // What is sent, by person: "u1 {...}".
  std::vector<std::string> run(const std::vector<TestRow>& rows) {
    std::optional<SnapshotHeader> before_header;
    if (run_ > 0) before_header = header_;
    const auto mapping =
        RowMapping::bind(spec_, {{"id", ColumnKind::text}, {"value", ColumnKind::number}},
                         {.source = "s", .begun = Time{++run_ * 1000}, .types = {}, .before = before_header});
    EXPECT_TRUE(mapping.has_value());
    header_ = mapping->header();
    std::vector<Entry> now;
    for (const TestRow& row : rows) now.push_back(mapping->map(Cells{row.key, row.value}));
    std::ranges::sort(
        now, [](const Entry& a, const Entry& b) { return a.key != b.key ? a.key < b.key : a.hash < b.hash; });
    std::vector<Entry> after;
    std::vector<std::string> sent;
    const auto counts = compare(
        *mapping, giving(now), giving(snapshot_),
        [&](const Entry& entry) -> Result<void> {
          EXPECT_TRUE(entry.record.empty());
          EXPECT_TRUE(after.empty() || after.back().key < entry.key);
          after.push_back(entry);
          return {};
        },
        [&](const Entry& entry) -> Result<void> {
          const auto record = decode_record(entry.record);
          EXPECT_TRUE(record.has_value());
          const bool rejected = record->kind == RecordKind::rejected;
          sent.push_back(fmt::format("{} {}", record->user_id.empty() ? entry.key.substr(1) : record->user_id,
                                     rejected ? "rejected" : record->payload));
          return {};
        });
    EXPECT_TRUE(counts.has_value());
    counts_ = *counts;
    EXPECT_EQ(counts_.records, sent.size());
    EXPECT_EQ(counts_.rows, rows.size());
    EXPECT_EQ(counts_.before, snapshot_.size());
    snapshot_ = std::move(after);
    return sent;
  }
  const RowCounts& counts() const { return counts_; }

 private:
  static NextEntry giving(const std::vector<Entry>& entries) {
    return [&entries, at = std::size_t{0}](Entry& entry) mutable -> Result<bool> {
      if (at == entries.size()) return false;
      entry = entries[at++];
      return true;
    };
  }

  QuerySpec spec_;
  std::int64_t run_ = 0;
  SnapshotHeader header_;
  std::vector<Entry> snapshot_;
  RowCounts counts_;
};

// The same, obviously: what is known of each key, and what a person's attribute is.
class Judge {
 public:
  explicit Judge(RowsAs rows) : rows_(rows) {}

  std::vector<std::string> run(const std::vector<TestRow>& rows) {
    std::map<std::string, std::vector<std::string>> now;
    for (const TestRow& row : rows) {
      auto& values = now[row.key];
      if (std::ranges::find(values, row.value) == values.end()) values.push_back(row.value);
    }
    std::vector<std::string> sent;
    std::map<std::string, Known> after;
    std::set<std::string> keys;
    for (const auto& [key, known] : known_) keys.insert(key);
    for (const auto& [key, values] : now) keys.insert(key);
    for (const std::string& key : keys) {
      const auto old = known_.find(key);
      const auto values = now.find(key);
      if (values == now.end()) {
        if (old->second.stands && rows_ == RowsAs::people) sent.push_back(key + R"( {"value":null})");
        continue;
      }
      if (values->second.size() > 1) {
        if (old != known_.end()) after[key] = old->second;
        continue;
      }
      const std::string& value = values->second.front();
      const bool fits = value != "x";
      Known known{value, fits || (old != known_.end() && old->second.stands)};
      const bool same = old != known_.end() && old->second.value == value;
      const bool once = rows_ == RowsAs::events && old != known_.end() && old->second.stands;
      if (!same && !fits) sent.push_back(key + " rejected");
      if (!same && fits && !once)
        sent.push_back(
            key + (rows_ == RowsAs::people ? R"( {"value":)" + value + "}" : R"( {"value":)" + value + "}"));
      after[key] = known;
    }
    known_ = std::move(after);
    return sent;
  }

 private:
  struct Known {
    std::string value;
    bool stands = false;
  };
  RowsAs rows_;
  std::map<std::string, Known> known_;
};

TEST(Comparison, is_what_an_obvious_judge_says) {
  for (const RowsAs rows : {RowsAs::people, RowsAs::events}) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
      Random random(seed);
      World world(rows);
      Judge judge(rows);
      for (int run = 0; run < 6; ++run) {
        std::vector<TestRow> given;
        const auto count = random.below(12);
        for (std::uint64_t i = 0; i < count; ++i) {
          const auto value = random.below(4);
          given.push_back({fmt::format("u{}", random.below(8)), value == 3 ? "x" : std::to_string(value)});
        }
        ASSERT_EQ(world.run(given), judge.run(given)) << "seed " << seed << ", run " << run;
      }
    }
  }
}

TEST(Comparison, counts_what_it_finds) {
  World world(RowsAs::people);
  world.run({{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "x"}});
  EXPECT_EQ(world.counts().added, 3U);
  EXPECT_EQ(world.counts().rejected, 1U);
  world.run({{"a", "1"}, {"b", "2"}, {"d", "x"}, {"e", "1"}, {"f", "1"}, {"f", "2"}});
  EXPECT_EQ(world.counts(), (RowCounts{.rows = 6,
                                       .before = 4,
                                       .added = 1,
                                       .changed = 1,
                                       .gone = 1,
                                       .unchanged = 2,
                                       .rejected = 0,
                                       .ambiguous = 1,
                                       .records = 3}));
}

TEST(Comparison, a_key_of_two_rows_keeps_what_was_known) {
  World world(RowsAs::people);
  world.run({{"a", "1"}});
  EXPECT_TRUE(world.run({{"a", "1"}, {"a", "2"}}).empty());
  EXPECT_TRUE(world.run({{"a", "1"}}).empty());
  EXPECT_EQ(world.run({{"a", "2"}, {"a", "2"}}), std::vector<std::string>{R"(a {"value":2})"});
}

}  // namespace
}  // namespace tailrace::sources
