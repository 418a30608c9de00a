#include "destinations/linkedin_conversions/codec.h"

#include <algorithm>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/linkedin_api/rest.h"
#include "model/json.h"

namespace tailrace::destinations::linkedin_conversions_codec {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The rule an event counts for: its number where the sync maps the event to one, else the sync's own.
std::string rule_of(const Conversion& conversion, const Config& config) {
  return is_number(conversion.name) ? conversion.name : config.setting(std::string(kConversionId));
}

bool is_user_id(Field field) {
  return field == Field::email || field == Field::li_fat_id || field == Field::aaid;
}

struct User {
  Value ids = Value::with(Value::Kind::list);
  Value info = Value::with(Value::Kind::object);
  Value external_ids = Value::with(Value::Kind::list);  // one at most

  bool has_name() const { return info.find("firstName") != nullptr && info.find("lastName") != nullptr; }
};

User user_of(const EventDestination& destination, const Conversion& conversion, const Config& config) {
  User user;
  for (UserValue& each : user_values(destination, conversion, config)) {
    const std::string key(each.rule->key);
    if (is_user_id(each.rule->field)) {
      Value id = Value::with(Value::Kind::object);
      id.members.emplace_back("idType", Value::of(key));
      id.members.emplace_back("idValue", Value::of(std::move(each.value)));
      user.ids.list.push_back(std::move(id));
    } else if (each.rule->field == Field::external_id) {
      if (user.external_ids.list.empty()) user.external_ids.list.push_back(Value::of(std::move(each.value)));
    } else if (user.info.find(key) == nullptr) {
      user.info.members.emplace_back(key, Value::of(std::move(each.value)));
    }
  }
  return user;
}

// The n of every "Index: <n>, ERROR :: <why>" in the message of a 422; the texts are not read.
std::vector<std::size_t> indexes_in(std::string_view message) {
  constexpr std::string_view kIndex = "Index: ";
  std::vector<std::size_t> indexes;
  for (std::size_t at = message.find(kIndex); at != std::string_view::npos; at = message.find(kIndex, at)) {
    at += kIndex.size();
    std::size_t index = 0;
    std::size_t digits = 0;
    for (; digits < 6 && at < message.size() && message[at] >= '0' && message[at] <= '9'; ++at, ++digits)
      index = index * 10 + static_cast<std::size_t>(message[at] - '0');
    // A message that was cut may end within a number.
    if (digits > 0 && at < message.size() && message[at] == ',') indexes.push_back(index);
  }
  return indexes;
}

// One bad event makes LinkedIn refuse all; where it says which, they are named and the rest is sent again.
Reply judge_named(std::size_t events, const Value& body) {
  constexpr std::string_view kReason = "an event is not accepted (HTTP 422)";
  Reply named = split(events, std::string(kReason), "422");
  if (named.verdict != Reply::Verdict::split) return named;
  const std::vector<std::size_t> indexes = indexes_in(text_member(&body, "message"));
  if (indexes.empty() || std::ranges::any_of(indexes, [&](std::size_t each) { return each >= events; }))
    return named;
  named.outcomes.resize(events);
  for (const std::size_t index : indexes)
    named.outcomes[index] = {Outcome::Kind::rejected, std::string(kReason)};
  const bool all = std::ranges::all_of(
      named.outcomes, [](const Outcome& each) { return each.kind == Outcome::Kind::rejected; });
  return all ? rejected(events, std::string(kReason), "422") : named;
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  if (conversion.kind != Conversion::Kind::conversion)
    return std::unexpected(Refused{"kind", "LinkedIn takes no refunds and cancellations"});
  const std::string rule = rule_of(conversion, config);
  if (rule.empty())
    return std::unexpected(
        Refused{"event", "no conversion rule; set `conversion_id`, or map the event to the number of one"});
  User user = user_of(destination, conversion, config);
  if (user.ids.list.empty() && !user.has_name())
    return std::unexpected(Refused{"user", "nothing usable to match the person by"});

  Value event = Value::with(Value::Kind::object);
  event.members.emplace_back("conversion", Value::of("urn:lla:llaPartnerConversion:" + rule));
  event.members.emplace_back("conversionHappenedAt", Value::of(Number::integer(conversion.at.ms)));
  if (conversion.value) {
    Value value = Value::with(Value::Kind::object);
    value.members.emplace_back("currencyCode", Value::of(conversion.currency));
    value.members.emplace_back("amount", Value::of(conversion.value->to_string()));
    event.members.emplace_back("conversionValue", std::move(value));
  }
  if (!conversion.id.empty()) event.members.emplace_back("eventId", Value::of(conversion.id));
  Value person = Value::with(Value::Kind::object);
  person.members.emplace_back("userIds", std::move(user.ids));
  if (user.has_name()) person.members.emplace_back("userInfo", std::move(user.info));
  if (!user.external_ids.list.empty())
    person.members.emplace_back("externalIds", std::move(user.external_ids));
  event.members.emplace_back("user", std::move(person));
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  std::string body = R"({"elements":[)";
  for (const std::string& event : events) {
    if (&event != events.data()) body += ',';
    body += event;
  }
  return linkedin_api::batch_request(context, "conversionEvents", body + "]}");
}

Reply decode(std::size_t events, const HttpResponse& response) {
  const auto answer = json_object(response);
  const Value* body = answer ? &*answer : nullptr;
  if (response.status >= 200 && response.status < 300) return linkedin_api::judge_elements(events, body);
  if (response.status == 422 && body != nullptr) return judge_named(events, *body);
  return linkedin_api::judge_failure(events, response, body);
}

}  // namespace tailrace::destinations::linkedin_conversions_codec
