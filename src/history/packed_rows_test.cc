#include "history/packed_rows.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "history/stream.h"

namespace tailrace::history {
namespace {

// Those that are usual, those at the ends of what stands in the row itself, and those far from it.
const std::vector<Time> kTimes{kForeverAgo,
                               Time{-1},
                               Time{0},
                               Time{1'104'537'599'999},
                               Time{1'104'537'600'000},
                               Time{1'767'225'600'000},
                               Time{2'135'329'751'039},
                               Time{2'135'329'751'040},
                               Time{253'402'300'799'999},
                               kNever};
const std::vector<Position> kPositions{Position(0),
                                       Position(4'294'967'296),
                                       Position((1ull << 40) - (1ull << 36) - 1),
                                       Position((1ull << 40) - (1ull << 36)),
                                       Position(1ull << 40),
                                       Position(UINT64_MAX)};

TEST(PackedRows, keep_any_time_and_position_exactly) {
  PackedRows rows;
  rows.grow_to(kTimes.size() * kPositions.size());
  std::size_t row = 0;
  for (const Time time : kTimes) {
    for (const Position position : kPositions) rows.set(row++, time, position);
  }
  ByteWriter out;
  rows.save(out);
  const std::string bytes = out.take();
  PackedRows restored;
  ByteReader in(bytes);
  ASSERT_TRUE(restored.restore(in));
  restored.grow_to(row + 1);
  restored.set(row, kNever, Position(UINT64_MAX));  // known already
  for (const PackedRows* one : {&rows, &restored}) {
    row = 0;
    for (const Time time : kTimes) {
      for (const Position position : kPositions) {
        EXPECT_EQ(one->time(row).ms, time.ms);
        EXPECT_EQ(one->position(row), position);
        ++row;
      }
    }
  }
  EXPECT_EQ(restored.position(row), Position(UINT64_MAX));
}

TEST(PackedRows, are_searched_as_an_array_is) {
  PackedRows rows;
  rows.grow_to(kTimes.size());
  for (std::size_t i = 0; i < kTimes.size(); ++i) rows.set(i, kTimes[i], Position(i));
  const PackedView<Time> times = rows.times(0, kTimes.size());
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  for (std::size_t i = 0; i < kTimes.size(); ++i) {
    const auto found = std::lower_bound(times.begin(), times.end(), kTimes[i]);
    EXPECT_EQ(found - times.begin(), static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(std::upper_bound(times.begin(), times.end(), kTimes[i]) - found, 1);
  }
}

TEST(PackedRows, a_row_of_a_time_that_is_not_there_is_an_error) {
  PackedRows rows;
  rows.grow_to(1);
  rows.set(0, kNever, Position(1));
  ByteWriter out;
  rows.save(out);
  std::string bytes = out.take();
  bytes[8] = '\x01';  // behind the count: the place of the time in its table, which has one
  PackedRows restored;
  ByteReader in(bytes);
  EXPECT_FALSE(restored.restore(in));
}

class NoTies final : public MessageIds {
 public:
  std::string_view message_id(Position) override { return ""; }
};

TEST(Stream, keeps_the_rows_of_many_people_in_order_while_their_ranges_grow) {
  constexpr std::uint32_t kPeople = 7;
  Random random(3);
  Stream stream(std::make_shared<Places>());
  const Column column = stream.add_column(Sums::kept);
  CellPool pool;
  NoTies ids;
  std::vector<std::vector<std::pair<std::int64_t, std::uint64_t>>> plain(kPeople);
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const auto person = static_cast<std::uint32_t>(random.below(kPeople) * random.below(kPeople) / kPeople);
    if (random.below(5'000) == 0) {
      stream.erase(PersonId(person));
      plain[person].clear();
    }
    // No two at one time; every hundredth far from the others.
    const auto base = random.below(100) == 0 ? 0 : 1'700'000'000'000;
    const std::int64_t time = base + static_cast<std::int64_t>(random.below(1'000'000) * 20'000 + i);
    const Cell cell = pool.intern(Value::of(Number::integer(static_cast<std::int64_t>(i))));
    stream.insert(PersonId(person), {time}, Position(i << 28), "", {&cell, 1}, ids);
    plain[person].emplace_back(time, i);
  }
  for (std::uint32_t person = 0; person < kPeople; ++person) {
    std::sort(plain[person].begin(), plain[person].end());
    const Stream::Rows rows = stream.rows(PersonId(person));
    ASSERT_EQ(rows.size(), plain[person].size());
    for (std::size_t row = 0; row < rows.size(); ++row) {
      EXPECT_EQ(rows.times[row].ms, plain[person][row].first);
      EXPECT_EQ(rows.positions[row], Position(plain[person][row].second << 28));
      EXPECT_EQ(pool.load(stream.cell(rows, row, column)),
                Value::of(Number::integer(static_cast<std::int64_t>(plain[person][row].second))));
    }
  }
}

}  // namespace
}  // namespace tailrace::history
