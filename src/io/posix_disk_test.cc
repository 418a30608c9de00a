#include "io/posix_disk.h"

#include <filesystem>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tailrace::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PosixDisk : public ::testing::Test {
 protected:
  PosixDisk() {
    std::string name = (std::filesystem::temp_directory_path() / "tailrace-disk-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~PosixDisk() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  std::unique_ptr<File> create(const std::string& name) {
    auto file = disk_->open(path(name), Disk::Mode::create_or_open);
    EXPECT_TRUE(file) << file.error().message;
    return std::move(*file);
  }

  static std::string read(const File& file, std::uint64_t offset, std::size_t bytes) {
    std::string buffer(bytes, '?');
    buffer.resize(*file.read_at(offset, buffer));
    return buffer;
  }

  unsigned mode(const std::string& name) const {
    struct stat status{};
    EXPECT_EQ(::stat(path(name).c_str(), &status), 0);
    return status.st_mode & 0777u;
  }

  std::unique_ptr<Disk> disk_ = posix_disk();
  std::string directory_;
};

TEST_F(PosixDisk, reads_what_was_written_where_it_was_written) {
  const auto file = create("a");
  ASSERT_TRUE(file->write_at(4, "later"));
  ASSERT_TRUE(file->write_at(0, "soon"));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(read(*file, 0, 100), "soonlater");
  EXPECT_EQ(read(*file, 6, 2), "te");
  EXPECT_EQ(read(*file, 9, 5), "");
  EXPECT_EQ(*file->size(), 9u);
  const auto again = disk_->open(path("a"), Disk::Mode::read);
  EXPECT_EQ(read(**again, 0, 100), "soonlater");
}

TEST_F(PosixDisk, allocates_zeros_and_never_shrinks_by_it) {
  const auto file = create("a");
  ASSERT_TRUE(file->write_at(0, "x"));
  ASSERT_TRUE(file->allocate(10'000));
  EXPECT_EQ(read(*file, 0, 20'000), "x" + std::string(9'999, '\0'));
  ASSERT_TRUE(file->allocate(100));
  EXPECT_EQ(*file->size(), 10'000u);
  ASSERT_TRUE(file->truncate(3));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(*file->size(), 3u);
}

TEST_F(PosixDisk, keeps_what_it_creates_to_the_user) {
  const mode_t before = ::umask(0);
  EXPECT_TRUE(disk_->make_directories(path("store/log/")));
  create("store/log/a");
  ::umask(before);
  EXPECT_EQ(mode("store"), 0700u);
  EXPECT_EQ(mode("store/log"), 0700u);
  EXPECT_EQ(mode("store/log/a"), 0600u);
  ASSERT_TRUE(disk_->make_directories(path("store/log"))) << "it may exist";
}

TEST_F(PosixDisk, lists_renames_and_removes) {
  for (const auto* name : {"c", "a", "b"}) create(name);
  EXPECT_THAT(*disk_->list(directory_), ElementsAre("a", "b", "c"));
  ASSERT_TRUE(disk_->rename(path("c"), path("a")));
  ASSERT_TRUE(disk_->remove(path("b")));
  ASSERT_TRUE(disk_->sync_directory(directory_));
  EXPECT_THAT(*disk_->list(directory_), ElementsAre("a"));
  EXPECT_TRUE(disk_->exists(path("a")));
  EXPECT_FALSE(disk_->exists(path("b")));
}

TEST_F(PosixDisk, says_which_file_is_not_there) {
  const auto file = disk_->open(path("none"), Disk::Mode::read);
  EXPECT_EQ(file.error().code, Error::Code::not_found);
  EXPECT_THAT(file.error().message, HasSubstr(path("none")));
  EXPECT_EQ(disk_->list(path("none")).error().code, Error::Code::not_found);
  EXPECT_EQ(disk_->remove(path("none")).error().code, Error::Code::not_found);
  EXPECT_EQ(disk_->rename(path("none"), path("a")).error().code, Error::Code::not_found);
  EXPECT_EQ(disk_->sync_directory(path("none")).error().code, Error::Code::not_found);
}

TEST_F(PosixDisk, says_when_a_file_stands_where_a_directory_should) {
  create("a");
  const auto made = disk_->make_directories(path("a/b"));
  EXPECT_EQ(made.error().code, Error::Code::io);
  EXPECT_THAT(made.error().message, HasSubstr(path("a")));
}

// /dev/full is a file on a full disk.
TEST_F(PosixDisk, says_what_to_do_when_the_disk_is_full_and_takes_no_more_writes) {
  const auto file = disk_->open("/dev/full", Disk::Mode::create_or_open);
  ASSERT_TRUE(file) << file.error().message;
  const auto written = (*file)->write_at(0, "x");
  EXPECT_EQ(written.error().code, Error::Code::io);
  EXPECT_THAT(written.error().message, HasSubstr("free some space"));
  EXPECT_THAT((*file)->write_at(0, "x").error().message, HasSubstr("no more writes"));
  EXPECT_THAT((*file)->sync().error().message, HasSubstr("no more writes"));
  EXPECT_FALSE((*file)->truncate(0));
  EXPECT_FALSE((*file)->allocate(10));
}

}  // namespace
}  // namespace tailrace::io
