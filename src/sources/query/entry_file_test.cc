#include "sources/query/entry_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sources/query/row_sorter.h"
#include "support/memory_disk.h"

namespace tailrace::sources {
namespace {

using testing::MemoryDisk;

Entry entry(std::string key, std::string record, bool rejected = false) {
  Entry made{.key = std::move(key), .hash = {}, .rejected = rejected, .stands = !rejected, .record = {}};
  made.hash = content_hash(record);
  made.record = std::move(record);
  return made;
}

class EntryFile : public ::testing::Test {
 protected:
  EntryFile() { EXPECT_TRUE(disk_.make_directories("d")); }

  void write(const std::vector<Entry>& entries) {
    const auto writer = EntryWriter::create(disk_, "d/file", "the header");
    ASSERT_TRUE(writer.has_value());
    for (const Entry& each : entries) ASSERT_TRUE((*writer)->put(each).has_value());
    ASSERT_TRUE((*writer)->finish().has_value());
  }
  // The entries, or the error's words.
  Result<std::vector<Entry>> read() {
    const auto reader = TRY(EntryReader::open(disk_, "d/file"));
    EXPECT_EQ(reader->header(), "the header");
    std::vector<Entry> entries;
    Entry each;
    while (TRY(reader->next(each))) entries.push_back(each);
    EXPECT_FALSE(TRY(reader->next(each))) << "the end stays the end";
    return entries;
  }

  MemoryDisk disk_;
};

TEST_F(EntryFile, gives_what_was_put) {
  const std::vector<Entry> entries{entry("", ""), entry("k1", "a record"),
                                   entry("k2", std::string(400'000, 'x')),
                                   entry(std::string("k\0z", 3), "a", true)};
  write(entries);
  EXPECT_EQ(read(), entries);
  write({});
  EXPECT_EQ(read(), std::vector<Entry>{});
}

TEST_F(EntryFile, many_blocks_are_one_file) {
  std::vector<Entry> entries;
  for (int i = 0; i < 20'000; ++i) entries.push_back(entry(std::to_string(i), std::string(60, 'r')));
  write(entries);
  EXPECT_EQ(read(), entries);
}

TEST_F(EntryFile, a_file_that_was_cut_anywhere_is_damaged) {
  write({entry("k1", "one"), entry("k2", "two")});
  const std::string whole = disk_.contents("d/file");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    disk_.set_contents("d/file", whole.substr(0, size));
    const auto cut = read();
    ASSERT_FALSE(cut.has_value()) << size;
    EXPECT_EQ(cut.error().code, Error::Code::corrupt) << size;
  }
}

TEST_F(EntryFile, a_bit_that_fell_over_is_noticed) {
  write({entry("k1", "one"), entry("k2", "two")});
  const std::string whole = disk_.contents("d/file");
  for (std::uint64_t bit = 0; bit < whole.size() * 8; ++bit) {
    disk_.set_contents("d/file", whole);
    disk_.flip_bit("d/file", bit);
    ASSERT_FALSE(read().has_value()) << bit;
  }
}

TEST_F(EntryFile, nothing_longer_is_written_than_can_be_read) {
  const auto writer = EntryWriter::create(disk_, "d/file", "");
  ASSERT_TRUE(writer.has_value());
  EXPECT_FALSE((*writer)->put(entry(std::string(kEntryKeyBytesMax + 1, 'k'), "")).has_value());
  EXPECT_TRUE((*writer)->put(entry(std::string(kEntryKeyBytesMax, 'k'), "")).has_value());
}

TEST_F(EntryFile, a_file_that_is_not_there_is_not_found) {
  EXPECT_EQ(read().error().code, Error::Code::not_found);
}

// The same rows in another order, in memory of another size, come out alike.
TEST_F(EntryFile, rows_are_sorted_however_little_memory_there_is) {
  std::vector<Entry> expected;
  for (int i = 0; i < 3'000; ++i)
    expected.push_back(entry(std::to_string(i * 7919 % 1'009), std::to_string(i)));
  std::vector<Entry> given = expected;
  std::ranges::sort(expected, [](const Entry& a, const Entry& b) {
    return a.key != b.key ? a.key < b.key : a.hash < b.hash;
  });
  for (const std::size_t memory : {std::size_t{1} << 30, std::size_t{20'000}, std::size_t{1}}) {
    RowSorter sorter(disk_, "d", memory);
    for (const Entry& each : given) ASSERT_TRUE(sorter.add(each).has_value());
    ASSERT_TRUE(sorter.finish().has_value());
    std::vector<Entry> sorted;
    Entry each;
    while (*sorter.next(each)) sorted.push_back(each);
    EXPECT_EQ(sorted, expected) << memory;
    EXPECT_EQ(sorter.files() > 0, memory < 1'000'000);
    std::ranges::reverse(given);
  }
}

}  // namespace
}  // namespace tailrace::sources
