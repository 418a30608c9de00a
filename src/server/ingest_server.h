// The HTTP API of `tailrace serve`: the Segment-style calls, the sources that the workspace lists
// (sources/source.h; at /sources/NAME, or at the paths of the API that they play), /healthz and /metrics.
//
//   200 {"success":true}     every message is on disk (fsync) or kept as rejected; see `tailrace status`
//   400 / 413                the body is not JSON, or too large: nothing of it was taken
//   401                      no write key, or a wrong one; of a source: not signed by whom it should be
//   429, Retry-After: 1      too much waits, or more requests a second than this key may make; send again
//   503, Retry-After: 5      the store has failed
//
// A source answers in the words of its API, with the same status.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/http_server.h"
#include "server/core.h"
#include "sources/source.h"

namespace tailrace::server {

// Whose write key it is.
struct Source {
  std::string name;
  std::uint32_t requests_per_second = 0;  // 0: no limit
};

// A source of the workspace, with what it needs to know its sender.
struct ListedSource {
  const sources::HttpSource* type = nullptr;
  sources::SourceConfig config;
  std::uint32_t requests_per_second = 0;  // 0: no limit
};

struct IngestOptions {
  io::ListenOptions listen;
  std::size_t inflated_bytes_max = 4u << 20;  // of a gzip body
  // SHA-256 of a write key -> source. Keys are compared by their digest, so that time tells nothing of them.
  std::map<std::string, Source> sources;
  std::vector<ListedSource> listed;
};

// Reads the keys by their references. Errors: invalid_argument, naming all that are missing.
Result<std::map<std::string, Source>> read_write_keys(const workspace::Workspace& workspace,
                                                      const std::string& secrets_folder);

// The sources, with their secrets. Errors: invalid_argument, naming all that are missing.
Result<std::vector<ListedSource>> read_sources(const workspace::Workspace& workspace,
                                               const std::string& secrets_folder);

class IngestServer {
 public:
  static Result<std::unique_ptr<IngestServer>> start(Core& core, IngestOptions options);
  ~IngestServer();
  std::uint16_t port() const;
  void stop(Millis grace);

 private:
  class Body;
  explicit IngestServer(std::unique_ptr<Body> body);
  std::unique_ptr<Body> body_;
};

}  // namespace tailrace::server
