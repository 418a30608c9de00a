#include "server/warehouse_transport.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "base/whole_file.h"
#include "io/postgres_session.h"

namespace tailrace::server {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::string_view kBeside = ".new";

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::unexpected<Error> stopping() {
  return fail(Error::Code::unavailable, "given up, because tailrace stops");
}

// Whether both hold the same bytes.
Result<bool> same_bytes(const File& a, const File& b) {
  const std::uint64_t size = TRY(a.size());
  if (size != TRY(b.size())) return false;
  std::string left(kPieceBytes, '\0');
  std::string right(kPieceBytes, '\0');
  for (std::uint64_t at = 0; at < size; at += kPieceBytes) {
    const std::size_t length = TRY(a.read_at(at, left));
    if (TRY(b.read_at(at, right)) != length) return false;
    if (!std::equal(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(length), right.begin()))
      return false;
  }
  return true;
}

// The answer of one request, which may come after its asker has gone.
struct Waiting {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<HttpResponse>> answer;
};

}  // namespace

void WarehouseTransport::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

bool WarehouseTransport::stopped() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

Result<HttpResponse> WarehouseTransport::send(HttpRequest request) {
  if (stopped()) return stopping();
  const auto waiting = std::make_shared<Waiting>();
  client_.send(std::move(request), options_.reach, [waiting](Result<HttpResponse> answer) {
    const std::lock_guard lock(waiting->mutex);
    waiting->answer = std::move(answer);
    waiting->changed.notify_all();
  });
  std::unique_lock lock(waiting->mutex);
  while (!waiting->answer) {
    constexpr std::chrono::milliseconds kLook{200};
    waiting->changed.wait_for(lock, kLook);
    if (!waiting->answer && stopped()) return stopping();
  }
  return *std::move(waiting->answer);
}

bool WarehouseTransport::wait(Millis time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(std::max<std::int64_t>(time.count, 0)),
                    [&] { return stopped_; });
  return !stopped_;
}

Result<std::string> WarehouseTransport::read(const destinations::PackFile& file, std::uint64_t offset,
                                             std::uint64_t length) {
  const auto opened = TRY(disk_.open(file.path, Disk::Mode::read));
  const std::uint64_t size = TRY(opened->size());
  std::string bytes(offset < size ? std::min(length, size - offset) : 0, '\0');
  bytes.resize(TRY(opened->read_at(offset, bytes)));
  return bytes;
}

Result<void> WarehouseTransport::read_csv(const destinations::PackFile& file,
                                          const std::vector<std::string>& columns,
                                          const std::function<Result<void>(std::string_view)>& take) {
  return options_.read_csv(file.path, columns, [&](std::string_view piece) -> Result<void> {
    if (stopped()) return stopping();
    return take(piece);
  });
}

Result<std::unique_ptr<SqlSession>> WarehouseTransport::connect_sql(const std::string& connection) {
  return io::connect_postgres(connection, {.stopping = [this] { return stopped(); }});
}

Result<void> WarehouseTransport::write_file(const std::string& path, std::string_view bytes) {
  if (stopped()) return stopping();
  const auto there = TRY(read_file(path));
  if (there && *there == bytes) return {};
  TRY(disk_.make_directories(directory_of(path)));
  return write_whole(disk_, directory_of(path), {.name = name_of(path), .suffix = kBeside}, bytes);
}

Result<void> WarehouseTransport::place_file(const destinations::PackFile& file, const std::string& path) {
  const auto from = TRY(disk_.open(file.path, Disk::Mode::read));
  if (disk_.exists(path)) {
    const auto there = TRY(disk_.open(path, Disk::Mode::read));
    if (TRY(same_bytes(*from, *there))) return {};
  }
  const std::string directory = directory_of(path);
  TRY(disk_.make_directories(directory));
  const std::string beside = path + std::string(kBeside);
  if (disk_.exists(beside)) TRY(disk_.remove(beside));
  {
    const auto to = TRY(disk_.open(beside, Disk::Mode::create_or_open));
    const std::uint64_t size = TRY(from->size());
    std::string piece(kPieceBytes, '\0');
    for (std::uint64_t at = 0; at < size;) {
      if (stopped()) return stopping();
      const std::size_t length = TRY(from->read_at(at, piece));
      if (length == 0) return fail(Error::Code::corrupt, "a file of the pack became shorter");
      TRY(to->write_at(at, std::string_view(piece).substr(0, length)));
      at += length;
    }
    TRY(to->sync());
  }
  TRY(disk_.rename(beside, path));
  return disk_.sync_directory(directory);
}

Result<std::optional<std::string>> WarehouseTransport::read_file(const std::string& path) {
  if (!disk_.exists(path)) return std::nullopt;
  return TRY(read_whole(disk_, path));
}

Result<void> WarehouseTransport::remove_file(const std::string& path) {
  if (!disk_.exists(path)) return {};
  TRY(disk_.remove(path));
  return disk_.sync_directory(directory_of(path));
}

}  // namespace tailrace::server
