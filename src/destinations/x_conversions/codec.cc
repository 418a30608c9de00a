#include "destinations/x_conversions/codec.h"

#include <algorithm>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/text.h"
#include "destinations/x_audiences/api.h"
#include "model/json.h"

namespace tailrace::destinations::x_conversions_codec {
namespace {

// "o87ne", or whole: "tw-o8z6j-o87ne".
bool is_event_id(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::expected<std::string, Refused> event_id(const Conversion& conversion, const Config& config) {
  const auto kind = std::ranges::find(kKinds, conversion.name, &KindOfEvent::name);
  if (kind == kKinds.end()) {
    if (is_event_id(conversion.name)) return conversion.name;
    return std::unexpected(
        Refused{"event", "not an event id of X, nor one of the kinds that have a setting"});
  }
  const std::string& id = config.setting(std::string(kind->setting));
  if (id.empty())
    return std::unexpected(Refused{"event", fmt::format("X knows events by ids: set {}", kind->setting)});
  return id;
}

// One object per identifier, but the address and the browser in one: they count together only.
Value identifiers(const std::vector<UserValue>& values) {
  Value list = Value::with(Value::Kind::list);
  Value device = Value::with(Value::Kind::object);
  for (const UserValue& each : values) {
    const std::string key(each.rule->key);
    const bool of_device = each.rule->field == Field::ip_address || each.rule->field == Field::user_agent;
    if (of_device) {
      if (device.find(key) == nullptr) device.members.emplace_back(key, Value::of(each.value));
      continue;
    }
    Value one = Value::with(Value::Kind::object);
    one.members.emplace_back(key, Value::of(each.value));
    list.list.push_back(std::move(one));
  }
  if (!list.list.empty() && !device.members.empty()) list.list.push_back(std::move(device));
  return list;
}

void add_text(Value& to, const char* name, const std::string& text) {
  if (!text.empty()) to.members.emplace_back(name, Value::of(text));
}

// X takes whole counts above zero.
bool is_count(const Number& number) {
  const auto decimal = number.as_decimal();
  return decimal && decimal->scale == 0 && decimal->mantissa > 0;
}

void add_contents(Value& event, const Conversion& conversion) {
  if (conversion.items.empty()) return;
  Value contents = Value::with(Value::Kind::list);
  Number count = Number::integer(0);
  for (const ConversionItem& item : conversion.items) {
    Value content = Value::with(Value::Kind::object);
    add_text(content, "content_id", item.id);
    add_text(content, "content_name", item.name);
    add_text(content, "content_type", item.category);
    if (item.price) content.members.emplace_back("content_price", Value::of(*item.price));
    if (is_count(item.quantity)) content.members.emplace_back("num_items", Value::of(item.quantity));
    contents.list.push_back(std::move(content));
    count = count + item.quantity;
  }
  if (is_count(count)) event.members.emplace_back("number_items", Value::of(count));
  event.members.emplace_back("contents", std::move(contents));
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  if (conversion.kind != Conversion::Kind::conversion)
    return std::unexpected(Refused{"kind", "X takes no refunds and cancellations"});
  auto id = event_id(conversion, config);
  if (!id) return std::unexpected(std::move(id.error()));
  Value known = identifiers(user_values(destination, conversion, config));
  if (known.list.empty()) return std::unexpected(Refused{"user", "nothing usable to match the person by"});
  Value event = Value::with(Value::Kind::object);
  event.members.emplace_back("conversion_time", Value::of(format_time(conversion.at)));
  event.members.emplace_back("event_id", Value::of(*std::move(id)));
  event.members.emplace_back("identifiers", std::move(known));
  add_text(event, "conversion_id", conversion.id);
  if (conversion.value) {
    event.members.emplace_back("value", Value::of(conversion.value->to_string()));
    add_text(event, "price_currency", conversion.currency);
  }
  add_text(event, "description", conversion.event);
  add_contents(event, conversion);
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  std::string body = R"({"conversions":[)";
  for (const std::string& event : events) {
    if (&event != events.data()) body += ',';
    body += event;
  }
  body += "]}";
  const std::string& pixel = context.config.setting(std::string(kPixelId));
  return x_api::request(context, "POST", "measurement/conversions/" + percent_encoded(pixel),
                        std::move(body));
}

Reply decode(std::size_t events, const HttpResponse& response) {
  const auto answer = json_object(response);
  if (auto reply = x_api::judge(events, response, answer)) return *std::move(reply);
  const auto processed = integer_member(member(&*answer, "data"), "conversions_processed");
  if (!processed) return retry("the answer cannot be read: no conversions_processed", "unreadable");
  if (*processed < static_cast<std::int64_t>(events))
    return split(events, "the platform processed fewer conversions than were sent", "conversions_processed");
  return accepted(events);
}

}  // namespace tailrace::destinations::x_conversions_codec
