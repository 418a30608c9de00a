#include "server/log_compression.h"

#include <chrono>
#include <new>

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include "base/thread_name.h"

namespace tailrace::server {
namespace {

constexpr std::chrono::seconds kLook{1};
constexpr std::chrono::minutes kAfterFailure{10};
constexpr int kLowestPriority = 19;

}  // namespace

LogCompression::LogCompression(log::Log& log) : log_(log) {
  thread_ = std::thread([this] {
    name_thread("log-compression");
    ::setpriority(PRIO_PROCESS, 0, kLowestPriority);  // of this thread alone
    run();
  });
}

LogCompression::~LogCompression() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void LogCompression::run() {
  const auto stopping = [this] {
    const std::lock_guard lock(mutex_);
    return stopping_;
  };
  while (!stopping()) {
    const auto compressed = [&]() -> Result<bool> {
      try {
        return log_.compress_file(stopping);
      } catch (const std::bad_alloc&) {
        return fail(Error::Code::io, "there is no memory for it");
      }
    }();
    if (compressed && *compressed) continue;
    const bool cut_off = !compressed && compressed.error().code == Error::Code::unavailable;
    if (!compressed && !cut_off)
      spdlog::error("a file of the log stays uncompressed for now: {}", compressed.error().message);
    std::unique_lock lock(mutex_);
    stopped_.wait_for(lock, compressed || cut_off ? kLook : kAfterFailure, [this] { return stopping_; });
  }
}

}  // namespace tailrace::server
