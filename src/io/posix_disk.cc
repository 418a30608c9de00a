#include "io/posix_disk.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tailrace::io {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

std::unexpected<Error> system_error(const std::string& doing, const std::string& path, int number) {
  const std::string what = std::error_code(number, std::generic_category()).message();
  std::string mend;
  Error::Code code = Error::Code::io;
  switch (number) {
    case ENOSPC:
      mend = "; the disk is full: free some space on it, or move the store to a bigger one, and start again";
      break;
    case EDQUOT:
      mend = "; the disk quota is used up: free some space or raise it, and start again";
      break;
    case EACCES:
    case EPERM:
      mend = "; give the user who runs tailrace the right to it";
      break;
    case EROFS:
      mend = "; mount the disk so that it can be written";
      break;
    case EMFILE:
    case ENFILE:
      mend = "; raise the limit of open files (ulimit -n)";
      break;
    case ENOENT:
      code = Error::Code::not_found;
      break;
    default:
      break;
  }
  return fail(code, fmt::format("cannot {} {}: {}{}", doing, path, what, mend));
}

// Calls until a signal does not interrupt.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) const override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const ssize_t got = uninterrupted([&] {
        return ::pread(number(), buffer.data() + done, buffer.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (got < 0) return system_error("read", path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    TRY(check_sound());
    while (!bytes.empty()) {
      const ssize_t put = uninterrupted(
          [&] { return ::pwrite(number(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      if (put < 0) return broken("write", errno);
      bytes.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Result<void> allocate(std::uint64_t bytes) override {
    TRY(check_sound());
    const std::uint64_t now = TRY(size());
    if (bytes <= now) return {};
    const auto from = static_cast<off_t>(now);
    const auto length = static_cast<off_t>(bytes - now);
    size_changed_ = true;
    if (uninterrupted([&] { return ::fallocate(number(), 0, from, length); }) == 0) return {};
    if (errno != EOPNOTSUPP && errno != ENOSYS) return broken("allocate space for", errno);
    // This file system cannot allocate ahead; a hole has the size at least.
    if (uninterrupted([&] { return ::ftruncate(number(), static_cast<off_t>(bytes)); }) == 0) return {};
    return broken("grow", errno);
  }

  Result<void> truncate(std::uint64_t bytes) override {
    TRY(check_sound());
    size_changed_ = true;
    if (uninterrupted([&] { return ::ftruncate(number(), static_cast<off_t>(bytes)); }) == 0) return {};
    return broken("truncate", errno);
  }

  Result<void> sync() override {
    TRY(check_sound());
    // fdatasync promises the size only as far as reading needs it, and that is no promise when a file shrank.
    const bool whole = std::exchange(size_changed_, false);
    if (uninterrupted([&] { return whole ? ::fsync(number()) : ::fdatasync(number()); }) == 0) return {};
    return broken("sync", errno);
  }

  Result<std::uint64_t> size() const override {
    struct stat status{};
    if (::fstat(number(), &status) != 0) return system_error("examine", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  int number() const { return descriptor_.number(); }

  std::unexpected<Error> broken(const std::string& doing, int error_number) {
    sound_ = false;
    return system_error(doing, path_, error_number);
  }

  Result<void> check_sound() const {
    if (sound_) return {};
    return fail(Error::Code::io, fmt::format("{} takes no more writes since one failed", path_));
  }

  Descriptor descriptor_;
  std::string path_;
  bool size_changed_ = true;  // a file just created has a size to sync, too
  bool sound_ = true;
};

Result<void> sync_path(const std::string& path) {
  const Descriptor directory(
      uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (directory.number() < 0) return system_error("open", path, errno);
  if (uninterrupted([&] { return ::fsync(directory.number()); }) != 0)
    return system_error("sync", path, errno);
  return {};
}

class PosixLock final : public DiskLock {
 public:
  explicit PosixLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;
};

class PosixDisk final : public Disk {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, Mode mode) override {
    const int flags = (mode == Mode::read ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC;
    Descriptor descriptor(uninterrupted([&] { return ::open(path.c_str(), flags, kFileMode); }));
    if (descriptor.number() < 0) return system_error("open", path, errno);
    return std::make_unique<PosixFile>(std::move(descriptor), path);
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    std::error_code error;
    std::vector<std::string> names;
    std::filesystem::directory_iterator entry(directory, error);
    for (; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error)) {
      names.push_back(entry->path().filename().string());
    }
    if (error) return system_error("list", directory, error.value());
    std::ranges::sort(names);
    return names;
  }

  Result<void> make_directories(const std::string& path) override {
    const std::filesystem::path whole = std::filesystem::path(path).lexically_normal();
    std::filesystem::path made;
    for (const auto& part : whole) {
      if (part.empty()) continue;  // behind a slash at the end
      const std::string parent = made.empty() ? "." : made.string();
      made /= part;
      if (::mkdir(made.c_str(), kDirectoryMode) == 0) {
        TRY(sync_path(parent));
        continue;
      }
      // A directory on the way may exist and forbid writing (EACCES, EROFS), and that is fine.
      const int number = errno;
      std::error_code ignored;
      if (!std::filesystem::is_directory(made, ignored)) {
        return system_error("create the directory", made.string(), number);
      }
    }
    return {};
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename to " + to, from, errno);
    return {};
  }

  Result<void> remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return system_error("remove", path, errno);
    return {};
  }

  Result<void> sync_directory(const std::string& path) override { return sync_path(path); }

  bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  Result<std::unique_ptr<DiskLock>> lock(const std::string& path) override {
    Descriptor descriptor(
        uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode); }));
    if (descriptor.number() < 0) return system_error("open", path, errno);
    if (uninterrupted([&] { return ::flock(descriptor.number(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) return system_error("lock", path, errno);
      return fail(Error::Code::conflict, fmt::format("{} is held by another process", path));
    }
    return std::make_unique<PosixLock>(std::move(descriptor));
  }
};

}  // namespace

std::unique_ptr<Disk> posix_disk() { return std::make_unique<PosixDisk>(); }

}  // namespace tailrace::io
