#include "io/child_process.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tailrace::io {

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(const std::function<bool()>& work) {
  const ::pid_t parent = ::getpid();
  const ::pid_t pid = ::fork();
  if (pid < 0) return fail(Error::Code::io, fmt::format("cannot fork: {}", std::strerror(errno)));
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(2);  // it ended meanwhile
    // A lock or a listening socket must not outlive its owner in here.
    ::close_range(3, ~0U, 0);
    ::_exit(work() ? 0 : 1);
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid));
}

ChildProcess::~ChildProcess() {
  if (state() != State::running) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

ChildProcess::State ChildProcess::state() {
  if (state_ != State::running) return state_;
  int status = 0;
  const ::pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == pid_)
    state_ = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? State::succeeded : State::failed;
  return state_;
}

}  // namespace tailrace::io
