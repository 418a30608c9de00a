#include "server/admin_socket.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/thread_name.h"
#include "model/json.h"

namespace tailrace::server {
namespace {

constexpr std::size_t kRequestBytesMax = 1 << 20;

// A socket address in a directory whose path may be longer than an address can hold: by way of its
// descriptor.
class Address {
 public:
  explicit Address(const std::string& directory)
      : folder_(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    address_.sun_family = AF_UNIX;
    const std::string path = fmt::format("/proc/self/fd/{}/admin.sock", folder_);
    std::memcpy(address_.sun_path, path.c_str(), path.size() + 1);
  }
  ~Address() {
    if (folder_ >= 0) ::close(folder_);
  }
  Address(const Address&) = delete;
  Address& operator=(const Address&) = delete;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t size() { return sizeof(sockaddr_un); }
  bool usable() const { return folder_ >= 0; }

 private:
  int folder_;
  sockaddr_un address_{};
};

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool receive_exactly(int socket, char* to, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(socket, to, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool send_frame(int socket, char kind, std::string_view bytes) {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  std::string frame(1, kind);
  frame.append(reinterpret_cast<const char*>(&length), sizeof length);
  frame += bytes;
  return send_all(socket, frame);
}

class SocketConsole final : public Console {
 public:
  SocketConsole(int socket, bool terminal, const std::atomic<bool>& stopping)
      : socket_(socket), terminal_(terminal), stopping_(stopping) {}
  void out(std::string_view text) override { send('o', text); }
  void err(std::string_view text) override { send('e', text); }
  bool terminal() const override { return terminal_; }
  bool gone() const override {
    // A client that hung up has sent the end of its stream.
    char byte = 0;
    return gone_ || stopping_ || ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }

 private:
  void send(char kind, std::string_view text) {
    if (!gone_ && !text.empty()) gone_ = !send_frame(socket_, kind, text);
  }
  int socket_;
  bool terminal_;
  const std::atomic<bool>& stopping_;
  bool gone_ = false;
};

Result<AdminRequest> parse_request(std::string_view line) {
  const Value value = TRY(parse_json(line));
  const Value* arguments = value.kind == Value::Kind::object ? value.find("arguments") : nullptr;
  const Value* folder = value.kind == Value::Kind::object ? value.find("folder") : nullptr;
  const Value* terminal = value.kind == Value::Kind::object ? value.find("terminal") : nullptr;
  if (arguments == nullptr || arguments->kind != Value::Kind::list || folder == nullptr)
    return invalid("not a command");
  AdminRequest request{
      .arguments = {}, .folder = folder->string, .terminal = terminal != nullptr && terminal->boolean};
  for (const Value& argument : arguments->list) request.arguments.push_back(argument.string);
  return request;
}

}  // namespace

AdminServer::AdminServer(std::string directory, AdminHandler handler)
    : directory_(std::move(directory)), handler_(std::move(handler)) {}

Result<std::unique_ptr<AdminServer>> AdminServer::start(const std::string& directory, AdminHandler handler) {
  std::unique_ptr<AdminServer> server(new AdminServer(directory, std::move(handler)));
  const Address address(directory);
  const auto failed = [&](std::string_view what) {
    return fail(Error::Code::io,
                fmt::format("the admin socket in {} cannot {}: {}", directory, what, std::strerror(errno)));
  };
  if (!address.usable()) return failed("be reached");
  // The store's lock is ours: a socket that is there was left by a process that died.
  ::unlink((directory + "/admin.sock").c_str());
  server->listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(server->listener_, address.get(), Address::size());
  ::umask(mask);
  if (bound != 0) return failed("be made");
  if (::listen(server->listener_, 16) != 0 || ::pipe2(server->wake_, O_CLOEXEC) != 0) return failed("listen");
  server->acceptor_ = std::thread([raw = server.get()] {
    name_thread("admin");
    raw->accept_all();
  });
  return server;
}

AdminServer::~AdminServer() {
  stopping_ = true;
  if (acceptor_.joinable()) {
    const char stop = 0;
    static_cast<void>(::write(wake_[1], &stop, 1) == 1);
    acceptor_.join();
  }
  for (std::thread& connection : connections_) connection.join();
  for (const int descriptor : {listener_, wake_[0], wake_[1]}) {
    if (descriptor >= 0) ::close(descriptor);
  }
  ::unlink((directory_ + "/admin.sock").c_str());
}

void AdminServer::accept_all() {
  while (true) {
    pollfd waiting[2] = {{.fd = listener_, .events = POLLIN, .revents = 0},
                         {.fd = wake_[0], .events = POLLIN, .revents = 0}};
    if (::poll(waiting, 2, -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    if ((waiting[0].revents & POLLIN) == 0) continue;
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    const std::lock_guard lock(mutex_);
    connections_.emplace_back([this, connection] {
      serve(connection);
      ::close(connection);
    });
  }
}

void AdminServer::serve(int connection) {
  // Commands are short to say; whoever connects and says nothing is not waited for.
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string line;
  while (line.size() < kRequestBytesMax) {
    char c = 0;
    if (!receive_exactly(connection, &c, 1)) return;
    if (c == '\n') break;
    line += c;
  }
  const auto request = parse_request(line);
  if (!request) return;
  SocketConsole console(connection, request->terminal, stopping_);
  const std::int32_t code = handler_(*request, console);
  send_frame(connection, 'x', {reinterpret_cast<const char*>(&code), sizeof code});
}

std::optional<int> run_remotely(const std::string& directory, const AdminRequest& request, Console& console) {
  const Address address(directory);
  if (!address.usable()) return std::nullopt;
  const int connection = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return std::nullopt;
  struct Close {
    int descriptor;
    ~Close() { ::close(descriptor); }
  } const close{connection};
  if (::connect(connection, address.get(), Address::size()) != 0) return std::nullopt;
  Value message = Value::with(Value::Kind::object);
  Value arguments = Value::with(Value::Kind::list);
  for (const std::string& argument : request.arguments) arguments.list.push_back(Value::of(argument));
  message.members.emplace_back("arguments", std::move(arguments));
  message.members.emplace_back("folder", Value::of(request.folder));
  message.members.emplace_back("terminal", Value::of(request.terminal));
  if (!send_all(connection, to_json(message) + "\n")) return std::nullopt;
  while (true) {
    char kind = 0;
    std::uint32_t length = 0;
    if (!receive_exactly(connection, &kind, 1) ||
        !receive_exactly(connection, reinterpret_cast<char*>(&length), sizeof length))
      break;
    std::string bytes(length, '\0');
    if (!receive_exactly(connection, bytes.data(), length)) break;
    if (kind == 'o') console.out(bytes);
    if (kind == 'e') console.err(bytes);
    if (kind == 'x' && length == sizeof(std::int32_t)) {
      std::int32_t code = 0;
      std::memcpy(&code, bytes.data(), sizeof code);
      return code;
    }
  }
  console.err("tailrace serve stopped before the command ended\n");
  return 6;
}

}  // namespace tailrace::server
