// Any bytes on a connection to the HTTP server: it answers or closes, and takes the next connection.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "io/http_server.h"
#include "io/test_socket.h"

namespace {

using namespace tailrace;
using namespace tailrace::io;

HttpServer& server() {
  static const std::unique_ptr<HttpServer> kRunning = [] {
    ListenOptions options;
    options.port = 0;
    options.threads = 1;
    options.body_bytes_max = 2'000;
    options.header_bytes_max = 1'000;
    auto started = HttpServer::start(options, [](HttpRequest& request, std::unique_ptr<Responder> responder) {
      TR_ASSERT(request.body.size() <= 2'000 && request.body.capacity() >= request.body.size() + 64);
      responder->respond({200, {{"X-Target", request.url}}, request.body});
    });
    TR_ASSERT(started.has_value());
    return std::move(*started);
  }();
  return *kRunning;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  TestSocket socket = TestSocket::connect(server().port());
  socket.send(bytes);
  socket.finish_sending();
  const std::string answer = socket.read_to_end();
  TR_ASSERT(answer.empty() || answer.starts_with("HTTP/1."));
  return 0;
}
