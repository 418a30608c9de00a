// What RocksDB sees of the simulated machine: files on a MemoryDisk, the simulated clock, no threads. Jobs it
// wants done in the background wait until run_jobs(), so a run depends on its seed alone.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include <rocksdb/env.h>

#include "base/time.h"
#include "support/memory_disk.h"

namespace tailrace::testing {

class LedgerEnvironment final : public rocksdb::EnvWrapper {
 public:
  // `now` is read through; both are lent. After the disk's next crash every call fails, as its process is
  // gone.
  LedgerEnvironment(MemoryDisk& disk, const Time& now);

  // Compaction and the like, one after another until there is none.
  void run_jobs();

  void Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                void (*unschedule)(void*)) override;
  int UnSchedule(void* tag, Priority priority) override;
  unsigned int GetThreadPoolQueueLen(Priority) const override { return 0; }
  std::uint64_t NowMicros() override { return static_cast<std::uint64_t>(now_.ms) * 1000; }
  std::uint64_t NowNanos() override { return NowMicros() * 1000; }
  void SleepForMicroseconds(int) override {}
  rocksdb::Status GetCurrentTime(std::int64_t* seconds) override {
    *seconds = now_.ms / 1000;
    return rocksdb::Status::OK();
  }
  std::string GenerateUniqueId() override;

 private:
  struct Job {
    void (*function)(void*);
    void* argument;
    Priority priority;
    void* tag;
    void (*unschedule)(void*);
  };
  explicit LedgerEnvironment(std::unique_ptr<rocksdb::Env> target, const Time& now);

  const Time& now_;
  std::deque<Job> jobs_;
  std::uint64_t ids_ = 0;
};

}  // namespace tailrace::testing
