#include "support/memory_disk.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace tailrace::testing {
namespace {

constexpr std::uint64_t kSectorBytes = 512;

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::unexpected<Error> no_file(const std::string& path) {
  return fail(Error::Code::not_found, "cannot open " + path + ": no such file");
}

void copy_sector(const std::string& from, std::string& to, std::uint64_t sector) {
  const std::uint64_t begin = sector * kSectorBytes;
  if (begin >= to.size()) return;
  const std::uint64_t end = std::min<std::uint64_t>(begin + kSectorBytes, to.size());
  const std::uint64_t available = std::clamp<std::uint64_t>(from.size(), begin, end);
  std::copy(from.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(begin, from.size())),
            from.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(available, from.size())),
            to.begin() + static_cast<std::ptrdiff_t>(begin));
}

}  // namespace

class MemoryFile final : public File {
 public:
  MemoryFile(MemoryDisk& disk, std::shared_ptr<MemoryDisk::Inode> inode, std::string path)
      : disk_(disk), inode_(std::move(inode)), path_(std::move(path)), crashes_(disk.crashes_) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) const override {
    const MemoryDisk::Working working(disk_);
    TRY(check_running());
    TRY(disk_.count_operation(path_));
    const std::string& bytes = inode_->current;
    if (offset >= bytes.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(buffer.size(), bytes.size() - offset);
    std::memcpy(buffer.data(), bytes.data() + offset, count);
    return count;
  }

  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    const MemoryDisk::Working working(disk_);
    TRY(check_running());
    const auto allowed = disk_.count_operation(path_);
    if (!allowed) {
      put(offset, bytes.substr(0, bytes.size() / 2));
      return allowed;
    }
    const std::uint64_t limit = disk_.size_limit(*inode_);
    if (offset + bytes.size() > limit) {
      put(offset, bytes.substr(0, limit - std::min(offset, limit)));
      return disk_full();
    }
    put(offset, bytes);
    return {};
  }

  Result<void> allocate(std::uint64_t size) override {
    const MemoryDisk::Working working(disk_);
    TRY(check_running());
    TRY(disk_.count_operation(path_));
    if (size > disk_.size_limit(*inode_)) return disk_full();
    if (size > inode_->current.size()) resize(size);
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    const MemoryDisk::Working working(disk_);
    TRY(check_running());
    TRY(disk_.count_operation(path_));
    resize(size);
    return {};
  }

  Result<void> sync() override {
    const MemoryDisk::Working working(disk_);
    TRY(check_running());
    const auto allowed = disk_.count_operation(path_);
    if (allowed) {
      for (const std::uint64_t sector : inode_->unsynced) grow_for(sector);
      if (inode_->size_unsynced) inode_->durable.resize(inode_->current.size(), '\0');
      for (const std::uint64_t sector : inode_->unsynced)
        copy_sector(inode_->current, inode_->durable, sector);
      ++disk_.syncs_;
    }
    inode_->unsynced.clear();
    inode_->size_unsynced = false;
    return allowed;
  }

  Result<std::uint64_t> size() const override {
    const MemoryDisk::Working working(disk_);
    return std::uint64_t{inode_->current.size()};
  }

 private:
  Result<void> check_running() const {
    if (crashes_ != disk_.crashes_ || disk_.has_stopped()) {
      return fail(Error::Code::io, path_ + ": the machine has stopped");
    }
    return {};
  }

  Result<void> disk_full() const {
    return fail(Error::Code::io, "cannot write " + path_ + ": the disk is full");
  }

  void put(std::uint64_t offset, std::string_view bytes) {
    if (bytes.empty()) return;
    if (offset + bytes.size() > inode_->current.size()) resize(offset + bytes.size());
    std::memcpy(inode_->current.data() + offset, bytes.data(), bytes.size());
    mark(offset, offset + bytes.size());
  }

  void resize(std::uint64_t size) {
    const std::uint64_t before = inode_->current.size();
    inode_->current.resize(size, '\0');
    inode_->size_unsynced = true;
    mark(std::min(before, size), std::max(before, size));
  }

  void mark(std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t sector = from / kSectorBytes; sector * kSectorBytes < to; ++sector) {
      inode_->unsynced.insert(sector);
    }
  }

  // A sector is kept with the size that reaches it, also when a failed sync has forgotten the size.
  void grow_for(std::uint64_t sector) {
    const std::uint64_t end = std::min<std::uint64_t>((sector + 1) * kSectorBytes, inode_->current.size());
    if (inode_->durable.size() < end) inode_->durable.resize(end, '\0');
  }

  MemoryDisk& disk_;
  std::shared_ptr<MemoryDisk::Inode> inode_;
  std::string path_;
  std::uint64_t crashes_;
};

