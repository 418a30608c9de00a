// The Tailrace process on a simulated machine: log, engine, ledger and delivery, run by one thread. It uses
// what the real process uses, but for its threads, its sockets and the copy that writes snapshots.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "model/record.h"
#include "server/dispatch.h"
#include "server/pipeline.h"
#include "sim/ledger_environment.h"
#include "support/memory_disk.h"

namespace tailrace::testing {

class Machine {
 public:
  // Both are lent. `clock` is what the process reads.
  Machine(MemoryDisk& disk, const Time& clock) : disk_(disk), clock_(clock) {}
  ~Machine() { power_off(MemoryDisk::Survives::everything, 0); }

  bool running() const { return dispatch_ != nullptr; }
  // Errors: what kept it from starting; it is off then.
  Result<void> boot(std::uint64_t seed);
  // The process ends at once; of what was not synced to the disk, that survives.
  void power_off(MemoryDisk::Survives survives, std::uint64_t seed);

  // Writes the records and applies them. Without an error they are acknowledged. After one the process is to
  // be restarted.
  Result<void> submit(const std::vector<RecordView>& records);
  // What the process does by itself: time, back-fill, deletions, snapshots, answers taken into account; gives
  // what is to be sent. Errors: after which the process is to be restarted.
  Result<std::vector<delivery::Send>> step();
  void on_reply(std::uint64_t send_id, Result<HttpResponse> reply);
  // When step() is next to be called.
  Time next_step_at() const;

  server::Pipeline& pipeline() { return *pipeline_; }
  engine::Engine& engine() { return pipeline_->engine(); }
  delivery::Delivery* delivery() { return dispatch_->delivery(); }
  delivery::Streams* streams() { return dispatch_->streams(); }
  std::uint64_t snapshots() const { return snapshots_; }
  std::uint64_t redactions() const { return redactions_; }
  std::uint64_t compressed_files() const { return compressed_files_; }  // of the log

  static constexpr const char* kStore = "/store";
  static log::Options log_options();

 private:
  MemoryDisk& disk_;
  const Time& clock_;
  std::unique_ptr<LedgerEnvironment> environment_;
  std::unique_ptr<server::Pipeline> pipeline_;
  std::unique_ptr<server::Dispatch> dispatch_;
  std::uint64_t snapshots_ = 0;
  std::uint64_t redactions_ = 0;
  std::uint64_t compressed_files_ = 0;
};

}  // namespace tailrace::testing
