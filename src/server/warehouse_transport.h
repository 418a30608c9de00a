// What a warehouse destination may do, done: requests through the HTTP client, sessions with SQL servers, and
// files on the disk. One per sync that loads, on its thread; stop() may come from another.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

#include "base/file.h"
#include "destinations/warehouse_destination.h"
#include "io/http_client.h"

namespace tailrace::server {

// The rows of a Parquet file as CSV, as Transport::read_csv wants them.
using CsvReader = std::function<Result<void>(const std::string& path, const std::vector<std::string>& columns,
                                             const std::function<Result<void>(std::string_view)>& take)>;

// A file goes out in one piece, or in pieces of tens of megabytes; and a warehouse may take minutes to
// answer.
constexpr io::ClientOptions kWarehouseClient{.connect_timeout{10'000}, .total_timeout = kMinute * 15};

class WarehouseTransport final : public destinations::Transport {
 public:
  struct Options {
    HttpReach reach;
    std::function<Time()> now;
    CsvReader read_csv;
  };
  // client, disk: outlive it.
  WarehouseTransport(io::HttpClient& client, Disk& disk, Options options)
      : client_(client), disk_(disk), options_(std::move(options)) {}

  // From now on everything that waits is given up with `unavailable`.
  void stop();

  Result<HttpResponse> send(HttpRequest request) override;
  Time now() override { return options_.now(); }
  bool wait(Millis time) override;
  Result<std::string> read(const destinations::PackFile& file, std::uint64_t offset,
                           std::uint64_t length) override;
  Result<void> read_csv(const destinations::PackFile& file, const std::vector<std::string>& columns,
                        const std::function<Result<void>(std::string_view)>& take) override;
  Result<std::unique_ptr<SqlSession>> connect_sql(const std::string& connection) override;
  Result<void> write_file(const std::string& path, std::string_view bytes) override;
  Result<void> place_file(const destinations::PackFile& file, const std::string& path) override;
  Result<std::optional<std::string>> read_file(const std::string& path) override;
  Result<void> remove_file(const std::string& path) override;

 private:
  bool stopped();

  io::HttpClient& client_;
  Disk& disk_;
  Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;  // guarded by mutex_
};

}  // namespace tailrace::server
