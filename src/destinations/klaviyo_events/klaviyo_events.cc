#include <array>

#include "destinations/analytics/event_json.h"
#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/klaviyo_api/api.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kBackfill = "backfill";
constexpr std::size_t kMetricCharactersMax = 127;
constexpr std::size_t kPropertiesMax = 400;

constexpr std::array<Setting, 6> kSettings{{
    klaviyo_api::kBaseUrlSetting,
    klaviyo_api::kRevisionSetting,
    {.name = kBackfill,
     .scope = Setting::Scope::sync,
     .default_value = "false",
     .about = "`true` keeps events from starting flows: for a replay of the past."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    klaviyo_api::kApiKeySetting,
}};

constexpr std::array kFields{
    FieldRule{Field::external_id, "external_id", &opaque},
    FieldRule{Field::email, "email", &email<EmailForm{}>},
    FieldRule{Field::phone, "phone_number", &phone_with_plus},
    FieldRule{Field::anonymous_id, "anonymous_id", &opaque},
};

constexpr std::array<EventName, 9> kEvents{{{"Order Completed", "Placed Order"},
                                            {"Order Refunded", "Refunded Order"},
                                            {"Order Cancelled", "Cancelled Order"},
                                            {"Order Fulfilled", "Fulfilled Order"},
                                            {"Product Viewed", "Viewed Product"},
                                            {"Product Added", "Added to Cart"},
                                            {"Checkout Started", "Started Checkout"},
                                            {"Products Searched", "Searched Site"},
                                            {"Page Viewed", "Active on Site"}}};

constexpr std::array kUser{Field::external_id};
constexpr std::array kEmail{Field::email};
constexpr std::array kPhone{Field::phone};
constexpr std::array kDevice{Field::anonymous_id};
constexpr std::array<std::span<const Field>, 4> kIdentifiedBy{kUser, kEmail, kPhone, kDevice};

constexpr std::string_view kAbout =
    R"(Sends events to Klaviyo: `POST /api/event-bulk-create-jobs`. What Klaviyo has a metric of its own for goes by its name
(below); every other event by its own. The value of the event is the metric's value, in its currency.

**Who.** The profile is told by all identifiers that are known: `external_id`, `email`, `phone_number`, `anonymous_id`.
Addresses and numbers are sent as they are, not hashed. An event is no consent to be written to.

**De-duplication.** By `unique_id`, the message id, of a profile and a metric: the first counts.

**Order.** Events of a person go one after another.

**Errors.** Klaviyo refuses a request whole and points at the events it minds: those are dead letters with the field that
was minded, and the others go again. What Klaviyo finds only after it has said yes (202) it tells nobody here.

**Limits.** 1 000 events, and 5 MB, in a request; 150 requests a minute. An event has 400 properties at most: one with
more is not sent, and counted.
)";

Value typed(std::string_view type, Value attributes) {
  Value data = analytics::empty_object();
  data.members.emplace_back("type", Value::of(std::string(type)));
  data.members.emplace_back("attributes", std::move(attributes));
  Value out = analytics::empty_object();
  out.members.emplace_back("data", std::move(data));
  return out;
}

class KlaviyoEvents final : public EventDestination {
 public:
  std::string_view type() const override { return "klaviyo_events"; }
  std::string_view platform() const override { return "klaviyo"; }
  std::string_view title() const override { return "Klaviyo events"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override {
    return {.batch_records_max = 1'000, .batch_bytes_max = 5'000'000, .requests_per_minute = 150};
  }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override { return {.ahead_max = kHour, .identified_by = kIdentifiedBy}; }
  bool takes_every_event() const override { return true; }
  bool keeps_order() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    klaviyo_api::check(config, problems);
    check_boolean(config, std::string(kBackfill), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    Value profile = user_object(*this, conversion, at.config, [](const FieldRule&) { return false; });
    if (profile.members.empty()) return std::unexpected(Refused{"user", "no identifier that Klaviyo takes"});
    if (conversion.properties.members.size() > kPropertiesMax)
      return std::unexpected(Refused{"properties", "more than 400 properties"});
    Value metric = analytics::empty_object();
    analytics::add_text(metric, "name", std::string(analytics::cut(conversion.name, kMetricCharactersMax)));
    Value event = analytics::empty_object();
    event.members.emplace_back("time", Value::of(format_time(conversion.at)));
    event.members.emplace_back("unique_id", Value::of(conversion.message_id));
    if (conversion.value) event.members.emplace_back("value", Value::of(*conversion.value));
    if (conversion.value) analytics::add_text(event, "value_currency", conversion.currency);
    event.members.emplace_back("properties", conversion.properties.kind == Value::Kind::object
                                                 ? conversion.properties
                                                 : analytics::empty_object());
    event.members.emplace_back("metric", typed("metric", std::move(metric)));
    if (at.config.setting(std::string(kBackfill)) == "true")
      event.members.emplace_back("backfill", Value::of(true));
    Value one = *typed("event", std::move(event)).find("data");
    Value list = Value::with(Value::Kind::list);
    list.list.push_back(std::move(one));
    Value events = analytics::empty_object();
    events.members.emplace_back("data", std::move(list));
    Value attributes = analytics::empty_object();
    attributes.members.emplace_back("profile", typed("profile", std::move(profile)));
    attributes.members.emplace_back("events", std::move(events));
    return to_json(*typed("event-bulk-create", std::move(attributes)).find("data"));
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return klaviyo_api::post(
        context.config, "/api/event-bulk-create-jobs",
        R"({"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":[)" +
            analytics::joined(events) + "]}}}}");
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return klaviyo_api::decode(events, response, "events-bulk-create");
  }
};

}  // namespace

const Destination& klaviyo_events() {
  static const KlaviyoEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
