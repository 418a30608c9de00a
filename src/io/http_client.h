// An HTTP client on libcurl's multi interface: many requests at once on one thread of its own, connections
// kept, certificates verified, nothing sent twice by itself, redirects not followed, proxies of the
// environment not used.
//
// An address is judged after the name was resolved, and the connection goes to that address: a name that
// resolves to another one the next time gains nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "base/http.h"
#include "base/result.h"
#include "base/time.h"

namespace tailrace::io {

struct ClientOptions {
  Millis connect_timeout{5'000};
  Millis total_timeout{30'000};  // also the wait for one of the host's connections
  long connections_per_host_max = 8;
  std::uint64_t response_bytes_max = 4ull << 20;  // header and body
};

// Called on the client's thread, once per request; it must not block, and may send. Errors: unavailable, when
// no answer came, and whether the server acted is unknown; not_found, when nobody was reached who could have:
// no such host, nobody listens, no trust in who does, an address out of reach; invalid_argument, when the
// request can't be sent as it is (a line break in a header). Messages name the host and nothing else of the
// URL, which may hold keys.
using HttpCallback = std::function<void(Result<HttpResponse>)>;
// Takes the body of a success, piece by piece, on the client's thread; that is then of any length, and the
// response has none. False: no more of it; the request ends as unavailable.
using BodySink = std::function<bool(std::string_view)>;

class HttpClient {
 public:
  // Error: io, when libcurl does not start.
  static Result<std::unique_ptr<HttpClient>> start(const ClientOptions& options);
  virtual ~HttpClient() = default;  // cancels what is in flight (callbacks get unavailable), joins
  // Thread-safe. sink may be empty.
  virtual void send(HttpRequest request, const HttpReach& reach, BodySink sink, HttpCallback done) = 0;
  void send(HttpRequest request, const HttpReach& reach, HttpCallback done) {
    send(std::move(request), reach, {}, std::move(done));
  }
};

}  // namespace tailrace::io
