#include "support/s3_server.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/source_dir.h"

namespace tailrace::testing {
namespace {

namespace fs = std::filesystem;

std::string& reason() {
  static std::string text;
  return text;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

// The server cannot be told to choose; the system is asked just before.
int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  ::bind(socket, reinterpret_cast<sockaddr*>(&address), length);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(socket);
  return ntohs(address.sin_port);
}

bool listens(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(port);
  const bool connected = ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return connected;
}

}  // namespace

const std::string& S3Server::why() { return reason(); }

S3Server* S3Server::instance() {
  static const std::unique_ptr<S3Server> server = [] {
    std::unique_ptr<S3Server> made(new S3Server);
    if (!made->start()) made.reset();
    return made;
  }();
  return server.get();
}

bool S3Server::start() {
  const std::string program = std::string(source_dir()) + "/build/third_party/versitygw/versitygw";
  if (!fs::exists(program)) {
    reason() =
        "no S3-compatible server: tools/install-dependencies --tests builds one where a Go 1.25 is at hand";
    return false;
  }
  std::string folder = (fs::temp_directory_path() / "tailrace_s3_XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    reason() = "no temporary folder";
    return false;
  }
  folder_ = folder;
  fs::create_directories(folder_ + "/data/example-lake");
  fs::create_directories(folder_ + "/metadata");
  const int port = free_port();
  url_ = "http://127.0.0.1:" + std::to_string(port);
  process_ = ::fork();
  if (process_ == 0) {
    const std::string log = folder_ + "/log";
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::close_range(3, ~0u, 0);
    ::setenv("ROOT_ACCESS_KEY", kKeyId, 1);
    ::setenv("ROOT_SECRET_KEY", kSecret, 1);
    const std::string address = "127.0.0.1:" + std::to_string(port);
    const std::string metadata = folder_ + "/metadata";
    const std::string data = folder_ + "/data";
    ::execl(program.c_str(), program.c_str(), "--port", address.c_str(), "--region", "us-east-1", "posix",
            "--sidecar", metadata.c_str(), data.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  for (int tries = 0; tries < 400; ++tries) {
    if (listens(port)) return true;
    if (::waitpid(process_, nullptr, WNOHANG) == process_) {
      process_ = -1;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  reason() = "the S3-compatible server does not start";
  return false;
}

S3Server::~S3Server() {
  if (process_ > 0) {
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
  }
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

}  // namespace tailrace::testing
