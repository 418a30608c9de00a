#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/random.h"
#include "server/formats.h"
#include "server/snapshot/reader.h"
#include "server/snapshot/writer.h"
#include "support/memory_disk.h"

namespace tailrace::server {
namespace {

using tailrace::testing::MemoryDisk;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A state in two parts, of which one grows beyond a piece.
struct State {
  std::string name;
  std::vector<std::uint64_t> rows;

  void save(ByteWriter& out) const {
    out.begin_part("name");
    out.put_string(name);
    out.begin_part("rows");
    out.put_array(rows);
  }
  bool operator==(const State&) const = default;
};

State state_of(std::uint64_t seed, std::size_t rows = 300'000) {
  Random random(seed);
  State state{.name = fmt::format("state {}", seed), .rows = {}};
  for (std::size_t i = 0; i < rows; ++i) state.rows.push_back(random.next());
  return state;
}

class Snapshots : public ::testing::Test {
 protected:
  Snapshots() { EXPECT_TRUE(disk_.make_directories("store")); }

  Result<SnapshotWritten> write(const State& state, Position position = Position{1}) {
    return write_snapshot(disk_, "store", position, [&](ByteWriter& out) { state.save(out); });
  }
  // As far as it can be read.
  Result<State> read() {
    const auto snapshot = TRY(SnapshotReader::open(disk_, "store"));
    if (snapshot == nullptr) return fail(Error::Code::not_found, "there is none");
    ByteReader in(*snapshot);
    State state;
    state.name = TRY(in.get_string());
    state.rows = TRY(in.get_array<std::uint64_t>());
    if (!in.done()) return fail(Error::Code::corrupt, "longer than it should be");
    return state;
  }
  std::vector<std::string> files() { return *disk_.list("store"); }
  static std::string path(const std::string& name) { return "store/" + name; }

  MemoryDisk disk_;
};

TEST_F(Snapshots, are_read_as_they_were_written) {
  EXPECT_EQ(*SnapshotReader::open(disk_, "store"), nullptr);
  const State state = state_of(1);
  const auto written = write(state, Position{77});
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_GT(written->state_bytes, 2 * kPieceBytes);
  EXPECT_GE(written->written_bytes, written->state_bytes);
  EXPECT_EQ(*read(), state);
  const auto snapshot = *SnapshotReader::open(disk_, "store");
  EXPECT_EQ(snapshot->manifest().position, Position{77});
  EXPECT_EQ(snapshot->bytes(), written->state_bytes);
  EXPECT_TRUE(snapshot->check());
  EXPECT_EQ(snapshot->check([] { return true; }).error().code, Error::Code::unavailable);
}

TEST_F(Snapshots, of_nothing_are_snapshots_too) {
  ASSERT_TRUE(write_snapshot(disk_, "store", Position{5}, [](ByteWriter&) {}));
  const auto snapshot = *SnapshotReader::open(disk_, "store");
  EXPECT_EQ(snapshot->bytes(), 0u);
  EXPECT_TRUE(ByteReader(*snapshot).done());
}

TEST_F(Snapshots, replace_one_another_and_leave_no_file_that_is_not_theirs) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const State state = state_of(seed, 1000 * seed);
    ASSERT_TRUE(write(state));
    EXPECT_EQ(*read(), state);
    const auto manifest = (*SnapshotReader::open(disk_, "store"))->manifest();
    EXPECT_EQ(files().size(), 1 + manifest.files().size());
  }
}

TEST_F(Snapshots, stay_readable_while_another_takes_their_place) {
  const State before = state_of(1);
  ASSERT_TRUE(write(before));
  const auto open = *SnapshotReader::open(disk_, "store");
  ASSERT_TRUE(remove_snapshot(disk_, "store"));
  ASSERT_TRUE(write(state_of(2)));
  ByteReader in(*open);
  EXPECT_EQ(*in.get_string(), before.name);
  EXPECT_EQ(*in.get_array<std::uint64_t>(), before.rows);
}

TEST_F(Snapshots, in_which_any_bit_flips_give_nothing_that_was_not_written) {
  const State state = state_of(3, 40);
  ASSERT_TRUE(write(state));
  for (const std::string& name : files()) {
    const std::string sound = disk_.contents(path(name));
    for (std::uint64_t bit = 0; bit < sound.size() * 8; ++bit) {
      disk_.flip_bit(path(name), bit);
      EXPECT_FALSE(read()) << name << " bit " << bit;
      disk_.flip_bit(path(name), bit);
    }
    for (std::size_t size = 0; size < sound.size(); ++size) {
      disk_.set_contents(path(name), sound.substr(0, size));
      EXPECT_FALSE(read()) << name << " cut to " << size;
    }
    disk_.set_contents(path(name), sound);
  }
  EXPECT_EQ(*read(), state);
}

