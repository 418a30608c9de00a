#include "destinations/posthog_events/codec.h"

#include <algorithm>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::posthog_events_codec {
namespace {

constexpr std::size_t kDistinctIdCharactersMax = 200;

bool is_true(const Config& config, std::string_view name) {
  return config.setting(std::string(name)) == "true";
}

// Whether the list of what is beyond its quota names events. A list that names other products alone is none
// of ours.
bool drops_events(const Value* limited) {
  if (limited == nullptr || limited->kind != Value::Kind::list) return false;
  return std::ranges::any_of(limited->list, [](const Value& each) { return each.string == "events"; });
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  const std::vector<UserValue> values = user_values(destination, conversion, config);
  const std::string user = analytics::value_of(values, Field::external_id);
  const std::string device = analytics::value_of(values, Field::anonymous_id);
  const std::string& distinct_id = user.empty() ? device : user;
  // PostHog would cut it, and several people would become one.
  if (analytics::cut(distinct_id, kDistinctIdCharactersMax).size() != distinct_id.size())
    return std::unexpected(Refused{"user", "an id of more than 200 characters"});
  if (analytics::is_placeholder(distinct_id))
    return std::unexpected(Refused{"user", "no id of the person that PostHog takes"});
  Value properties = analytics::empty_object();
  analytics::add_text(properties, "$lib", "tailrace");
  analytics::add_text(properties, "$ip", analytics::value_of(values, Field::ip_address));
  analytics::add_text(properties, "$current_url", conversion.url);
  analytics::add_text(properties, "$referrer", conversion.referrer);
  analytics::add_text(properties, "$device_id", device);
  // Without one PostHog would take where this machine stands for where the person is.
  if (properties.find("$ip") == nullptr) properties.members.emplace_back("$geoip_disable", Value::of(true));
  if (user.empty() && !is_true(config, kAnonymousProfiles))
    properties.members.emplace_back("$process_person_profile", Value::of(false));
  analytics::add_missing(properties, conversion.properties);
  Value event = analytics::empty_object();
  event.members.emplace_back("event", Value::of(conversion.name));
  event.members.emplace_back("distinct_id", Value::of(distinct_id));
  event.members.emplace_back("uuid", Value::of(analytics::uuid_of(conversion.message_id)));
  event.members.emplace_back("timestamp", Value::of(format_time(conversion.at)));
  event.members.emplace_back("properties", std::move(properties));
  return to_json(event);
}

HttpRequest encode_batch(std::span<const std::string> events, const Config& config, bool historical) {
  std::string body = R"({"api_key":)";
  append_json_string(body, config.secret(std::string(kApiKey)));
  if (historical) body += R"(,"historical_migration":true)";
  body += R"(,"batch":[)" + analytics::joined(events) + "]}";
  return analytics::post_json(
      fmt::format("{}/batch/", without_trailing_slash(config.setting(std::string(kBaseUrl)))),
      std::move(body));
}

Reply decode(Records records, const HttpResponse& response) {
  if (response.status == 200) {
    const auto body = json_object(response);
    if (drops_events(member(body ? &*body : nullptr, "quota_limited")))
      return stop("PostHog drops events: the project is beyond its billing quota", "quota_limited");
    return accepted(records);
  }
  if (response.status == 400) return split(records, "an event is not accepted (HTTP 400)", "400");
  return judge_status(records, response);
}

}  // namespace tailrace::destinations::posthog_events_codec
