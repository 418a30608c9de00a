#include "sim/ledger_environment.h"

#include <utility>

#include <fmt/format.h>
#include <rocksdb/file_system.h>

namespace tailrace::testing {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus status_of(const Error& error) {
  if (error.code == Error::Code::not_found) return IOStatus::PathNotFound(error.message);
  return IOStatus::IOError(error.message);
}
template <class T>
IOStatus status_of(const Result<T>& result) {
  return result ? IOStatus::OK() : status_of(result.error());
}

IOStatus read(const File& file, std::uint64_t offset, std::size_t count, Slice* result, char* scratch) {
  const auto got = file.read_at(offset, {scratch, count});
  if (!got) return status_of(got.error());
  *result = Slice(scratch, *got);
  return IOStatus::OK();
}

// RocksDB writes slashes twice, and behind directories.
std::string clean(const std::string& path) {
  std::string result;
  for (const char c : path) {
    if (c != '/' || !result.ends_with('/')) result.push_back(c);
  }
  if (result.size() > 1 && result.ends_with('/')) result.pop_back();
  return result;
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  IOStatus Read(std::size_t count, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    IOStatus status = read(*file_, offset_, count, result, scratch);
    if (status.ok()) offset_ += result->size();
    return status;
  }
  IOStatus Skip(std::uint64_t count) override {
    offset_ += count;
    return IOStatus::OK();
  }

 private:
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  IOStatus Read(std::uint64_t offset, std::size_t count, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return read(*file_, offset, count, result, scratch);
  }

 private:
  std::unique_ptr<File> file_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::unique_ptr<File> file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  using FSWritableFile::Append;
  IOStatus Append(const Slice& bytes, const IOOptions&, IODebugContext*) override {
    const auto written = file_->write_at(size_, {bytes.data(), bytes.size()});
    if (written) size_ += bytes.size();
    return status_of(written);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
    const auto truncated = file_->truncate(size);
    if (truncated) size_ = size;
    return status_of(truncated);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return status_of(file_->sync()); }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  std::unique_ptr<File> file_;
  std::uint64_t size_;
};

class NoLogger final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

class FileSystem;

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override;

 private:
  FileSystem& files_;
  std::string path_;
};

class FileSystem final : public rocksdb::FileSystem {
 public:
  explicit FileSystem(MemoryDisk& disk) : disk_(disk), crashes_(disk.crashes()) {}
  const char* Name() const override { return "simulated"; }

  // Its process died with the machine.
  Result<MemoryDisk*> disk() const {
    if (disk_.crashes() == crashes_) return &disk_;
    return fail(Error::Code::io, "the machine has stopped");
  }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    return open(path, Disk::Mode::read, [&](auto file) {
      *result = std::make_unique<SequentialFile>(std::move(file));
      return IOStatus::OK();
    });
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    return open(path, Disk::Mode::read, [&](auto file) {
      *result = std::make_unique<RandomAccessFile>(std::move(file));
      return IOStatus::OK();
    });
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    return open(path, Disk::Mode::create_or_open, [&](auto file) {
      if (const auto truncated = file->truncate(0); !truncated) return status_of(truncated);
      *result = std::make_unique<WritableFile>(std::move(file), 0);
      return IOStatus::OK();
    });
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    return open(path, Disk::Mode::create_or_open, [&](auto file) {
      const auto size = file->size();
      if (!size) return status_of(size.error());
      *result = std::make_unique<WritableFile>(std::move(file), *size);
      return IOStatus::OK();
    });
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    *result = std::make_unique<Directory>(*this, path);
    return status_of(disk());
  }
  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    return with(
        [&](MemoryDisk& on) { return on.exists(clean(path)) ? IOStatus::OK() : IOStatus::NotFound(path); });
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    return with([&](MemoryDisk& on) {
      const auto names = on.list(clean(path));
      if (names) *result = *names;
      return status_of(names);
    });
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return with([&](MemoryDisk& on) { return status_of(on.remove(clean(path))); });
  }
  IOStatus CreateDir(const std::string& path, const IOOptions& options, IODebugContext* debug) override {
    return CreateDirIfMissing(path, options, debug);
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return with([&](MemoryDisk& on) { return status_of(on.make_directories(clean(path))); });
  }
  IOStatus DeleteDir(const std::string&, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* size,
                       IODebugContext*) override {
    return open(path, Disk::Mode::read, [&](auto file) {
      const auto found = file->size();
      if (found) *size = *found;
      return status_of(found);
    });
  }
  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, std::uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    return IOStatus::OK();
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return with([&](MemoryDisk& on) { return status_of(on.rename(clean(from), clean(to))); });
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** result,
                    IODebugContext*) override {
    return with([&](MemoryDisk& on) {
      auto lock = on.lock(clean(path));
      if (!lock) return status_of(lock.error());
      *result = new Lock(std::move(*lock));  // UnlockFile takes it back
      return IOStatus::OK();
    });
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete static_cast<Lock*>(lock);
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = "/";
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                           IODebugContext*) override {
    *result = path;
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is, IODebugContext*) override {
    *is = with([&](MemoryDisk& on) { return status_of(on.list(clean(path))); }).ok();
    return IOStatus::OK();
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* result,
                     IODebugContext*) override {
    *result = std::make_shared<NoLogger>();
    return IOStatus::OK();
  }

 private:
  struct Lock final : rocksdb::FileLock {
    explicit Lock(std::unique_ptr<DiskLock> lock) : held(std::move(lock)) {}
    std::unique_ptr<DiskLock> held;
  };
  template <class Work>
  IOStatus with(Work work) {
    const auto on = disk();
    return on ? work(**on) : status_of(on.error());
  }
  template <class Use>
  IOStatus open(const std::string& path, Disk::Mode mode, Use use) {
    return with([&](MemoryDisk& on) {
      auto file = on.open(clean(path), mode);
      return file ? use(std::move(*file)) : status_of(file.error());
    });
  }

  MemoryDisk& disk_;
  std::uint64_t crashes_;
};

IOStatus Directory::Fsync(const IOOptions&, IODebugContext*) {
  const auto on = files_.disk();
  return on ? status_of((*on)->sync_directory(clean(path_))) : status_of(on.error());
}

}  // namespace

LedgerEnvironment::LedgerEnvironment(MemoryDisk& disk, const Time& now)
    : LedgerEnvironment(rocksdb::NewCompositeEnv(std::make_shared<FileSystem>(disk)), now) {}

LedgerEnvironment::LedgerEnvironment(std::unique_ptr<rocksdb::Env> target, const Time& now)
    : EnvWrapper(std::move(target)), now_(now) {}

void LedgerEnvironment::run_jobs() {
  while (!jobs_.empty()) {
    const Job job = jobs_.front();
    jobs_.pop_front();
    job.function(job.argument);
  }
}

void LedgerEnvironment::Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                                 void (*unschedule)(void*)) {
  jobs_.push_back({function, argument, priority, tag, unschedule});
}

int LedgerEnvironment::UnSchedule(void* tag, Priority priority) {
  int count = 0;
  std::erase_if(jobs_, [&](const Job& job) {
    if (job.tag != tag || job.priority != priority) return false;
    if (job.unschedule != nullptr) job.unschedule(job.argument);
    ++count;
    return true;
  });
  return count;
}

// In the form of a UUID, as RocksDB wants it.
std::string LedgerEnvironment::GenerateUniqueId() {
  return fmt::format("00000000-0000-4000-8000-{:012x}", ++ids_);
}

}  // namespace tailrace::testing
