#include "destinations/ga4_events/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/analytics/event_json.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::ga4_events_codec {
namespace {

constexpr std::size_t kParamsMax = 25;
constexpr std::size_t kNameCharactersMax = 40;
constexpr std::size_t kItemParamsMax = 10;  // of one's own, in an item
constexpr std::size_t kValueCharactersMax = 100;
// In no JSON text but where a member begins: quotes inside of texts are escaped.
constexpr std::string_view kEventsMark = R"("events":[)";

constexpr std::array<std::string_view, 28> kReservedEvents{"ad_activeview",
                                                           "ad_click",
                                                           "ad_exposure",
                                                           "ad_impression",
                                                           "ad_query",
                                                           "adunit_exposure",
                                                           "app_clear_data",
                                                           "app_install",
                                                           "app_update",
                                                           "app_remove",
                                                           "error",
                                                           "first_open",
                                                           "first_visit",
                                                           "in_app_purchase",
                                                           "notification_dismiss",
                                                           "notification_foreground",
                                                           "notification_open",
                                                           "notification_receive",
                                                           "os_update",
                                                           "screen_view",
                                                           "session_start",
                                                           "user_engagement",
                                                           "app_store_refund",
                                                           "app_store_subscription_cancel",
                                                           "app_store_subscription_convert",
                                                           "app_store_subscription_renew",
                                                           "firebase_campaign",
                                                           "app_exception"};
constexpr std::array<std::string_view, 5> kReservedEventPrefixes{"_", "firebase_", "ga_", "google_", "gtag."};
constexpr std::array<std::string_view, 3> kReservedParamPrefixes{"google_", "ga_", "firebase_"};
constexpr std::array<std::string_view, 2> kReservedParams{"firebase_conversion", "user_properties"};
// Google's terms forbid to send what tells who somebody is.
constexpr std::array<std::string_view, 8> kPersonal{"email",     "phone",    "first_name", "last_name",
                                                    "firstName", "lastName", "name_full",  "address"};
// Of an order or a product, told by members of their own.
constexpr std::array<std::string_view, 9> kTold{"products", "order_id", "orderId",    "revenue",    "total",
                                                "value",    "currency", "session_id", "checkout_id"};

struct LongValue {
  std::string_view param;
  std::size_t characters;
};
constexpr std::array kLongValues{LongValue{"page_title", 300}, LongValue{"page_referrer", 420},
                                 LongValue{"page_location", 1000}};

template <std::size_t size>
bool is_one_of(std::string_view text, const std::array<std::string_view, size>& words) {
  return std::ranges::find(words, text) != words.end();
}

template <std::size_t size>
bool begins_with_one(std::string_view text, const std::array<std::string_view, size>& prefixes) {
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return text.starts_with(prefix); });
}

// Letters, digits and underscores, a letter first; "" where there is no letter to begin with.
std::string name_of(std::string_view raw) {
  std::string name;
  for (const char c : raw) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (name.empty() && !letter) continue;
    // A character beyond ASCII is one underscore, whatever its bytes.
    const bool follows = (static_cast<unsigned char>(c) & 0xc0) == 0x80;
    if (follows) continue;
    name += letter || digit ? c : '_';
    if (name.size() == kNameCharactersMax) break;
  }
  return name;
}

class Params {
 public:
  bool has_room() const { return value_.members.size() < kParamsMax; }
  void text(std::string_view name, std::string_view text) {
    const auto found = std::ranges::find(kLongValues, name, &LongValue::param);
    const std::size_t most = found == kLongValues.end() ? kValueCharactersMax : found->characters;
    add(name, Value::of(std::string(analytics::cut(text, most))), text.empty());
  }
  void number(std::string_view name, const std::optional<Number>& number) {
    if (number) add(name, Value::of(*number), false);
  }
  void value(std::string_view name, const Value& value) {
    if (value.kind == Value::Kind::string) text(name, value.string);
    if (value.kind == Value::Kind::number || value.kind == Value::Kind::boolean) add(name, value, false);
  }
  void add(std::string_view name, Value value, bool is_missing) {
    if (is_missing || !has_room() || value_.find(name) != nullptr) return;
    value_.members.emplace_back(name, std::move(value));
  }
  Value take() { return std::move(value_); }

 private:
  Value value_ = analytics::empty_object();
};

