// The few things Tailrace asks of a disk. io/ has the real body; tests have one in memory that crashes and
// lies on request.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace {

// One open file. Not thread-safe, except that read_at may run beside one writer on bytes already written.
class File {
 public:
  virtual ~File() = default;
  // Reads up to buffer.size() bytes at offset; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) const = 0;
  // Writes all bytes at offset, growing the file where needed.
  virtual Result<void> write_at(std::uint64_t offset, std::string_view bytes) = 0;
  // Gives the file this size on disk, new bytes zero, blocks allocated.
  virtual Result<void> allocate(std::uint64_t size) = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  // On return, every byte written before is on disk (fdatasync). After an error the file takes no more
  // writes: what reached the disk is unknown.
  virtual Result<void> sync() = 0;
  virtual Result<std::uint64_t> size() const = 0;
};

// Held while it exists, and ended by the system when its process ends.
class DiskLock {
 public:
  virtual ~DiskLock() = default;
};

class Disk {
 public:
  enum class Mode { read, create_or_open };  // created files have mode 0600

  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, Mode mode) = 0;
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;  // names, sorted
  virtual Result<void> make_directories(const std::string& path) = 0;               // mode 0700
  virtual Result<void> rename(const std::string& from,
                              const std::string& to) = 0;  // atomic; then sync_directory
  virtual Result<void> remove(const std::string& path) = 0;
  virtual Result<void> sync_directory(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  // Creates the file where there is none. Errors: conflict (another process, or this one, holds it); io.
  virtual Result<std::unique_ptr<DiskLock>> lock(const std::string& path) = 0;
};

}  // namespace tailrace
