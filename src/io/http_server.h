// An HTTP/1.1 server on Boost.Asio and Beast: a thread per core, keep-alive, bounded bodies, timeouts, and a
// drain that answers what it has read and closes what is idle.
//
// The handler runs on an io thread and must not block: it may answer at once or keep the Responder and answer
// later from any thread, exactly once. Bodies sent with Content-Length or chunked; not decompressed here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/http.h"
#include "base/result.h"
#include "base/time.h"

namespace tailrace::io {

struct ListenOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: the system chooses; see HttpServer::port
  int threads = 2;
  std::uint64_t body_bytes_max = 4ull << 20;  // larger: 413 and close
  std::uint32_t header_bytes_max = 16u << 10;
  std::uint32_t connections_max = 4096;  // beyond: 503 with Retry-After, and close
  Millis read_timeout{10'000};           // header plus body; also against slow senders
  Millis idle_timeout{60'000};
  // PEM, for TLS 1.2 and later; read anew when they change. Empty: plain HTTP.
  std::string certificate_file = {};
  std::string key_file = {};
};
// "127.0.0.1:8080", "localhost:8080", "[::1]:0", and ":8080" for the address of `defaults`.
// Error: invalid_argument.
Result<ListenOptions> parse_listen(std::string_view text, ListenOptions defaults = {});

class Responder {
 public:
  virtual ~Responder() = default;
  // Content-Length, Connection, Transfer-Encoding and Date are set by the server, whatever the response says.
  // Destroying a Responder that has not answered answers 500; an answer after stop() goes nowhere.
  virtual void respond(HttpResponse response) = 0;
  // The same for an answer that is given often: `response` lives as long as the process, and its text is made
  // once a second.
  virtual void respond_fixed(const HttpResponse& response) = 0;
  // Closes the connection without an answer, as a platform does that dies. Instead of respond().
  virtual void hang_up() = 0;
};
// request.body may be moved from. It carries at least 64 spare bytes of capacity beyond its size (simdjson's
// padding).
// A handler that throws answers 500. It may live on after the server, as long as a Responder is kept.
using HttpHandler = std::function<void(HttpRequest& request, std::unique_ptr<Responder> responder)>;

class HttpServer {
 public:
  // Errors: invalid_argument (no IP address; a certificate or key that is none, or not of each other), io
  // (the port is taken, or not ours to take).
  static Result<std::unique_ptr<HttpServer>> start(const ListenOptions& options, HttpHandler handler);
  virtual ~HttpServer() = default;  // stops
  virtual std::uint16_t port() const = 0;
  // Once; not from the handler. Stops accepting, lets requests in flight be answered (at most `grace`),
  // closes idle connections, joins the threads.
  virtual void stop(Millis grace) = 0;
};

}  // namespace tailrace::io