TEST_F(Snapshots, without_one_of_their_files_are_damaged_and_the_next_one_is_whole) {
  ASSERT_TRUE(write(state_of(1)));
  ASSERT_TRUE(disk_.remove(path(snapshot_file_name(1))));
  EXPECT_THAT(read().error().message, HasSubstr("snapshot.000001 is missing"));
  ASSERT_TRUE(write(state_of(2)));
  EXPECT_EQ(*read(), state_of(2));
}

TEST_F(Snapshots, of_another_version_are_told_from_damaged_ones) {
  disk_.set_contents("store/snapshot", "TRSNAP01 and all the rest");
  EXPECT_EQ(read().error().code, Error::Code::unsupported);
  ASSERT_TRUE(write(state_of(2)));
  EXPECT_EQ(*read(), state_of(2));
}

// Rows that change in place, and some more of them.
State later(const State& before, std::uint64_t seed) {
  Random random(seed);
  State after = before;
  after.name = fmt::format("state {}", seed);
  for (std::size_t i = 0; i < before.rows.size() / 100; ++i)
    after.rows[random.below(after.rows.size())] = random.next();
  for (std::size_t i = 0; i < before.rows.size() / 1000; ++i) after.rows.push_back(random.next());
  return after;
}

TEST_F(Snapshots, write_little_more_than_what_is_new) {
  State state = state_of(1);
  ASSERT_TRUE(write(state)->whole);
  for (std::uint64_t seed = 2; seed < 8; ++seed) {
    state = later(state, seed);
    const auto written = write(state);
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_FALSE(written->whole);
    EXPECT_LT(written->written_bytes, written->state_bytes / 20);
    EXPECT_EQ(*read(), state);
  }
  const std::vector<std::string> before = files();
  EXPECT_LT(write(state)->written_bytes, 1'000U);  // the manifest
  EXPECT_EQ(*read(), state);
  EXPECT_EQ(files(), before);
}

TEST_F(Snapshots, are_whole_again_before_they_are_in_many_files_or_hold_much_that_counts_no_longer) {
  State state = state_of(1);
  ASSERT_TRUE(write(state));
  for (std::uint64_t seed = 2; seed < 60; ++seed) {
    // First small changes, then large ones.
    for (std::uint64_t times = seed < 30 ? 1 : 12; times > 0; --times)
      state = later(state, seed * 100 + times);
    const auto written = write(state);
    ASSERT_TRUE(written);
    EXPECT_EQ(*read(), state);
    EXPECT_LE(files().size(), 1 + kSnapshotFilesMax);
    std::uint64_t held = 0;
    for (const std::string& name : files()) held += disk_.contents(path(name)).size();
    EXPECT_LT(held, written->state_bytes * 2);
    EXPECT_EQ(written->whole, files().size() == 2);
  }
}

TEST_F(Snapshots, that_lose_a_part_or_gain_one_keep_the_others_where_they_are) {
  const auto save = [&](std::vector<std::string> parts) {
    return write_snapshot(disk_, "store", Position{1}, [&](ByteWriter& out) {
      for (const std::string& part : parts) {
        out.begin_part(part);
        out.put_string(part + std::string(50'000, 'x'));
      }
    });
  };
  ASSERT_TRUE(save({"a", "b", "c", "d"}));
  const auto written = save({"a", "c", "e", "d"});
  ASSERT_TRUE(written);
  EXPECT_LT(written->written_bytes, 60'000U);
  const auto snapshot = *SnapshotReader::open(disk_, "store");
  ByteReader in(*snapshot);
  for (const char* part : {"a", "c", "e", "d"}) EXPECT_EQ(in.get_string()->front(), *part);
  EXPECT_TRUE(in.done());
}

TEST_F(Snapshots, after_one_that_is_damaged_take_nothing_of_the_damage) {
  State state = state_of(1);
  ASSERT_TRUE(write(state));
  state = later(state, 2);
  ASSERT_TRUE(write(state));
  for (const std::string& name : files()) {
    const std::string sound = disk_.contents(path(name));
    for (const std::uint64_t part : {1U, 2U, 3U}) {
      disk_.flip_bit(path(name), sound.size() * 2 * part);
      EXPECT_FALSE(read()) << name;
      const State after = later(state, 3);
      ASSERT_TRUE(write(after));
      EXPECT_EQ(*read(), after) << name;
      // As it was.
      ASSERT_TRUE(remove_snapshot(disk_, "store"));
      ASSERT_TRUE(write(state_of(1)));
      ASSERT_TRUE(write(state));
    }
  }
}

TEST_F(Snapshots, in_several_files_of_which_any_bit_flips_give_nothing_that_was_not_written) {
  State state = state_of(3, 40);
  for (std::uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(write(state));
    state.rows[i * 10] += 1;
  }
  ASSERT_EQ(files().size(), 4U);
  const State expected = *read();
  for (const std::string& name : files()) {
    const std::string sound = disk_.contents(path(name));
    for (std::uint64_t bit = 0; bit < sound.size() * 8; ++bit) {
      disk_.flip_bit(path(name), bit);
      // What the difference replaces need not be right.
      const auto found = read();
      EXPECT_TRUE(!found || *found == expected) << name << " bit " << bit;
      disk_.flip_bit(path(name), bit);
    }
    for (std::size_t size = 0; size < sound.size(); ++size) {
      disk_.set_contents(path(name), sound.substr(0, size));
      EXPECT_FALSE(read()) << name << " cut to " << size;
    }
    disk_.set_contents(path(name), sound);
  }
}

// A snapshot after another one, of which any one operation fails, or after which the machine stops and
// forgets.
TEST_F(Snapshots, whichever_operation_fails_are_the_one_before_or_the_new_one) {
  const State before = state_of(1, 200'000);
  State after = later(before, 2);
  for (const bool stops : {false, true}) {
    for (std::uint64_t n = 1;; ++n) {
      // Every other time what changes is a part of a snapshot in two files.
      ASSERT_TRUE(remove_snapshot(disk_, "store"));
      if (n % 2 == 0) {
        ASSERT_TRUE(write(state_of(1, 199'000)));
      }
      ASSERT_TRUE(write(before, Position{1}));
      if (stops) {
        disk_.stop_after(n);
      } else {
        disk_.fail_operation(n);
      }
      const std::uint64_t operations = disk_.operations();
      const bool done = write(after, Position{2}).has_value();
      const bool untouched = disk_.operations() - operations < n;
      disk_.crash(stops ? MemoryDisk::Survives::some : MemoryDisk::Survives::everything, n);
      ASSERT_TRUE(remove_unused_snapshot_files(disk_, "store"));
      const auto found = read();
      ASSERT_TRUE(found) << found.error().message << " at operation " << n;
      EXPECT_TRUE(*found == after || (!done && *found == before)) << "at operation " << n;
      const auto manifest = (*SnapshotReader::open(disk_, "store"))->manifest();
      EXPECT_EQ(files().size(), 1 + manifest.files().size()) << "at operation " << n;
      EXPECT_EQ(manifest.position, *found == after ? Position{2} : Position{1});
      if (untouched) break;
    }
  }
}

TEST_F(Snapshots, do_not_fit_on_a_full_disk_and_leave_the_one_before) {
  ASSERT_TRUE(write(state_of(1, 1000)));
  disk_.set_capacity(100'000);
  EXPECT_EQ(write(state_of(2)).error().code, Error::Code::io);
  EXPECT_EQ(files().size(), 2U);
  EXPECT_EQ(*read(), state_of(1, 1000));
  disk_.set_capacity(1'000'000'000);
  ASSERT_TRUE(write(state_of(2)));
  EXPECT_EQ(*read(), state_of(2));
}

TEST_F(Snapshots, that_are_removed_leave_no_byte_also_of_one_that_was_begun) {
  ASSERT_TRUE(write(state_of(1)));
  disk_.set_contents("store/snapshot.new", "begun");
  disk_.set_contents(path(snapshot_file_name(9)), "begun");
  disk_.set_contents("store/FORMAT", "kept");
  ASSERT_TRUE(remove_snapshot(disk_, "store"));
  EXPECT_THAT(files(), ::testing::ElementsAre("FORMAT"));
}

TEST(SnapshotManifest, reads_what_it_wrote_and_names_files_in_one_way) {
  const SnapshotManifest manifest{
      .position = Position{123},
      .pieces = {{.key = 1, .size = 5, .checksum = 6, .layers = {{.file = 1, .offset = 0, .length = 5}}},
                 {.key = 2,
                  .size = 7,
                  .checksum = 8,
                  .layers = {{.file = 1, .offset = 5, .length = 7}, {.file = 3, .offset = 0, .length = 2}}}}};
  EXPECT_EQ(*parse_snapshot_manifest(to_bytes(manifest)), manifest);
  EXPECT_THAT(manifest.files(), ::testing::ElementsAre(1, 3));
  EXPECT_EQ(manifest.bytes(), 12u);
  for (const std::uint32_t number : {0U, 1U, 999'999U, 1'000'000U, UINT32_MAX})
    EXPECT_EQ(parse_snapshot_file_name(snapshot_file_name(number)), number);
  for (const char* name : {"snapshot", "snapshot.", "snapshot.new", "snapshot.1", "snapshot.0000001",
                           "snapshot.00000x", "snapshot.4294967296", "snapshots.000001", "x"})
    EXPECT_EQ(parse_snapshot_file_name(name), std::nullopt) << name;
}

}  // namespace
}  // namespace tailrace::server
