#include "destinations/tiktok_events/codec.h"

#include "destinations/answer.h"
#include "destinations/tiktok_api/envelope.h"
#include "model/json.h"

namespace tailrace::destinations::tiktok_events_codec {
namespace {

bool is_list(const FieldRule& rule) {
  return rule.field == Field::email || rule.field == Field::phone || rule.field == Field::external_id;
}

void add_text(Value& to, const char* name, const std::string& text) {
  if (!text.empty()) to.members.emplace_back(name, Value::of(text));
}

Value properties_of(const Conversion& conversion) {
  Value properties = Value::with(Value::Kind::object);
  add_text(properties, "currency", conversion.currency);
  if (conversion.value) properties.members.emplace_back("value", Value::of(*conversion.value));
  add_text(properties, "order_id", conversion.order_id);
  add_text(properties, "query", conversion.search);
  if (conversion.items.empty()) return properties;
  Value contents = Value::with(Value::Kind::list);
  for (const ConversionItem& item : conversion.items) {
    Value content = Value::with(Value::Kind::object);
    add_text(content, "content_id", item.id.empty() ? item.name : item.id);
    content.members.emplace_back("quantity", Value::of(item.quantity));
    if (item.price) content.members.emplace_back("price", Value::of(*item.price));
    contents.list.push_back(std::move(content));
  }
  properties.members.emplace_back("content_type", Value::of("product"));
  properties.members.emplace_back("contents", std::move(contents));
  return properties;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  if (conversion.kind != Conversion::Kind::conversion)
    return std::unexpected(Refused{"kind", "TikTok takes no refunds and cancellations"});
  Value user = user_object(destination, conversion, config, &is_list);
  if (user.members.empty()) return std::unexpected(Refused{"user", "nothing usable to match the person by"});
  Value event = Value::with(Value::Kind::object);
  event.members.emplace_back("event", Value::of(conversion.name));
  event.members.emplace_back("event_time", Value::of(Number::integer(conversion.at.ms / kSecond.count)));
  add_text(event, "event_id", conversion.id);
  event.members.emplace_back("user", std::move(user));
  Value page = Value::with(Value::Kind::object);
  add_text(page, "url", conversion.url);
  add_text(page, "referrer", conversion.referrer);
  if (!page.members.empty()) event.members.emplace_back("page", std::move(page));
  Value properties = properties_of(conversion);
  if (!properties.members.empty()) event.members.emplace_back("properties", std::move(properties));
  if (conversion.limited_data_use || config.setting(std::string(kLimitedDataUse)) == "true")
    event.members.emplace_back("limited_data_use", Value::of(true));
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  HttpRequest request = tiktok_api::request(context, "POST", "event/track/");
  std::string body = R"({"event_source":)";
  append_json_string(body, context.config.setting(std::string(kEventSource)));
  body += R"(,"event_source_id":)";
  append_json_string(body, context.config.setting(std::string(kEventSourceId)));
  if (const std::string& code = context.config.setting(std::string(kTestEventCode)); !code.empty()) {
    body += R"(,"test_event_code":)";
    append_json_string(body, code);
  }
  body += R"(,"data":[)";
  for (const std::string& event : events) {
    if (&event != events.data()) body += ',';
    body += event;
  }
  tiktok_api::set_json(request, body + "]}");
  return request;
}

Reply decode(std::size_t events, const HttpResponse& response) {
  return tiktok_api::judge(events, response, "data.");
}

}  // namespace tailrace::destinations::tiktok_events_codec
