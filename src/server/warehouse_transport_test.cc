#include "server/warehouse_transport.h"

#include <gtest/gtest.h>

#include "support/memory_disk.h"

namespace tailrace::server {
namespace {

// No test here sends.
class NoClient final : public io::HttpClient {
  void send(HttpRequest, const HttpReach&, io::BodySink, io::HttpCallback) override {}
};

class Files : public ::testing::Test {
 protected:
  NoClient client_;
  testing::MemoryDisk disk_;
  WarehouseTransport transport_{client_, disk_, {.reach = {}, .now = [] { return Time{}; }, .read_csv = {}}};

  destinations::PackFile pack_file(std::string bytes) {
    EXPECT_TRUE(disk_.make_directories("pack"));
    disk_.set_contents("pack/a", std::move(bytes));
    destinations::PackFile file;
    file.path = "pack/a";
    return file;
  }
};

TEST_F(Files, a_placed_file_is_a_copy_and_placing_it_again_writes_nothing) {
  const auto file = pack_file(std::string(3'000'000, 'x') + "end");
  ASSERT_TRUE(transport_.place_file(file, "lake/events/dt=2026-03-01/a.parquet"));
  EXPECT_EQ(disk_.contents("lake/events/dt=2026-03-01/a.parquet"), disk_.contents("pack/a"));
  const auto syncs = disk_.syncs();
  ASSERT_TRUE(transport_.place_file(file, "lake/events/dt=2026-03-01/a.parquet"));
  EXPECT_EQ(disk_.syncs(), syncs);
}

TEST_F(Files, what_is_cut_short_is_placed_anew) {
  const auto file = pack_file("whole");
  ASSERT_TRUE(disk_.make_directories("lake"));
  disk_.set_contents("lake/a", "who");
  ASSERT_TRUE(transport_.place_file(file, "lake/a"));
  EXPECT_EQ(disk_.contents("lake/a"), "whole");
}

TEST_F(Files, after_a_fault_anywhere_the_file_is_whole_or_not_there_and_a_second_try_succeeds) {
  const std::string bytes(1'500'000, 'y');
  for (std::uint64_t n = 1;; ++n) {
    testing::MemoryDisk disk;
    WarehouseTransport transport(client_, disk, {.reach = {}, .now = [] { return Time{}; }, .read_csv = {}});
    ASSERT_TRUE(disk.make_directories("pack"));
    disk.set_contents("pack/a", bytes);
    destinations::PackFile file;
    file.path = "pack/a";
    disk.fail_operation(n);
    const bool done = transport.place_file(file, "lake/a").has_value();
    disk.crash(testing::MemoryDisk::Survives::some, n);
    if (disk.exists("lake/a")) {
      EXPECT_EQ(disk.contents("lake/a"), bytes) << n;
    }
    ASSERT_TRUE(transport.place_file(file, "lake/a")) << n;
    EXPECT_EQ(disk.contents("lake/a"), bytes) << n;
    if (done) break;
  }
}

TEST_F(Files, a_small_file_is_replaced_read_and_removed) {
  EXPECT_EQ(transport_.read_file("lake/latest").value(), std::nullopt);
  ASSERT_TRUE(transport_.write_file("lake/latest", "1"));
  ASSERT_TRUE(transport_.write_file("lake/latest", "2"));
  EXPECT_EQ(transport_.read_file("lake/latest").value(), "2");
  ASSERT_TRUE(transport_.remove_file("lake/latest"));
  ASSERT_TRUE(transport_.remove_file("lake/latest"));
  EXPECT_EQ(transport_.read_file("lake/latest").value(), std::nullopt);
}

TEST_F(Files, reading_a_part_ends_at_the_end) {
  const auto file = pack_file("0123456789");
  EXPECT_EQ(transport_.read(file, 2, 3).value(), "234");
  EXPECT_EQ(transport_.read(file, 8, 100).value(), "89");
  EXPECT_EQ(transport_.read(file, 100, 1).value(), "");
}

TEST_F(Files, whoever_waits_or_asks_after_a_stop_is_sent_away) {
  EXPECT_TRUE(transport_.wait(Millis{0}));
  transport_.stop();
  EXPECT_FALSE(transport_.wait(kHour));
  EXPECT_EQ(transport_.send({"GET", "https://example.com", {}, ""}).error().code, Error::Code::unavailable);
}

}  // namespace
}  // namespace tailrace::server