Value item_of(const ConversionItem& item, const Value* product) {
  Value out = analytics::empty_object();
  const auto cut = [](const std::string& text) {
    return std::string(analytics::cut(text, kValueCharactersMax));
  };
  analytics::add_text(out, "item_id", cut(item.id));
  analytics::add_text(out, "item_name", cut(item.name));
  analytics::add_text(out, "item_brand", cut(item.brand));
  analytics::add_text(out, "item_category", cut(item.category));
  if (item.price) out.members.emplace_back("price", Value::of(*item.price));
  out.members.emplace_back("quantity", Value::of(item.quantity));
  if (product == nullptr) return out;
  analytics::add_text(out, "item_variant", cut(std::string(text_member(product, "variant"))));
  analytics::add_text(out, "coupon", cut(std::string(text_member(product, "coupon"))));
  if (const Value* position = member(product, "position");
      position != nullptr && position->kind == Value::Kind::number)
    out.members.emplace_back("index", *position);
  return out;
}

Value items_of(const Conversion& conversion) {
  // The products themselves, where each of them became an item.
  const Value* products = member(&conversion.properties, "products");
  const bool same = products != nullptr && products->list.size() == conversion.items.size();
  Value items = Value::with(Value::Kind::list);
  for (std::size_t i = 0; i < conversion.items.size(); ++i)
    items.list.push_back(item_of(conversion.items[i], same ? &products->list[i] : nullptr));
  return items;
}

// Where a site keeps the number of the visit.
std::string session_of(const Conversion& conversion) {
  for (const auto& [object, name] :
       {std::pair(&conversion.properties, "session_id"), std::pair(&conversion.context, "session_id"),
        std::pair(&conversion.context, "sessionId")}) {
    const Value* found = member(object, name);
    if (found != nullptr && found->kind == Value::Kind::string) return found->string;
    if (found != nullptr && found->kind == Value::Kind::number) return found->number.to_string();
  }
  return "";
}

Value params_of(const Conversion& conversion) {
  const Value& properties = conversion.properties;
  const auto property = [&](std::string_view name) {
    const Value* found = member(&properties, name);
    return found == nullptr ? Value{} : *found;
  };
  Params params;
  // Google counts purchases once by it; without an order's number the event's own id does as well.
  const bool purchase = conversion.name == "purchase";
  params.text("transaction_id",
              conversion.order_id.empty() && purchase ? conversion.id : conversion.order_id);
  params.number("value", conversion.value);
  params.text("currency", conversion.currency);
  for (const std::string_view name : {"tax", "shipping", "coupon", "affiliation"})
    params.value(name, property(name));
  params.value("payment_type", property("payment_method"));
  params.value("shipping_tier", property("shipping_method"));
  params.value("item_list_id", property("list_id"));
  params.text("search_term", conversion.search);
  params.value("promotion_id", property("promotion_id"));
  params.value("creative_name", property("creative"));
  params.text("page_location", conversion.url);
  params.text("page_referrer", conversion.referrer);
  const Value* page = member(&conversion.context, "page");
  params.text("page_title", text_member(page, "title"));
  if (const std::string session = session_of(conversion); !session.empty()) {
    params.text("session_id", session);
    params.number("engagement_time_msec", Number::integer(100));
  }
  if (!conversion.items.empty()) params.add("items", items_of(conversion), false);
  for (const auto& [raw, value] : properties.members) {
    if (is_one_of(raw, kTold) || is_one_of(raw, kPersonal)) continue;
    const std::string name = name_of(raw);
    if (name.empty() || is_one_of(name, kReservedParams) || begins_with_one(name, kReservedParamPrefixes))
      continue;
    params.value(name, value);
  }
  return params.take();
}

std::string client_id(std::span<const UserValue> values) {
  for (const Field field : {Field::ga_client_id, Field::anonymous_id}) {
    if (std::string id = analytics::value_of(values, field); !id.empty()) return id;
  }
  // A browser nobody has seen: the same one for the same person, in the form of Google's own.
  const std::string user = analytics::value_of(values, Field::external_id);
  if (user.empty()) return "";
  const Sha256 digest = sha256(user);
  const auto number = [&](std::size_t from) {
    std::uint32_t value = 0;
    for (std::size_t i = from; i < from + 4; ++i) value = value << 8 | digest[i];
    return value;
  };
  return fmt::format("{}.{}", number(0), number(4));
}