class MemoryLock final : public DiskLock {
 public:
  MemoryLock(MemoryDisk& disk, std::string path, std::uint64_t number)
      : disk_(disk), path_(std::move(path)), number_(number) {}
  ~MemoryLock() override {
    const MemoryDisk::Working working(disk_);
    // After a crash it is nobody's, or somebody else's.
    const auto held = disk_.locks_.find(path_);
    if (held != disk_.locks_.end() && held->second == number_) disk_.locks_.erase(held);
  }

 private:
  MemoryDisk& disk_;
  std::string path_;
  std::uint64_t number_;
};

MemoryDisk::MemoryDisk() = default;
MemoryDisk::~MemoryDisk() = default;

Result<std::unique_ptr<File>> MemoryDisk::open(const std::string& path, Mode mode) {
  const Working working(*this);
  TRY(count_operation(path));
  const auto found = names_.find(path);
  if (found != names_.end()) return std::make_unique<MemoryFile>(*this, found->second, path);
  if (mode == Mode::read || !directories_.contains(directory_of(path))) return no_file(path);
  auto inode = std::make_shared<Inode>();
  change_names(path, [path, inode](Names& names) { names[path] = inode; });
  return std::make_unique<MemoryFile>(*this, inode, path);
}

Result<std::vector<std::string>> MemoryDisk::list(const std::string& directory) {
  const Working working(*this);
  TRY(count_operation(directory));
  if (!directories_.contains(directory)) return no_file(directory);
  std::vector<std::string> names;
  for (const auto& [path, inode] : names_) {
    if (directory_of(path) == directory) names.push_back(path.substr(directory.size() + 1));
  }
  return names;
}

Result<void> MemoryDisk::make_directories(const std::string& path) {
  const Working working(*this);
  TRY(count_operation(path));
  for (std::string directory = path; directory != "." && !directory.empty();
       directory = directory_of(directory)) {
    directories_.insert(directory);
  }
  return {};
}

Result<void> MemoryDisk::rename(const std::string& from, const std::string& to) {
  const Working working(*this);
  TRY(count_operation(from));
  if (directories_.contains(from)) return rename_directory(from, to);
  const auto found = names_.find(from);
  if (found == names_.end()) return no_file(from);
  change_names(to, [from, to, inode = found->second](Names& names) {
    names.erase(from);
    names[to] = inode;
  });
  return {};
}

Result<void> MemoryDisk::rename_directory(const std::string& from, const std::string& to) {
  const auto inside = [](const std::string& path, const std::string& directory) {
    return path.starts_with(directory + "/");
  };
  for (const auto& [path, inode] : names_) {
    if (inside(path, to)) return fail(Error::Code::io, "cannot rename to " + to + ": it is not empty");
  }
  std::set<std::string> renamed{to};
  for (const std::string& directory : directories_) {
    if (inside(directory, from)) renamed.insert(to + directory.substr(from.size()));
  }
  directories_.merge(renamed);
  change_names(to, [from, to, inside](Names& names) {
    Names moved;
    for (auto at = names.begin(); at != names.end();) {
      if (inside(at->first, from)) {
        moved[to + at->first.substr(from.size())] = at->second;
        at = names.erase(at);
      } else {
        ++at;
      }
    }
    names.merge(moved);
  });
  return {};
}

Result<void> MemoryDisk::remove(const std::string& path) {
  const Working working(*this);
  TRY(count_operation(path));
  if (!names_.contains(path)) return no_file(path);
  change_names(path, [path](Names& names) { names.erase(path); });
  return {};
}

Result<void> MemoryDisk::sync_directory(const std::string& path) {
  const Working working(*this);
  TRY(count_operation(path));
  for (const auto& change : unsynced_names_) {
    if (change.directory == path) change.apply(durable_names_);
  }
  std::erase_if(unsynced_names_, [&](const NameChange& change) { return change.directory == path; });
  return {};
}

bool MemoryDisk::exists(const std::string& path) {
  const Working working(*this);
  return names_.contains(path) || directories_.contains(path);
}

namespace {
thread_local int t_working = 0;
}  // namespace

