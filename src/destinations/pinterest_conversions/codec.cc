#include "destinations/pinterest_conversions/codec.h"

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/authentication/refresh_token.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::pinterest_conversions_codec {
namespace {

const std::string& setting(const Config& config, std::string_view name) {
  return config.setting(std::string(name));
}

std::string_view action_source(const Conversion& conversion) {
  if (conversion.source == Conversion::Source::website) return "web";
  if (conversion.source != Conversion::Source::app) return "offline";
  const bool apple =
      !conversion.user_field(Field::idfa).empty() || !conversion.user_field(Field::idfv).empty();
  return apple ? "app_ios" : "app_android";
}

bool is_list(const FieldRule& rule) { return rule.hashing != Hashing::none; }

bool is_enough(const Value& user) {
  const auto has = [&](std::string_view key) { return user.find(key) != nullptr; };
  return has("em") || has("hashed_maids") || (has("client_ip_address") && has("client_user_agent"));
}

void add_text(Value& to, const char* name, const std::string& text) {
  if (!text.empty()) to.members.emplace_back(name, Value::of(text));
}

// Counts are whole: a part of a piece (0.5 kg) counts as one.
std::int64_t pieces(const Number& quantity) {
  const std::int64_t whole =
      quantity.to_double() < 9e15 ? static_cast<std::int64_t>(quantity.to_double()) : 0;
  return Number::integer(whole) < quantity ? whole + 1 : whole;
}

// Amounts are texts, counts are numbers.
Value custom_data(const Conversion& conversion, bool limited) {
  Value data = Value::with(Value::Kind::object);
  add_text(data, "currency", conversion.currency);
  if (conversion.value) add_text(data, "value", conversion.value->to_string());
  add_text(data, "order_id", conversion.order_id);
  add_text(data, "search_string", conversion.search);
  if (!conversion.items.empty()) {
    Value contents = Value::with(Value::Kind::list);
    std::int64_t count = 0;
    for (const ConversionItem& item : conversion.items) {
      Value content = Value::with(Value::Kind::object);
      add_text(content, "id", item.id.empty() ? item.name : item.id);
      if (item.price) add_text(content, "item_price", item.price->to_string());
      content.members.emplace_back("quantity", Value::of(Number::integer(pieces(item.quantity))));
      contents.list.push_back(std::move(content));
      count += pieces(item.quantity);
    }
    data.members.emplace_back("num_items", Value::of(Number::integer(count)));
    data.members.emplace_back("contents", std::move(contents));
  }
  if (limited) data.members.emplace_back("opt_out_type", Value::of("LDP"));
  return data;
}

// {"status":"processed"} or {"status":"failed",...}, one per event, in their order.
Reply judge_events(std::size_t events, const Value& list) {
  Reply reply;
  for (const Value& each : list.list) {
    Outcome outcome;
    if (text_member(&each, "status") != "processed")
      outcome = {Outcome::Kind::rejected, "the platform refuses the event"};
    reply.outcomes.push_back(std::move(outcome));
  }
  if (reply.outcomes.size() != events)
    return retry("the answer cannot be read: not one entry per event", "unreadable");
  return reply;
}

const Value* events_of(const Value* answer) {
  const Value* list = member(answer, "events");
  return list != nullptr && list->kind == Value::Kind::list ? list : nullptr;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  if (conversion.kind != Conversion::Kind::conversion)
    return std::unexpected(Refused{"kind", "Pinterest takes no refunds and cancellations"});
  if (conversion.id.empty()) return std::unexpected(Refused{"id", "missing, and an event needs one"});
  Value user = user_object(destination, conversion, config, &is_list);
  if (!is_enough(user)) return std::unexpected(Refused{"user", "nothing usable to match the person by"});
  Value event = Value::with(Value::Kind::object);
  event.members.emplace_back("event_name", Value::of(conversion.name));
  event.members.emplace_back("action_source", Value::of(std::string(action_source(conversion))));
  event.members.emplace_back("event_time", Value::of(Number::integer(conversion.at.ms / kSecond.count)));
  event.members.emplace_back("event_id", Value::of(conversion.id));
  add_text(event, "event_source_url", conversion.url);
  if (conversion.personalisation_consent == false) event.members.emplace_back("opt_out", Value::of(true));
  event.members.emplace_back("user_data", std::move(user));
  const bool limited = conversion.limited_data_use || setting(config, kLimitedDataUse) == "true";
  Value custom = custom_data(conversion, limited);
  if (!custom.members.empty()) event.members.emplace_back("custom_data", std::move(custom));
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  const bool validates = setting(context.config, kValidateOnly) == "true";
  HttpRequest request;
  request.method = "POST";
  request.url =
      fmt::format("{}/ad_accounts/{}/events{}", without_trailing_slash(setting(context.config, kBaseUrl)),
                  percent_encoded(setting(context.config, kAdAccountId)), validates ? "?test=true" : "");
  request.headers = {{"Authorization", fmt::format("Bearer {}", refresh_token::bearer(context))},
                     {"Content-Type", "application/json"}};
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
  const Value* body = answer ? &*answer : nullptr;
  if (response.status >= 200 && response.status < 300) {
    const Value* list = events_of(body);
    if (list != nullptr) return judge_events(events, *list);
    return retry(fmt::format("the answer cannot be read (HTTP {})", response.status), "unreadable");
  }
  const auto number = integer_member(body, "code");
  const std::string code = number ? fmt::format("{}", *number) : fmt::format("{}", response.status);
  if (response.status == 422) {
    const Value* list = events_of(member(body, "details"));
    if (list == nullptr) list = events_of(body);
    if (list != nullptr && list->list.size() == events) return judge_events(events, *list);
    // What was taken counts once, so all of it again does no harm.
    return split(events, fmt::format("an event is not accepted ({})", code), code);
  }
  if (response.status == 400 && answer)
    return split(events, fmt::format("an event is not accepted ({})", code), code);
  if (response.status == 403) return stop(fmt::format("the token lacks a permission ({})", code), code);
  return judge_status(events, response);
}

}  // namespace tailrace::destinations::pinterest_conversions_codec