void add_consent(Value& request, const Conversion& conversion) {
  Value consent = analytics::empty_object();
  const auto add = [&](const char* name, const std::optional<bool>& given) {
    if (given) consent.members.emplace_back(name, Value::of(*given ? "GRANTED" : "DENIED"));
  };
  add("ad_user_data", conversion.ads_consent);
  add("ad_personalization", conversion.personalisation_consent);
  if (!consent.members.empty()) request.members.emplace_back("consent", std::move(consent));
}

// All of a request but its events; empty where there is nobody.
Value head_of(const EventDestination& destination, const Conversion& conversion, const Config& config) {
  const std::vector<UserValue> values = user_values(destination, conversion, config);
  Value request = analytics::empty_object();
  analytics::add_text(request, "client_id", client_id(values));
  if (request.members.empty()) return request;
  // An address would tell Google who it is, which its terms forbid.
  const std::string user = analytics::value_of(values, Field::external_id);
  if (user.find('@') == std::string::npos) analytics::add_text(request, "user_id", user);
  add_consent(request, conversion);
  return request;
}

// The validation server's own words for what it minds.
std::string first_code(const Value& messages) {
  for (const Value& each : messages.list) {
    if (std::string code = code_word(text_member(&each, "validationCode")); !code.empty()) return code;
  }
  return "INVALID";
}

}  // namespace

std::string group(const EventDestination& destination, const Conversion& conversion) {
  return to_json(head_of(destination, conversion, {}));
}

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  const std::string name = name_of(conversion.name);
  if (name.empty())
    return std::unexpected(Refused{"event", "no name is left of letters, digits and underscores"});
  if (is_one_of(name, kReservedEvents) || begins_with_one(conversion.name, kReservedEventPrefixes))
    return std::unexpected(
        Refused{"event", "a name that Google Analytics keeps for itself; map it to another"});
  // Google would count neither, and say nothing.
  const bool is_revenue = name == "purchase" || name == "refund";
  if (is_revenue && conversion.value && conversion.currency.empty())
    return std::unexpected(
        Refused{"currency", "missing beside a value; name it in the event, or `currency` in the sync"});
  if (name == "refund" && conversion.order_id.empty())
    return std::unexpected(Refused{"order_id", "missing, and a refund needs its order's"});
  Value request = head_of(destination, conversion, config);
  if (request.members.empty()) return std::unexpected(Refused{"user", "nothing to tell a visitor by"});
  Value event = analytics::empty_object();
  event.members.emplace_back("name", Value::of(name));
  event.members.emplace_back("timestamp_micros", Value::of(fmt::format("{}", conversion.at.ms * 1000)));
  event.members.emplace_back("params", params_of(conversion));
  Value events = Value::with(Value::Kind::list);
  events.list.push_back(std::move(event));
  request.members.emplace_back("events", std::move(events));
  return to_json(request);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  const Config& config = context.config;
  std::string body;
  for (const std::string& each : events) {
    const std::size_t begin = each.find(kEventsMark) + kEventsMark.size();
    if (body.empty()) {
      body = each.substr(0, each.size() - 2);
    } else {
      body += "," + each.substr(begin, each.size() - 2 - begin);
    }
  }
  body += "]}";
  const bool validate = config.setting(std::string(kMode)) == kValidate;
  return analytics::post_json(fmt::format("{}/{}?measurement_id={}&api_secret={}",
                                          without_trailing_slash(config.setting(std::string(kBaseUrl))),
                                          validate ? "debug/mp/collect" : "mp/collect",
                                          percent_encoded(config.setting(std::string(kMeasurementId))),
                                          percent_encoded(config.secret(std::string(kApiSecret)))),
                              std::move(body));
}

Reply decode(std::size_t events, const HttpResponse& response) {
  if (response.status < 200 || response.status >= 300) return judge_status(events, response);
  // Only the validation server has an opinion.
  const auto body = json_object(response);
  const Value* messages = member(body ? &*body : nullptr, "validationMessages");
  if (messages == nullptr || messages->list.empty()) return accepted(events);
  const std::string code = first_code(*messages);
  return split(events, fmt::format("the validation server minds an event ({})", code), code);
}

}  // namespace tailrace::destinations::ga4_events_codec
