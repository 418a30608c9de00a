// Compresses the sealed files of the log (Log::compress_file), on a thread that gives way to all others. What
// it cannot do now, for a backup, a deletion or a disk that fails, it tries again later.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "log/log.h"

namespace tailrace::server {

class LogCompression {
 public:
  // log: outlives this.
  explicit LogCompression(log::Log& log);
  ~LogCompression();  // cuts off what is under way
  LogCompression(const LogCompression&) = delete;
  LogCompression& operator=(const LogCompression&) = delete;

 private:
  void run();

  log::Log& log_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tailrace::server
