#include "sandbox/sandbox.h"

#include <condition_variable>
#include <csignal>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "cli/command.h"
#include "io/http_server.h"
#include "io/system_clock.h"

namespace tailrace::cli {
namespace {

// Answers that the sandbox wants late, in order of time.
class LateAnswers {
 public:
  LateAnswers() : thread_([this] { run(); }) {}
  ~LateAnswers() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void add(Time at, std::unique_ptr<io::Responder> responder, HttpResponse response) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.emplace(at, Answer{std::move(responder), std::move(response)});
    }
    changed_.notify_one();
  }

 private:
  struct Answer {
    std::unique_ptr<io::Responder> responder;
    HttpResponse response;
  };
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (waiting_.empty()) {
        changed_.wait(lock);
        continue;
      }
      const Millis wait = waiting_.begin()->first - io::system_now();
      if (wait.count > 0) {
        changed_.wait_for(lock, std::chrono::milliseconds(wait.count));
        continue;
      }
      Answer due = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      lock.unlock();
      due.responder->respond(std::move(due.response));
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Time, Answer> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

Result<void> serve_sandbox(const Command& command, server::Console& console) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto listen = TRY(io::parse_listen(command.listen.empty() ? "127.0.0.1:9090" : command.listen));
  listen.body_bytes_max = 64ull << 20;
  sandbox::Options options{.known_share = command.known_share, .seed = command.seed};
  if (!command.token.empty()) options.token = command.token;
  sandbox::Sandbox platforms(options);
  LateAnswers late;
  const auto server =
      TRY(io::HttpServer::start(listen, [&](HttpRequest& request, std::unique_ptr<io::Responder> responder) {
        sandbox::Answer answer = platforms.handle(request, io::system_now());
        if (answer.hang_up) return responder->hang_up();
        if (answer.delay.count <= 0) return responder->respond(std::move(answer.response));
        late.add(io::system_now() + answer.delay, std::move(responder), std::move(answer.response));
      }));
  console.out(fmt::format(
      "tailrace sandbox on http://{0}:{1}: /meta, /google, /webhook; controls under /sandbox\n"
      "a destination that is to reach it needs:\n"
      "  settings: {{base_url: \"http://{0}:{1}/meta/v26.0\"}}   # or /google; of a webhook, url\n"
      "  allow_private_addresses: true\n",
      listen.address, server->port()));
  int signal = 0;
  sigwait(&signals, &signal);
  server->stop({1'000});
  return {};
}

}  // namespace

int run_sandbox(const Command& command, server::Console& console) {
  const auto served = serve_sandbox(command, console);
  if (served) return kDone;
  console.err(served.error().message + "\n");
  return exit_code(served.error());
}

}  // namespace tailrace::cli
