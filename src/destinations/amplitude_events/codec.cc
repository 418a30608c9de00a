#include "destinations/amplitude_events/codec.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::amplitude_events_codec {
namespace {

// What Amplitude asks its clients to wait for a throttled user or device.
constexpr Millis kThrottledFor = kSecond * 30;

bool is_listed(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    std::string_view one = names.substr(0, names.find(','));
    names.remove_prefix(std::min(one.size() + 1, names.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one == name) return true;
  }
  return false;
}

// What counts as revenue: of a refund it is given back.
void add_revenue(Value& event, const Conversion& conversion, const Config& config) {
  if (!conversion.value) return;
  const bool refund = conversion.kind == Conversion::Kind::refund;
  const bool sold = conversion.kind == Conversion::Kind::conversion &&
                    is_listed(config.setting(std::string(kRevenueEvents)), conversion.event);
  if (!refund && !sold) return;
  const Number zero = Number::integer(0);
  const bool turn = refund && *conversion.value > zero;
  event.members.emplace_back("revenue", Value::of(turn ? zero - *conversion.value : *conversion.value));
  event.members.emplace_back("revenueType", Value::of(refund ? "refund" : "purchase"));
  analytics::add_text(event, "currency", conversion.currency);
}

std::vector<std::size_t> indices(const Value* list, std::size_t events) {
  std::set<std::size_t> found;
  if (list != nullptr && list->kind == Value::Kind::list) {
    for (const Value& each : list->list) {
      const auto decimal = each.kind == Value::Kind::number ? each.number.as_decimal() : std::nullopt;
      if (decimal && decimal->scale == 0 && decimal->mantissa >= 0 &&
          static_cast<std::size_t>(decimal->mantissa) < events)
        found.insert(static_cast<std::size_t>(decimal->mantissa));
    }
  }
  return {found.begin(), found.end()};
}

bool has_members(const Value* object) { return object != nullptr && !object->members.empty(); }

// The request is refused whole; those it names are to blame.
Reply judge_invalid(std::size_t events, const Value* body) {
  const std::string missing = analytics::field_word(text_member(body, "missing_field"));
  if (missing == kApiKey || text_member(body, "error").starts_with("Invalid API key"))
    return stop("the API key is not accepted (HTTP 400)", "400");
  std::vector<analytics::Culprit> culprits;
  const auto blame_fields = [&](std::string_view list, std::string_view verb) {
    const Value* fields = member(body, list);
    if (fields == nullptr) return;
    for (const auto& [name, events_with_it] : fields->members) {
      const std::string field = analytics::field_word(name);
      for (const std::size_t index : indices(&events_with_it, events))
        culprits.push_back({static_cast<std::int64_t>(index),
                            fmt::format("the platform {} {}", verb, field.empty() ? "a field" : field)});
    }
  };
  blame_fields("events_with_invalid_fields", "does not take");
  blame_fields("events_with_missing_fields", "misses");
  for (const std::size_t index : indices(member(body, "silenced_events"), events))
    culprits.push_back({static_cast<std::int64_t>(index), "the platform has silenced this user or device"});
  Reply reply = split(events, "an event is not accepted (HTTP 400)", "400");
  if (reply.verdict != Reply::Verdict::split) {
    if (!culprits.empty()) reply.outcomes[0].reason = culprits[0].reason;
    return reply;
  }
  if (!analytics::blame(reply, events, culprits)) reply.outcomes.clear();
  return reply;
}

// Users and devices are throttled one by one; who is beyond the day's quota is not waited for.
Reply judge_throttled(std::size_t events, const HttpResponse& response, const Value* body) {
  constexpr std::string_view kReason = "users or devices are throttled (HTTP 429)";
  std::vector<std::size_t> throttled = indices(member(body, "throttled_events"), events);
  const bool beyond_quota = has_members(member(body, "exceeded_daily_quota_users")) ||
                            has_members(member(body, "exceeded_daily_quota_devices"));
  const Millis wait = retry_after(response).value_or(kThrottledFor);
  if (!throttled.empty() && throttled.size() < events) {
    Reply reply = split(events, std::string(kReason), "429");
    reply.throttled = std::move(throttled);
    reply.retry_after = wait;
    return reply;
  }
  if (beyond_quota)
    return split(events, "the user or device is beyond the platform's daily quota (HTTP 429)", "429");
  return retry(std::string(kReason), "429", wait);
}

}  // namespace

void check_connection(const Config& config, Problems& problems) {
  constexpr std::uint32_t kIdLengthMax = 100;
  check_url(config, std::string(kBaseUrl), Query::refused, problems);
  check_count(config, std::string(kMinIdLength), kIdLengthMax, problems);
}

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  const std::vector<UserValue> values = user_values(destination, conversion, config);
  std::string user = analytics::value_of(values, Field::external_id);
  std::string device = analytics::value_of(values, Field::anonymous_id);
  if (analytics::is_placeholder(user)) user.clear();
  if (analytics::is_placeholder(device)) device.clear();
  if (user.empty() && device.empty())
    return std::unexpected(Refused{"user", "no id of the person that Amplitude takes"});
  Value event = analytics::empty_object();
  analytics::add_text(event, "user_id", std::move(user));
  analytics::add_text(event, "device_id", std::move(device));
  event.members.emplace_back("event_type", Value::of(conversion.name));
  event.members.emplace_back("time", Value::of(Number::integer(conversion.at.ms)));
  event.members.emplace_back("insert_id", Value::of(conversion.message_id));
  Value properties = conversion.properties;
  if (properties.kind != Value::Kind::object) properties = analytics::empty_object();
  if (properties.find("page_url") == nullptr) analytics::add_text(properties, "page_url", conversion.url);
  event.members.emplace_back("event_properties", std::move(properties));
  add_revenue(event, conversion, config);
  analytics::add_text(event, "ip", analytics::value_of(values, Field::ip_address));
  analytics::add_text(event, "language", analytics::value_of(values, Field::locale));
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  const Config& config = context.config;
  const bool http_api = config.setting(std::string(kEndpoint)) == kHttpApi;
  std::string body = R"({"api_key":)";
  append_json_string(body, config.secret(std::string(kApiKey)));
  if (const std::string& length = config.setting(std::string(kMinIdLength)); !length.empty())
    body += fmt::format(R"(,"options":{{"min_id_length":{}}})", length);
  body += R"(,"events":[)" + analytics::joined(events) + "]}";
  return analytics::post_json(
      fmt::format("{}/{}", without_trailing_slash(config.setting(std::string(kBaseUrl))),
                  http_api ? "2/httpapi" : "batch"),
      std::move(body));
}

Reply decode(std::size_t events, const HttpResponse& response) {
  if (response.status == 200) return accepted(events);
  const auto body = json_object(response);
  const Value* said = body ? &*body : nullptr;
  if (response.status == 400) return judge_invalid(events, said);
  if (response.status == 429) return judge_throttled(events, response, said);
  return judge_status(events, response);
}

}  // namespace tailrace::destinations::amplitude_events_codec
