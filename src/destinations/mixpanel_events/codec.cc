#include "destinations/mixpanel_events/codec.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/analytics/event_json.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::mixpanel_events_codec {
namespace {

constexpr std::size_t kEventBytesMax = 1'000'000;
constexpr std::size_t kInsertIdBytesMax = 36;

// An id that Mixpanel takes as it is, or else the beginning of its digest.
std::string insert_id(const std::string& id) {
  const bool fits =
      id.size() <= kInsertIdBytesMax && std::ranges::all_of(id, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
      });
  return fits && !analytics::is_placeholder(id) ? id : sha256_hex(id).substr(0, kInsertIdBytesMax);
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  const std::vector<UserValue> values = user_values(destination, conversion, config);
  std::string user = analytics::value_of(values, Field::external_id);
  std::string device = analytics::value_of(values, Field::anonymous_id);
  if (analytics::is_placeholder(user)) user.clear();
  if (analytics::is_placeholder(device)) device.clear();
  if (user.empty() && device.empty())
    return std::unexpected(Refused{"user", "no id of the person that Mixpanel takes"});
  const bool original = config.setting(std::string(kIdentity)) == kOriginal;

  Value properties = analytics::empty_object();
  properties.members.emplace_back("time", Value::of(Number::integer(conversion.at.ms)));
  // Of somebody who is not identified, as Mixpanel's own clients write it.
  properties.members.emplace_back("distinct_id", Value::of(!user.empty() ? user
                                                           : original    ? device
                                                                         : "$device:" + device));
  properties.members.emplace_back("$insert_id", Value::of(insert_id(conversion.message_id)));
  if (!original) {
    analytics::add_text(properties, "$user_id", user);
    analytics::add_text(properties, "$device_id", device);
  }
  // Without one Mixpanel would find out where this machine stands.
  const std::string address = analytics::value_of(values, Field::ip_address);
  properties.members.emplace_back("ip", address.empty() ? Value::of(Number::integer(0)) : Value::of(address));
  analytics::add_text(properties, "$current_url", conversion.url);
  analytics::add_text(properties, "$referrer", conversion.referrer);
  analytics::add_missing(properties, conversion.properties);

  Value event = analytics::empty_object();
  event.members.emplace_back("event", Value::of(conversion.name));
  event.members.emplace_back("properties", std::move(properties));
  std::string text = to_json(event);
  if (text.size() > kEventBytesMax)
    return std::unexpected(Refused{"properties", "the event is larger than 1 MB"});
  return text;
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  const Config& config = context.config;
  std::string url =
      fmt::format("{}/import?strict=1", without_trailing_slash(config.setting(std::string(kBaseUrl))));
  const std::string& project = config.setting(std::string(kProjectId));
  if (!project.empty()) url += "&project_id=" + percent_encoded(project);
  const std::string& user = config.secret(std::string(kUserName));
  const std::string authorization =
      user.empty() ? analytics::basic_authorization(config.secret(std::string(kProjectToken)), "")
                   : analytics::basic_authorization(user, config.secret(std::string(kPassword)));
  return analytics::post_json(std::move(url), "[" + analytics::joined(events) + "]",
                              {{"Authorization", authorization}});
}

Reply decode(std::size_t events, const HttpResponse& response) {
  if (response.status == 200) return accepted(events);
  if (response.status != 400) return judge_status(events, response);
  // The others of a refused request are in.
  const auto body = json_object(response);
  const Value* failed = member(body ? &*body : nullptr, "failed_records");
  std::vector<analytics::Culprit> culprits;
  if (failed != nullptr) {
    for (const Value& each : failed->list) {
      const auto index = integer_member(&each, "index");
      const std::string field = analytics::field_word(text_member(&each, "field"));
      culprits.push_back({index.value_or(-1), field.empty() ? "the platform does not take the event"
                                                            : "the platform does not take " + field});
    }
  }
  Reply reply = accepted(events);
  reply.code = "400";
  if (analytics::blame(reply, events, culprits)) return reply;
  return split(events, "an event is not accepted, and which is not said (HTTP 400)", "400");
}

}  // namespace tailrace::destinations::mixpanel_events_codec
