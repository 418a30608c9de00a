// A blocking TCP client and listener for tests of io/: bytes out, bytes in, nothing in between. Reads give up
// after ten seconds, so a test that waits for what never comes fails instead of hanging.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/assert.h"

namespace tailrace::io {

class TestSocket {
 public:
  explicit TestSocket(int descriptor) : descriptor_(descriptor) {
    TR_ASSERT(descriptor_ >= 0);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  TestSocket(TestSocket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), pending_(std::move(other.pending_)) {}
  TestSocket& operator=(TestSocket&&) = delete;
  ~TestSocket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  static TestSocket connect(std::uint16_t port) {
    TestSocket socket(::socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in address = loopback(port);
    TR_ASSERT(::connect(socket.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
              0);
    return socket;
  }

  int descriptor() const { return descriptor_; }

  // False: the other side has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void send_in_pieces(std::string_view bytes, std::size_t piece) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) send(bytes.substr(0, piece));
  }
  void finish_sending() { ::shutdown(descriptor_, SHUT_WR); }

  // Up to and with `mark`; what came if the other side closes before.
  std::string read_until(std::string_view mark) {
    std::size_t found = pending_.find(mark);
    while (found == std::string::npos && read_more()) found = pending_.find(mark);
    return take(found == std::string::npos ? pending_.size() : found + mark.size());
  }
  std::string read_bytes(std::size_t count) {
    while (pending_.size() < count && read_more()) {
    }
    return take(std::min(count, pending_.size()));
  }
  std::string read_to_end() {
    while (read_more()) {
    }
    return take(pending_.size());
  }

  // One HTTP message: head, and the body its Content-Length tells of.
  struct Message {
    std::string head;
    std::string body;
    int status() const { return head.size() < 12 ? 0 : std::stoi(head.substr(9, 3)); }
    bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
  };
  Message read_message(bool with_body = true) {
    Message message{read_until("\r\n\r\n"), {}};
    static constexpr std::string_view kLength = "Content-Length: ";
    const std::size_t at = message.head.find(kLength);
    if (with_body && at != std::string::npos) {
      message.body = read_bytes(std::stoul(message.head.substr(at + kLength.size())));
    }
    return message;
  }

 private:
  friend class TestListener;
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  bool read_more() {
    std::array<char, 16 * 1024> buffer;
    const ssize_t count = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
    if (count <= 0) return false;
    pending_.append(buffer.data(), static_cast<std::size_t>(count));
    return true;
  }
  std::string take(std::size_t count) {
    std::string taken = pending_.substr(0, count);
    pending_.erase(0, count);
    return taken;
  }

  int descriptor_;
  std::string pending_;
};

class TestListener {
 public:
  TestListener() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = TestSocket::loopback(0);
    socklen_t size = sizeof address;
    TR_ASSERT(::bind(socket_.descriptor_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    TR_ASSERT(::listen(socket_.descriptor_, 16) == 0);
    TR_ASSERT(::getsockname(socket_.descriptor_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  std::uint16_t port() const { return port_; }
  int accept_descriptor() { return ::accept(socket_.descriptor_, nullptr, nullptr); }
  TestSocket accept() { return TestSocket(accept_descriptor()); }

 private:
  TestSocket socket_;
  std::uint16_t port_ = 0;
};

}  // namespace tailrace::io
