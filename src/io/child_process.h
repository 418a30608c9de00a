// A copy of this process that does one thing beside it, on memory as it was at that moment: for writing a
// snapshot while records go on. Linux copies pages only as they are changed.
#pragma once

#include <functional>
#include <memory>

#include <sys/types.h>

#include "base/result.h"

namespace tailrace::io {

class ChildProcess {
 public:
  // Runs `work` in the child, on the calling thread's copy; its result is the child's. The child has no open
  // files of ours but the standard ones, no other threads, and ends when the calling thread does. `work` must
  // not take a lock that another thread may hold. Errors: io (no child could be made).
  static Result<std::unique_ptr<ChildProcess>> start(const std::function<bool()>& work);
  ~ChildProcess();  // ends it, whether or not it has finished
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  enum class State { running, succeeded, failed };
  State state();

 private:
  explicit ChildProcess(::pid_t pid) : pid_(pid) {}

  ::pid_t pid_;
  State state_ = State::running;
};

}  // namespace tailrace::io
