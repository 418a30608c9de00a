#include "destinations/reddit_conversions/codec.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/reddit_audiences/api.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::reddit_conversions_codec {
namespace {

Value empty_object() { return Value::with(Value::Kind::object); }

void add_text(Value& to, const char* name, const std::string& text) {
  if (!text.empty()) to.members.emplace_back(name, Value::of(text));
}

std::string action_source(Conversion::Source source) {
  if (source == Conversion::Source::website) return "WEBSITE";
  if (source == Conversion::Source::app) return "APP";
  if (source == Conversion::Source::store) return "PHYSICAL_STORE";
  return "OTHER";
}

Value type_of(const std::string& name) {
  Value type = empty_object();
  const bool known = std::ranges::find(kTrackingTypes, name) != kTrackingTypes.end();
  type.members.emplace_back("tracking_type", Value::of(known ? name : std::string("CUSTOM")));
  if (!known) type.members.emplace_back("custom_event_name", Value::of(name));
  return type;
}

// Limited data use, and where the person lives as far as that is known.
Value processing_options(const Conversion& conversion) {
  Value modes = Value::with(Value::Kind::list);
  modes.list.push_back(Value::of("LDU"));
  Value options = empty_object();
  options.members.emplace_back("modes", std::move(modes));
  const std::string& raw_country = conversion.user_field(Field::country);
  const auto country = country_upper(raw_country, {});
  if (!country) return options;
  options.members.emplace_back("country", Value::of(*country));
  auto state = state_code(conversion.user_field(Field::state), {.country = raw_country});
  if (state) {
    std::ranges::transform(*state, state->begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    options.members.emplace_back("region", Value::of(*country + "-" + *state));
  }
  return options;
}

// Reddit takes whole counts from zero.
bool is_count(const Number& number) {
  const auto decimal = number.as_decimal();
  return decimal && decimal->scale == 0 && decimal->mantissa >= 0;
}

Value metadata(const Conversion& conversion, const Config& config) {
  Value data = empty_object();
  const bool hashed = config.setting(std::string(kConversionId)) == kHashed;
  add_text(data, "conversion_id",
           hashed && !conversion.id.empty() ? sha256_hex(conversion.id) : conversion.id);
  add_text(data, "currency", conversion.currency);
  if (conversion.value) data.members.emplace_back("value", Value::of(*conversion.value));
  if (conversion.items.empty()) return data;
  Value products = Value::with(Value::Kind::list);
  Number count = Number::integer(0);
  for (const ConversionItem& item : conversion.items) {
    Value product = empty_object();
    add_text(product, "id", item.id);
    add_text(product, "name", item.name);
    add_text(product, "category", item.category);
    if (item.price) product.members.emplace_back("item_price", Value::of(*item.price));
    if (is_count(item.quantity)) product.members.emplace_back("quantity", Value::of(item.quantity));
    products.list.push_back(std::move(product));
    count = count + item.quantity;
  }
  if (is_count(count)) data.members.emplace_back("item_count", Value::of(count));
  data.members.emplace_back("products", std::move(products));
  return data;
}

// What the platform minds in a success, by the index it may name.
Reply judge_invalid(std::size_t events, const Value& invalid) {
  constexpr std::string_view kReason = "the platform counts the event as invalid";
  constexpr std::string_view kCode = "invalid_events";
  if (invalid.list.size() >= events) return rejected(events, std::string(kReason), std::string(kCode));
  Reply reply = accepted(events);
  reply.code = kCode;
  bool named = true;
  for (const Value& each : invalid.list) {
    const auto index = integer_member(&each, "index");
    if (index && *index >= 0 && static_cast<std::size_t>(*index) < events) {
      reply.outcomes[static_cast<std::size_t>(*index)] = {Outcome::Kind::rejected, std::string(kReason)};
    } else {
      named = false;
    }
  }
  // The rest was taken, and must not be sent again to find out: Reddit might count it twice.
  if (!named)
    reply.reason = fmt::format("{} of {} events are invalid; which is not said", invalid.list.size(), events);
  return reply;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  if (conversion.kind != Conversion::Kind::conversion)
    return std::unexpected(Refused{"kind", "Reddit takes no refunds and cancellations"});
  Value user = empty_object();
  std::string click;
  for (UserValue& each : user_values(destination, conversion, config)) {
    const std::string key(each.rule->key);
    if (each.rule->field == Field::rdt_cid) {
      if (click.empty()) click = std::move(each.value);
    } else if (user.find(key) == nullptr) {
      user.members.emplace_back(key, Value::of(std::move(each.value)));
    }
  }
  if (user.members.empty() && click.empty())
    return std::unexpected(Refused{"user", "nothing usable to match the person by"});
  if (conversion.limited_data_use)
    user.members.emplace_back("data_processing_options", processing_options(conversion));
  Value event = empty_object();
  event.members.emplace_back("event_at", Value::of(Number::integer(conversion.at.ms)));
  event.members.emplace_back("action_source", Value::of(action_source(conversion.source)));
  if (conversion.source == Conversion::Source::website) add_text(event, "event_source_url", conversion.url);
  add_text(event, "click_id", click);
  event.members.emplace_back("type", type_of(conversion.name));
  event.members.emplace_back("user", std::move(user));
  if (Value data = metadata(conversion, config); !data.members.empty())
    event.members.emplace_back("metadata", std::move(data));
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  const auto setting = [&](std::string_view name) { return context.config.setting(std::string(name)); };
  std::string body = R"({"data":{)";
  for (const auto& [key, value] :
       {std::pair{"test_id", setting(kTestId)}, std::pair{"partner", setting(kPartner)}}) {
    if (value.empty()) continue;
    append_json_string(body, key);
    body += ':';
    append_json_string(body, value);
    body += ',';
  }
  body += R"("events":[)";
  for (const std::string& event : events) {
    if (&event != events.data()) body += ',';
    body += event;
  }
  body += "]}}";
  return reddit_api::request(context, "POST",
                             fmt::format("pixels/{}/conversion_events", percent_encoded(setting(kPixelId))),
                             std::move(body));
}

Reply decode(std::size_t events, const HttpResponse& response) {
  const auto answer = json_object(response);
  if (auto reply = reddit_api::judge(events, response, answer)) return *std::move(reply);
  const Value* body = answer ? &*answer : nullptr;
  for (const Value* place : {body, member(body, "data")}) {
    const Value* invalid = member(place, "invalid_events");
    if (invalid != nullptr && !invalid->list.empty()) return judge_invalid(events, *invalid);
  }
  return accepted(events);
}

}  // namespace tailrace::destinations::reddit_conversions_codec
