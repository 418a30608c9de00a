// Writes what the HTTP benchmark needs: a workspace of 100 segments, and a wrk script with batches of 50
// Segment-style messages. Every request is different: its message ids carry the thread's and the request's
// number, so that nothing is a duplicate.
//
//   http_load FOLDER       FOLDER/workspace and FOLDER/batches.lua
#include <fstream>

#include <fmt/format.h>

#include "workload.h"

namespace tailrace::bench {
namespace {

constexpr int kBatches = 200;
constexpr int kBatchMessages = 50;

constexpr std::string_view kScript = R"(
local thread_count = 0
function setup(thread) thread:set("id", thread_count); thread_count = thread_count + 1 end
local sent = 0
function request()
  sent = sent + 1
  local mark = id .. "." .. sent .. "."
  local body = bodies[sent % #bodies + 1]:gsub("@", mark)
  return wrk.format("POST", "/v1/batch", headers, body)
end
function done(summary, latency)
  local errors = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("sent %d requests in %.2f s, %d errors, p50 %.1f ms, p99 %.1f ms\n", summary.requests,
    summary.duration / 1e6, errors, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
)";

int run(const std::string& folder) {
  write_workspace(folder + "/workspace");
  const Shape shape;
  Shop shop(shape);
  std::ofstream script(folder + "/batches.lua", std::ios::binary);
  script << "headers = {[\"Content-Type\"] = \"application/json\", [\"Authorization\"] = \"Basic "
            "YmVuY2g6\"}\nbodies = {\n";
  for (int batch = 0; batch < kBatches; ++batch) {
    script << "[==[{\"batch\":[";
    for (int i = 0; i < kBatchMessages; ++i) {
      const ShopEvent event = shop.next();
      std::string message = track_json(shape, event, event.time);
      // No timestamp: the event happens when it arrives. "@" becomes the request's mark.
      const std::size_t timestamp = message.find("\"timestamp\"");
      message.erase(timestamp, message.find(",\"context\"") + 1 - timestamp);
      message.insert(message.find("\"m-") + 3, "@");
      script << (i == 0 ? "" : ",") << message;
    }
    script << "]}]==],\n";
  }
  script << "}\n" << kScript;
  return script.flush() ? 0 : 1;
}

}  // namespace
}  // namespace tailrace::bench

int main(int count, char** values) {
  if (count != 2) {
    fmt::print(stderr, "usage: http_load FOLDER\n");
    return 2;
  }
  return tailrace::bench::run(values[1]);
}
