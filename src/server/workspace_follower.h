// Follows the live workspace on a thread of its own, for those whose workers come from it: when another one
// is live, the workers of the one before are ended, and those of the new one begin.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "workspace/workspace.h"

namespace tailrace::server {

class Core;

// When what has this cadence is due after an instant. The cadence was checked when the workspace was applied.
Time next_due(const workspace::Cadence& cadence, const std::string& time_zone, Time after);

class WorkspaceFollower {
 public:
  struct Duties {
    std::function<void()> end_workers;  // also by stop(), on the thread that stops
    std::function<void(const workspace::Workspace&)> take_up;
    std::function<void()> look = {};  // each time the workspace was looked at
  };
  // core, and what the duties name: outlive it.
  WorkspaceFollower(Core& core, Duties duties) : core_(core), duties_(std::move(duties)) {}
  ~WorkspaceFollower() { stop(); }

  void start(const char* thread_name);
  // Ends the thread, then the workers.
  void stop();
  // On return the workers are those of the workspace that was live when this was called.
  void catch_up();

 private:
  void follow();

  Core& core_;
  Duties duties_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool look_ = false;                      // whether another workspace is live, now
  std::optional<std::uint64_t> followed_;  // the generation whose workers run
  std::thread thread_;
};

}  // namespace tailrace::server
