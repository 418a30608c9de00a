// A disk in memory that fails, fills up, forgets and lies on request. What it can do, and what a store has to
// survive:
//
//   fail_operation(n)   the n-th operation from now fails, and it may have half happened: a write has written
//                       a part, a sync has lost what it should have kept (a system that could not write a
//                       page may take it for clean, so that the next sync says yes and keeps nothing of it)
//   stop_after(n)       the machine stops: after n more operations every one fails
//   crash(...)          power cut: of what was not synced, all, nothing, or any 512-byte sectors remain; of
//                       the names that were not synced, a beginning of the changes in their order. Files
//                       that were open fail from then on; open them again.
//   set_capacity(n)     writes fail, after a part, when all files together would have more than n bytes
//   flip_bit, set_contents  damage on the disk itself
//
// Sectors are atomic, as on real disks. Directories are on disk when make_directories returns, and are never
// removed; one that was renamed is there, empty, under its old name too. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/random.h"

namespace tailrace::testing {

class MemoryDisk final : public Disk {
 public:
  enum class Survives { everything, nothing, some };

  MemoryDisk();
  ~MemoryDisk() override;

  Result<std::unique_ptr<File>> open(const std::string& path, Mode mode) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Result<void> make_directories(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;
  bool exists(const std::string& path) override;
  Result<std::unique_ptr<DiskLock>> lock(const std::string& path) override;  // no operation

  // n = 1: the next one. Every call of Disk and File is an operation, but for exists and size.
  void fail_operation(std::uint64_t n);
  void stop_after(std::uint64_t n);
  std::uint64_t operations() const;  // until now
  std::uint64_t syncs() const;       // of files
  std::uint64_t crashes() const;
  bool stopped() const;  // by stop_after, until the next crash

  // Also ends fail_operation, stop_after and the capacity.
  void crash(Survives survives, std::uint64_t seed = 0);

  // Whether this thread is inside of a disk: what is allocated there is no allocation of the program.
  static bool working();

  void set_capacity(std::uint64_t bytes);
  void flip_bit(const std::string& path, std::uint64_t bit);
  // The file as a program reads it. set_contents creates it where needed, and it is on disk.
  std::string contents(const std::string& path) const;
  void set_contents(const std::string& path, std::string bytes);

 private:
  // Holds the disk's mutex.
  class Working {
   public:
    explicit Working(const MemoryDisk& disk);
    ~Working();
    Working(const Working&) = delete;
    Working& operator=(const Working&) = delete;

   private:
    std::scoped_lock<std::mutex> lock_;
  };
  friend class MemoryFile;
  friend class MemoryLock;
  struct Inode {
    std::string current;               // as read
    std::string durable;               // as after a power cut that keeps nothing else
    std::set<std::uint64_t> unsynced;  // sectors in which they may differ, and the next sync would keep
    bool size_unsynced = false;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  struct NameChange {
    std::string directory;
    std::function<void(Names&)> apply;
  };

  bool has_stopped() const { return last_operation_ && operations_ >= *last_operation_; }
  Result<void> count_operation(const std::string& path);
  std::uint64_t size_limit(const Inode& inode) const;
  Result<void> rename_directory(const std::string& from, const std::string& to);
  void change_names(const std::string& path, std::function<void(Names&)> change);
  static void crash_inode(Inode& inode, Survives survives, Random& random);

  mutable std::mutex mutex_;
  Names names_;
  Names durable_names_;
  std::vector<NameChange> unsynced_names_;
  std::set<std::string> directories_;
  std::map<std::string, std::uint64_t> locks_;  // by path: the number of the one who holds it
  std::uint64_t last_lock_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t syncs_ = 0;
  std::optional<std::uint64_t> failing_operation_;
  std::optional<std::uint64_t> last_operation_;
  std::optional<std::uint64_t> capacity_;
  std::uint64_t crashes_ = 0;  // a file opened before the last one is dead
};

}  // namespace tailrace::testing
