// Any bytes in: the sandbox answers and never crashes. The first line is "METHOD TARGET"; header lines up to
// an empty one; the rest is the body.
#include <cstdint>
#include <string>
#include <string_view>

#include "sandbox/sandbox.h"

namespace {

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

tailrace::HttpRequest read_request(std::string_view text) {
  tailrace::HttpRequest request;
  const std::string_view first = take_line(text);
  const std::size_t blank = first.find(' ');
  request.method = std::string(first.substr(0, blank));
  if (blank != std::string_view::npos) request.url = std::string(first.substr(blank + 1));
  request.headers.emplace_back("Authorization", "Bearer any");
  for (std::string_view line = take_line(text); !line.empty(); line = take_line(text)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    request.headers.emplace_back(std::string(line.substr(0, colon)), std::string(line.substr(colon + 1)));
  }
  request.body = std::string(text);
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tailrace::sandbox::Sandbox sandbox({.known_share = 0.6, .seed = 1, .token = ""});
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const tailrace::Time now{1'800'000'000'000};
  const tailrace::HttpRequest request = read_request(bytes);
  // Something to talk to, so that more than "no such audience" is reached.
  for (const char* body : {R"({"platform":"meta","id":"1"})", R"({"platform":"google","id":"1"})"}) {
    sandbox.handle({.method = "POST", .url = "/sandbox/audiences", .headers = {}, .body = body}, now);
  }
  sandbox.handle(request, now);
  sandbox.handle(request, now + tailrace::kHour);
  return 0;
}
