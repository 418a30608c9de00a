#include "sandbox/slack/slack.h"

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kTextBytesMax = 40'000;

}  // namespace

// A word, no JSON.
HttpResponse Slack::error(int status, const std::string&) const {
  const char* word = status == 429   ? "rate_limited"
                     : status == 404 ? "no_service"
                     : status == 400 ? "invalid_payload"
                                     : "action_prohibited";
  return {status, {{"Content-Type", "text/plain"}}, word};
}

HttpResponse Slack::handle(const Call& call) {
  if (call.segments.size() != 4 || call.segments[0] != "services") return error(404, "");
  if (call.request.method != "POST") return error(405, "");
  if (!calls_.admit(call.now, limits_.of("slack_messages_per_minute"))) {
    HttpResponse response = error(429, "");
    response.headers.emplace_back("Retry-After", "1");
    return response;
  }
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return error(400, "");
  const std::string text = text_at(*body, "text");
  if (text.empty() || text.size() > kTextBytesMax) return error(400, "");
  events_.add("", *body, call.now);
  return {200, {{"Content-Type", "text/plain"}}, "ok"};
}

std::unique_ptr<Platform> make_slack(const Options& options, const Limits& limits) {
  return std::make_unique<Slack>(options, limits);
}

}  // namespace tailrace::sandbox
