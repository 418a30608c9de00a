#include "destinations/snapchat_conversions/codec.h"

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::snapchat_conversions_codec {
namespace {

const std::string& setting(const Config& config, std::string_view name) {
  return config.setting(std::string(name));
}

std::string_view action_source(Conversion::Source source) {
  if (source == Conversion::Source::website) return "WEB";
  return source == Conversion::Source::app ? "MOBILE_APP" : "OFFLINE";
}

bool is_list(const FieldRule& rule) {
  return rule.field == Field::email || rule.field == Field::phone || rule.field == Field::external_id;
}

// What em, ph and madid are, or the address with the user agent: without one of them "Insufficient PII".
bool is_enough(const Value& user) {
  const auto has = [&](std::string_view key) { return user.find(key) != nullptr; };
  return has("em") || has("ph") || has("madid") || (has("client_ip_address") && has("client_user_agent"));
}

void add_text(Value& to, const char* name, const std::string& text) {
  if (!text.empty()) to.members.emplace_back(name, Value::of(text));
}

// Amounts and quantities are texts.
Value custom_data(const Conversion& conversion) {
  Value data = Value::with(Value::Kind::object);
  add_text(data, "currency", conversion.currency);
  if (conversion.value) add_text(data, "value", conversion.value->to_string());
  add_text(data, "order_id", conversion.order_id);
  add_text(data, "search_string", conversion.search);
  if (conversion.items.empty()) return data;
  Value contents = Value::with(Value::Kind::list);
  Number count = Number::integer(0);
  for (const ConversionItem& item : conversion.items) {
    Value content = Value::with(Value::Kind::object);
    add_text(content, "id", item.id.empty() ? item.name : item.id);
    add_text(content, "quantity", item.quantity.to_string());
    if (item.price) add_text(content, "item_price", item.price->to_string());
    contents.list.push_back(std::move(content));
    count = count + item.quantity;
  }
  data.members.emplace_back("num_items", Value::of(count));
  data.members.emplace_back("contents", std::move(contents));
  return data;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  if (conversion.kind != Conversion::Kind::conversion)
    return std::unexpected(Refused{"kind", "Snapchat takes no refunds and cancellations"});
  if (conversion.source == Conversion::Source::website && conversion.url.empty())
    return std::unexpected(Refused{"url", "missing, and an event of a website needs the page's address"});
  Value user = user_object(destination, conversion, config, &is_list);
  if (!is_enough(user)) return std::unexpected(Refused{"user", "nothing usable to match the person by"});
  Value event = Value::with(Value::Kind::object);
  event.members.emplace_back("event_name", Value::of(conversion.name));
  event.members.emplace_back("event_time", Value::of(Number::integer(conversion.at.ms / kSecond.count)));
  add_text(event, "event_id", conversion.id);
  event.members.emplace_back("action_source", Value::of(std::string(action_source(conversion.source))));
  add_text(event, "event_source_url", conversion.url);
  event.members.emplace_back("user_data", std::move(user));
  Value custom = custom_data(conversion);
  if (!custom.members.empty()) event.members.emplace_back("custom_data", std::move(custom));
  if (conversion.limited_data_use || setting(config, kLimitedDataUse) == "true") {
    Value options = Value::with(Value::Kind::list);
    options.list.push_back(Value::of("LDU"));
    event.members.emplace_back("data_processing_options", std::move(options));
    // The United States, and every state of theirs.
    event.members.emplace_back("data_processing_options_country", Value::of(Number::integer(1)));
    event.members.emplace_back("data_processing_options_state", Value::of(Number::integer(1000)));
  }
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  const bool validates = setting(context.config, kValidateOnly) == "true";
  HttpRequest request;
  request.method = "POST";
  request.url =
      fmt::format("{}/{}/events{}?access_token={}", without_trailing_slash(setting(context.config, kBaseUrl)),
                  percent_encoded(setting(context.config, kAssetId)), validates ? "/validate" : "",
                  percent_encoded(context.config.secret(std::string(kAccessToken))));
  request.headers = {{"Content-Type", "application/json"}};
  request.body = R"({"data":[)";
  for (const std::string& event : events) {
    if (&event != events.data()) request.body += ',';
    request.body += event;
  }
  request.body += "]}";
  return request;
}

Reply decode(std::size_t events, const HttpResponse& response) {
  const auto answer = json_object(response);
  const bool good = response.status >= 200 && response.status < 300;
  const std::string status = code_word(text_member(answer ? &*answer : nullptr, "status"));
  if (good && (status == "VALID" || status == "SUCCESS")) return accepted(events);
  if (good && status.empty())
    return retry(fmt::format("the answer cannot be read (HTTP {})", response.status), "unreadable");
  // One event makes the request fail, and the answer does not say which.
  if (good || (response.status == 400 && answer)) {
    const std::string code = status.empty() ? fmt::format("{}", response.status) : status;
    return split(events, fmt::format("an event is not accepted ({})", code), code);
  }
  return judge_status(events, response);
}

}  // namespace tailrace::destinations::snapchat_conversions_codec
