#include "destinations/google_conversions/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/google_data_manager/codec.h"
#include "model/json.h"

namespace tailrace::destinations::google_conversions_codec {
namespace {

std::string_view event_source(Conversion::Source source) {
  switch (source) {
    case Conversion::Source::website:
      return "WEB";
    case Conversion::Source::app:
      return "APP";
    case Conversion::Source::store:
      return "IN_STORE";
    case Conversion::Source::phone_call:
      return "PHONE";
    case Conversion::Source::email:
    case Conversion::Source::chat:
      return "MESSAGE";
    case Conversion::Source::system:
    case Conversion::Source::other:
      return "OTHER";
  }
  return "OTHER";
}

bool is_click(Field field) {
  return field == Field::gclid || field == Field::gbraid || field == Field::wbraid;
}

bool is_address(Field field) {
  return field == Field::first_name || field == Field::last_name || field == Field::country ||
         field == Field::postal_code;
}

Value one(const std::string& name, Value value) {
  Value object = Value::with(Value::Kind::object);
  object.members.emplace_back(name, std::move(value));
  return object;
}

// E-mails and phones one by one, an address where all four parts of it are known; ten in all.
Value user_data(const std::vector<UserValue>& values) {
  Value identifiers = Value::with(Value::Kind::list);
  Value address = Value::with(Value::Kind::object);
  for (const UserValue& each : values) {
    if (is_click(each.rule->field)) continue;
    const std::string key(each.rule->key);
    if (!is_address(each.rule->field)) {
      identifiers.list.push_back(one(key, Value::of(each.value)));
    } else if (address.find(key) == nullptr) {
      address.members.emplace_back(key, Value::of(each.value));
    }
  }
  constexpr std::size_t kAddressParts = 4;
  constexpr std::size_t kMost = google_codec::kIdentifiersPerMemberMax;
  const bool whole = address.members.size() == kAddressParts;
  if (identifiers.list.size() > kMost - (whole ? 1 : 0)) identifiers.list.resize(kMost - (whole ? 1 : 0));
  if (whole) identifiers.list.push_back(one("address", std::move(address)));
  return identifiers;
}

Value clicks(const std::vector<UserValue>& values) {
  Value ids = Value::with(Value::Kind::object);
  for (const UserValue& each : values) {
    const std::string key(each.rule->key);
    if (is_click(each.rule->field) && ids.find(key) == nullptr)
      ids.members.emplace_back(key, Value::of(each.value));
  }
  return ids;
}

std::string_view consent_of(const std::optional<bool>& stated, const std::string& otherwise) {
  if (!stated) return otherwise;
  return *stated ? "CONSENT_GRANTED" : "CONSENT_DENIED";
}

}  // namespace

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  if (conversion.kind != Conversion::Kind::conversion)
    return std::unexpected(Refused{"kind", "refunds and cancellations go through google_adjustments"});
  const auto values = user_values(destination, conversion, config);
  Value identifiers = user_data(values);
  Value ids = clicks(values);
  if (identifiers.list.empty() && ids.members.empty())
    return std::unexpected(Refused{"user", "nothing usable to match the person by"});

  Value event = Value::with(Value::Kind::object);
  // By it Google counts once.
  const std::string& transaction = conversion.order_id.empty() ? conversion.id : conversion.order_id;
  if (!transaction.empty()) event.members.emplace_back("transactionId", Value::of(transaction));
  event.members.emplace_back("eventTimestamp", Value::of(format_time(conversion.at)));
  event.members.emplace_back("eventSource", Value::of(std::string(event_source(conversion.source))));
  if (!ids.members.empty()) event.members.emplace_back("adIdentifiers", std::move(ids));
  if (!identifiers.list.empty())
    event.members.emplace_back("userData", one("userIdentifiers", std::move(identifiers)));
  Value consent = Value::with(Value::Kind::object);
  consent.members.emplace_back(
      "adUserData", Value::of(std::string(consent_of(
                        conversion.ads_consent, config.setting(std::string(google_codec::kAdUserData))))));
  consent.members.emplace_back(
      "adPersonalization",
      Value::of(std::string(consent_of(conversion.personalisation_consent,
                                       config.setting(std::string(google_codec::kAdPersonalization))))));
  event.members.emplace_back("consent", std::move(consent));
  if (!conversion.currency.empty()) event.members.emplace_back("currency", Value::of(conversion.currency));
  if (conversion.value) event.members.emplace_back("conversionValue", Value::of(*conversion.value));
  return to_json(event);
}

HttpRequest encode(std::span<const std::string> events, const Context& context) {
  std::string body = R"({"destinations":[{)";
  google_codec::append_accounts(body, context);
  body += R"(,"productDestinationId":)";
  append_json_string(body, context.config.setting(std::string(kConversionActionId)));
  body += R"(}],"events":[)";
  for (const std::string& event : events) {
    if (&event != events.data()) body += ',';
    body += event;
  }
  body += R"(],"encoding":"HEX","validateOnly":)";
  body += context.config.setting(std::string(google_codec::kValidateOnly)) == "true" ? "true" : "false";
  body += '}';
  return google_codec::post(context, "events:ingest", std::move(body));
}

Reply decode(std::size_t events, const HttpResponse& response) {
  const std::vector<Member> members(events, Member{"", std::vector<UploadIdentifier>(1), {}});
  Batch batch;
  batch.members = members;
  return google_codec::decode(batch, response);
}

}  // namespace tailrace::destinations::google_conversions_codec
