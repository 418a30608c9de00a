// Commands reach a running `tailrace serve` through a Unix socket in the store's directory (mode 0600), so
// that every command works whether or not it runs.
//
// Client: one line of JSON {"arguments":[...],"folder":"/abs","terminal":true}. Server: frames of a kind byte
// ('o' output, 'e' error output, 'x' exit code), a u32 length, and as many bytes.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace tailrace::server {

// Where a command writes. Thread-safe implementations are not needed: one command, one thread.
class Console {
 public:
  virtual ~Console() = default;
  virtual void out(std::string_view text) = 0;
  virtual void err(std::string_view text) = 0;
  virtual bool terminal() const = 0;
  // The user has gone, or the server is to end: stop where it is safe.
  virtual bool gone() const { return false; }
};

struct AdminRequest {
  std::vector<std::string> arguments;  // of the command line, without the program's name
  std::string folder;                  // what relative paths are relative to
  bool terminal = false;
};
using AdminHandler = std::function<int(const AdminRequest&, Console&)>;

class AdminServer {
 public:
  static Result<std::unique_ptr<AdminServer>> start(const std::string& directory, AdminHandler handler);
  ~AdminServer();  // asks commands that run to stop, waits for them, removes the socket

 private:
  AdminServer(std::string directory, AdminHandler handler);
  void accept_all();
  void serve(int connection);

  std::string directory_;
  AdminHandler handler_;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  std::atomic<bool> stopping_{false};
  std::thread acceptor_;
  std::mutex mutex_;
  std::vector<std::thread> connections_;
};

// Runs a command in the server of this store. Missing: none is running.
std::optional<int> run_remotely(const std::string& directory, const AdminRequest& request, Console& console);

}  // namespace tailrace::server
