#include "io/program.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/system_clock.h"

namespace tailrace::io {
namespace {

constexpr std::int64_t kNanosecondsPerMilli = 1'000'000;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

// How the program is started: nothing of ours reaches it but the pipe it writes to.
class Setup {
 public:
  Setup(int output, const std::string& folder) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!folder.empty()) ::posix_spawn_file_actions_addchdir_np(&actions_, folder.c_str());
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    sigset_t all;
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~Setup() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;
  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

std::int64_t now_ms() { return stopwatch_nanoseconds() / kNanosecondsPerMilli; }

enum class Read : unsigned char { all, too_much, too_late, failed };

Read read_all(int from, std::int64_t until_ms, std::size_t bytes_max, std::string& text) {
  char buffer[4096];
  for (;;) {
    const std::int64_t left = until_ms - now_ms();
    if (left <= 0) return Read::too_late;
    pollfd wait{.fd = from, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return Read::failed;
    if (ready <= 0) continue;
    const ssize_t got = ::read(from, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Read::failed;
    if (got == 0) return Read::all;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > bytes_max) return Read::too_much;
  }
}

// False: it still runs at that time.
bool ended(::pid_t pid, std::int64_t until_ms, int& status) {
  for (;;) {
    const ::pid_t got = ::waitpid(pid, &status, WNOHANG);
    if (got == pid || (got < 0 && errno != EINTR)) return true;
    if (now_ms() >= until_ms) return false;
    ::poll(nullptr, 0, 5);
  }
}

}  // namespace

Result<std::string> run_program(std::span<const std::string> words, const std::string& folder,
                                ProgramLimits limits) {
  TR_ASSERT(!words.empty());
  const std::string& program = words.front();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail(Error::Code::io, fmt::format("no pipe to `{}`: {}", program, std::strerror(errno)));
  const Descriptor output(ends[0]);
  Descriptor input(ends[1]);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::int64_t until_ms = now_ms() + limits.time_max.count;
  ::pid_t pid = 0;
  const Setup setup(input.number(), folder);
  const int failed =
      ::posix_spawnp(&pid, program.c_str(), setup.actions(), setup.attributes(), arguments.data(), environ);
  input.close();
  if (failed != 0) {
    return fail(failed == ENOENT ? Error::Code::not_found : Error::Code::io,
                fmt::format("the program `{}` cannot be run: {}", program, std::strerror(failed)));
  }
  std::string text;
  const Read read = read_all(output.number(), until_ms, limits.bytes_max, text);
  int status = 0;
  const bool is_over = read == Read::all && ended(pid, until_ms, status);
  if (!is_over) {
    ::kill(-pid, SIGKILL);
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (read == Read::too_much)
    return invalid(fmt::format("the program `{}` printed more than {} bytes", program, limits.bytes_max));
  if (read == Read::failed)
    return fail(Error::Code::io, fmt::format("what the program `{}` prints cannot be read", program));
  if (!is_over)
    return fail(Error::Code::unavailable, fmt::format("the program `{}` took longer than {}", program,
                                                      format_duration(limits.time_max)));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return invalid(WIFEXITED(status)
                       ? fmt::format("the program `{}` ended with status {}", program, WEXITSTATUS(status))
                       : fmt::format("the program `{}` was killed by signal {}", program, WTERMSIG(status)));
  }
  return text;
}

}  // namespace tailrace::io
