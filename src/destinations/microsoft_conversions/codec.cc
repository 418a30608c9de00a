#include "destinations/microsoft_conversions/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::microsoft_conversions_codec {
namespace {

Value empty_object() { return Value::with(Value::Kind::object); }

void add_text(Value& to, const char* name, const std::string& text) {
  if (!text.empty()) to.members.emplace_back(name, Value::of(text));
}

bool is_of_device(Field field) { return field == Field::ip_address || field == Field::user_agent; }

struct User {
  Value data = empty_object();
  bool matchable = false;  // has one of what Microsoft asks for
};

User user_data(const EventDestination& destination, const Conversion& conversion, const Config& config) {
  User user;
  for (UserValue& each : user_values(destination, conversion, config)) {
    const std::string key(each.rule->key);
    // It must say nothing of the person by itself.
    const bool telling = each.rule->field == Field::external_id && each.value.find('@') != std::string::npos;
    if (telling || user.data.find(key) != nullptr) continue;
    user.matchable = user.matchable || !is_of_device(each.rule->field);
    user.data.members.emplace_back(key, Value::of(std::move(each.value)));
  }
  return user;
}

Value custom_data(const Conversion& conversion) {
  Value data = empty_object();
  if (conversion.value) data.members.emplace_back("value", Value::of(*conversion.value));
  add_text(data, "currency", conversion.currency);
  add_text(data, "transactionId", conversion.order_id);
  if (conversion.items.empty()) return data;
  Value ids = Value::with(Value::Kind::list);
  Value items = Value::with(Value::Kind::list);
  for (const ConversionItem& item : conversion.items) {
    if (!item.id.empty()) ids.list.push_back(Value::of(item.id));
    Value one = empty_object();
    add_text(one, "id", item.id);
    add_text(one, "name", item.name);
    if (item.price) one.members.emplace_back("price", Value::of(*item.price));
    one.members.emplace_back("quantity", Value::of(item.quantity));
    items.list.push_back(std::move(one));
  }
  if (!ids.list.empty()) data.members.emplace_back("itemIds", std::move(ids));
  data.members.emplace_back("items", std::move(items));
  return data;
}

// Microsoft's words for what is wrong with a field; any other text of its is not shown.
std::string error_word(std::string_view text) {
  constexpr std::array<std::string_view, 5> kKnown{"InvalidEnumValue", "Empty", "InvalidUrl", "InvalidSha256",
                                                   "InvalidEventTime"};
  const auto found = std::ranges::find(kKnown, text);
  return found == kKnown.end() ? "invalid" : std::string(*found);
}

bool is_warning(const Value& detail) {
  const Value* warning = member(&detail, "isWarning");
  return warning != nullptr && warning->kind == Value::Kind::boolean && warning->boolean;
}

// The events that error.details lays an error to; of those it lists, ten at most.
struct Culprits {
  std::vector<Outcome> outcomes;  // one per event
  std::size_t count = 0;
};

Culprits read_culprits(std::size_t events, const Value* error) {
  Culprits culprits{.outcomes = std::vector<Outcome>(events)};
  const Value* details = member(error, "details");
  if (details == nullptr) return culprits;
  for (const Value& detail : details->list) {
    const auto index = integer_member(&detail, "index");
    if (is_warning(detail) || !index || *index < 0 || static_cast<std::size_t>(*index) >= events) continue;
    Outcome& outcome = culprits.outcomes[static_cast<std::size_t>(*index)];
    if (outcome.kind == Outcome::Kind::rejected) continue;
    outcome = {Outcome::Kind::rejected, fmt::format("the platform counts the event as invalid ({})",
                                                    error_word(text_member(&detail, "errorCode")))};
    ++culprits.count;
  }
  return culprits;
}

// Some of the events are at fault. The rest was not taken (400), or counts once however often it is sent.
Reply judge_culprits(std::size_t events, const Value* error, std::string_view code) {
  Culprits culprits = read_culprits(events, error);
  if (culprits.count == events && events > 0) {
    Reply reply = accepted(events);
    reply.code = code;
    reply.outcomes = std::move(culprits.outcomes);
    return reply;
  }
  Reply reply = split(events, "the platform counts events as invalid", std::string(code));
  if (reply.verdict == Reply::Verdict::split && culprits.count > 0)
    reply.outcomes = std::move(culprits.outcomes);
  return reply;
}

Reply judge_success(std::size_t events, const Value& answer) {
  const auto received = integer_member(&answer, "eventsReceived");
  if (!received) return retry("the answer cannot be read: no eventsReceived", "unreadable");
  if (*received >= static_cast<std::int64_t>(events)) return accepted(events);
  const Value* error = member(&answer, "error");
  Culprits culprits = read_culprits(events, error);
  // Only the first ten are listed: what is missing there is no proof of success.
  const bool all_named = static_cast<std::int64_t>(events - culprits.count) == *received;
  if (!all_named) return judge_culprits(events, error, "eventsReceived");
  Reply reply = accepted(events);
  reply.code = "eventsReceived";
  reply.outcomes = std::move(culprits.outcomes);
  return reply;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  if (conversion.kind != Conversion::Kind::conversion)
    return std::unexpected(Refused{"kind", "the Conversions API takes no refunds and cancellations"});
  User user = user_data(destination, conversion, config);
  if (!user.matchable) return std::unexpected(Refused{"user", "nothing usable to match the person by"});
  const bool page_load = conversion.name == kPageLoad;
  Value event = empty_object();
  event.members.emplace_back("eventType", Value::of(page_load ? "pageLoad" : "custom"));
  add_text(event, "eventId", conversion.id);
  if (!page_load) event.members.emplace_back("eventName", Value::of(conversion.name));
  event.members.emplace_back("eventTime", Value::of(Number::integer(conversion.at.ms / kSecond.count)));
  add_text(event, "eventSourceUrl", conversion.url);
  add_text(event, "adStorageConsent",
           conversion.ads_consent == true ? "G" : config.setting(std::string(kAdStorageConsent)));
  event.members.emplace_back("userData", std::move(user.data));
  if (Value data = custom_data(conversion); !data.members.empty())
    event.members.emplace_back("customData", std::move(data));
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  const auto setting = [&](std::string_view name) { return context.config.setting(std::string(name)); };
  HttpRequest request;
  request.method = "POST";
  request.url = fmt::format("{}/v1/{}/events", without_trailing_slash(setting(kBaseUrl)),
                            percent_encoded(setting(kTagId)));
  request.headers = {{"Authorization", "Bearer " + context.config.secret(std::string(kAccessToken))},
                     {"Content-Type", "application/json"}};
  request.body = R"({"data":[)";
  for (const std::string& event : events) {
    if (&event != events.data()) request.body += ',';
    request.body += event;
  }
  // Whole or not at all: so nothing is counted twice when the rest is sent again.
  request.body += R"(],"continueOnValidationError":false)";
  if (const std::string provider = setting(kDataProvider); !provider.empty()) {
    request.body += R"(,"dataProvider":)";
    append_json_string(request.body, provider);
  }
  request.body += '}';
  return request;
}

Reply decode(std::size_t events, const HttpResponse& response) {
  const auto answer = json_object(response);
  const bool good = response.status >= 200 && response.status < 300;
  if (good && answer) return judge_success(events, *answer);
  if (response.status == 400 && answer) return judge_culprits(events, member(&*answer, "error"), "400");
  if (response.status == 400) return retry("the answer cannot be read (HTTP 400)", "unreadable");
  if (response.status == 401) return stop("the tag's token is not accepted (HTTP 401)", "401");
  return judge_status(events, response);
}

}  // namespace tailrace::destinations::microsoft_conversions_codec
