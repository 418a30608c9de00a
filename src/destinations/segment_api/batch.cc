#include "destinations/segment_api/batch.h"

#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/analytics/event_json.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::segment_api {
namespace {

constexpr std::size_t kMessageIdBytesMax = 100;

std::string message_id(const std::string& id, const Config& config) {
  std::string whole = id + config.setting(std::string(kMessageIdSuffix));
  return whole.size() <= kMessageIdBytesMax ? whole : sha256_hex(whole);
}

// The event's context, and who passed it on.
Value context_of(const Conversion& conversion) {
  Value library = analytics::empty_object();
  library.members.emplace_back("name", Value::of("tailrace"));
  Value context = analytics::empty_object();
  context.members.emplace_back("library", std::move(library));
  analytics::add_missing(context, conversion.context);
  return context;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  const std::vector<UserValue> values = user_values(destination, conversion, config);
  const std::string user = analytics::value_of(values, Field::external_id);
  const std::string device = analytics::value_of(values, Field::anonymous_id);
  if (user.empty() && device.empty()) return std::unexpected(Refused{"user", "no id of the person"});
  Value message = analytics::empty_object();
  message.members.emplace_back("type", Value::of("track"));
  message.members.emplace_back("event", Value::of(conversion.name));
  message.members.emplace_back("messageId", Value::of(message_id(conversion.message_id, config)));
  analytics::add_text(message, "userId", user);
  analytics::add_text(message, "anonymousId", device);
  message.members.emplace_back("timestamp", Value::of(format_time(conversion.at)));
  message.members.emplace_back("properties", conversion.properties.kind == Value::Kind::object
                                                 ? conversion.properties
                                                 : analytics::empty_object());
  message.members.emplace_back("context", context_of(conversion));
  std::string text = to_json(message);
  if (text.size() > kMessageBytesMax)
    return std::unexpected(Refused{"properties", "the event is larger than 32 KB"});
  return text;
}

HttpRequest encode(std::span<const std::string> messages, const Config& config, Time sent_at) {
  HttpHeaders headers{
      {"Authorization", analytics::basic_authorization(config.secret(std::string(kWriteKey)), "")}};
  if (config.setting(std::string(kStrict)) == "true") headers.emplace_back("X-Strict-Mode", "1");
  return analytics::post_json(
      fmt::format("{}/v1/batch", without_trailing_slash(config.setting(std::string(kBaseUrl)))),
      fmt::format(R"({{"batch":[{}],"sentAt":"{}"}})", analytics::joined(messages), format_time(sent_at)),
      std::move(headers));
}

Reply decode(Records records, const HttpResponse& response) {
  const int status = response.status;
  const std::string code = fmt::format("{}", status);
  if (status == 200 || status == 202) return accepted(records);
  if (status == 400 || status == 422)
    return split(records, fmt::format("a message is not accepted (HTTP {})", status), code);
  // As Segment's own clients do: these may pass, those of a server that cannot do it never will.
  if (status == 410 || status == 460)
    return retry(fmt::format("the platform does not take it now (HTTP {})", status), code,
                 retry_after(response));
  if (status == 501 || status == 505)
    return stop(fmt::format("there is no such API (HTTP {}): mend base_url", status), code);
  Reply reply = judge_status(records, response);
  if (status == 429 && !reply.retry_after)
    reply.retry_after = wait_until_reset(response, "X-RateLimit-Reset");
  return reply;
}

}  // namespace tailrace::destinations::segment_api