MemoryDisk::Working::Working(const MemoryDisk& disk) : lock_(disk.mutex_) { ++t_working; }
MemoryDisk::Working::~Working() { --t_working; }
bool MemoryDisk::working() { return t_working > 0; }

Result<std::unique_ptr<DiskLock>> MemoryDisk::lock(const std::string& path) {
  const Working working(*this);
  if (has_stopped()) return fail(Error::Code::io, path + ": the machine has stopped");
  const auto [held, taken] = locks_.try_emplace(path, last_lock_ + 1);
  if (!taken) return fail(Error::Code::conflict, path + " is held by another process");
  return std::make_unique<MemoryLock>(*this, path, ++last_lock_);
}

void MemoryDisk::fail_operation(std::uint64_t n) {
  const Working working(*this);
  failing_operation_ = operations_ + n;
}

void MemoryDisk::stop_after(std::uint64_t n) {
  const Working working(*this);
  last_operation_ = operations_ + n;
}

std::uint64_t MemoryDisk::operations() const {
  const Working working(*this);
  return operations_;
}

std::uint64_t MemoryDisk::syncs() const {
  const Working working(*this);
  return syncs_;
}

bool MemoryDisk::stopped() const {
  const Working working(*this);
  return has_stopped();
}

std::uint64_t MemoryDisk::crashes() const {
  const Working working(*this);
  return crashes_;
}

void MemoryDisk::crash(Survives survives, std::uint64_t seed) {
  const Working working(*this);
  Random random(seed);
  std::set<std::shared_ptr<Inode>> inodes;
  for (const auto* names : {&names_, &durable_names_}) {
    for (const auto& [path, inode] : *names) {
      // In the order of the names, so that the seed alone decides.
      if (inodes.insert(inode).second) crash_inode(*inode, survives, random);
    }
  }
  std::size_t kept = 0;
  if (survives == Survives::everything) kept = unsynced_names_.size();
  if (survives == Survives::some) kept = random.below(unsynced_names_.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) unsynced_names_[i].apply(durable_names_);
  unsynced_names_.clear();
  names_ = durable_names_;
  failing_operation_.reset();
  last_operation_.reset();
  capacity_.reset();
  locks_.clear();
  ++crashes_;
}

void MemoryDisk::set_capacity(std::uint64_t bytes) {
  const Working working(*this);
  capacity_ = bytes;
}

void MemoryDisk::flip_bit(const std::string& path, std::uint64_t bit) {
  const Working working(*this);
  Inode& inode = *names_.at(path);
  for (std::string* bytes : {&inode.current, &inode.durable}) {
    if (bit / 8 < bytes->size()) (*bytes)[bit / 8] = static_cast<char>((*bytes)[bit / 8] ^ (1 << (bit % 8)));
  }
}

std::string MemoryDisk::contents(const std::string& path) const {
  const Working working(*this);
  return names_.at(path)->current;
}

void MemoryDisk::set_contents(const std::string& path, std::string bytes) {
  const Working working(*this);
  auto inode = std::make_shared<Inode>();
  inode->current = bytes;
  inode->durable = std::move(bytes);
  names_[path] = inode;
  durable_names_[path] = inode;
}

Result<void> MemoryDisk::count_operation(const std::string& path) {
  if (has_stopped()) return fail(Error::Code::io, path + ": the machine has stopped");
  ++operations_;
  if (failing_operation_ == operations_) return fail(Error::Code::io, path + ": a fault was asked for here");
  return {};
}

std::uint64_t MemoryDisk::size_limit(const Inode& inode) const {
  if (!capacity_) return std::numeric_limits<std::uint64_t>::max();
  std::uint64_t used = 0;
  for (const auto& [name, other] : names_) used += other.get() == &inode ? 0 : other->current.size();
  return *capacity_ - std::min(used, *capacity_);
}

void MemoryDisk::change_names(const std::string& path, std::function<void(Names&)> change) {
  change(names_);
  unsynced_names_.push_back({directory_of(path), std::move(change)});
}

void MemoryDisk::crash_inode(Inode& inode, Survives survives, Random& random) {
  const auto survived = [&] {
    return survives == Survives::everything || (survives == Survives::some && random.below(2) == 0);
  };
  if (inode.size_unsynced && survived()) inode.durable.resize(inode.current.size(), '\0');
  for (const std::uint64_t sector : inode.unsynced) {
    if (survived()) copy_sector(inode.current, inode.durable, sector);
  }
  inode.current = inode.durable;
  inode.unsynced.clear();
  inode.size_unsynced = false;
}

}  // namespace tailrace::testing
