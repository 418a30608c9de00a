#include <array>

#include "destinations/analytics/event_json.h"
#include "destinations/checks.h"
#include "destinations/customerio_api/track.h"
#include "destinations/event_destination.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kIdentifyBy = "identify_by";
constexpr std::string_view kConvertInstants = "convert_instants";
constexpr std::size_t kItemBytesMax = 32'000;
constexpr std::array<std::string_view, 2> kIdentifications{"id", "email"};

constexpr std::array<Setting, 7> kSettings{{
    customerio_api::kBaseUrlSetting,
    {.name = kIdentifyBy,
     .default_value = "id",
     .about = "How the workspace knows people: `id` or `email`. Who has no such identifier is told by the "
              "other, and an "
              "anonymous person by the anonymous id."},
    {.name = kConvertInstants,
     .default_value = "true",
     .about = "Whether instants in properties, written as text, are sent as seconds since 1970, as "
              "Customer.io compares "
              "dates: `true` or `false`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    customerio_api::kSiteIdSetting,
    customerio_api::kApiKeySetting,
}};

constexpr std::array kFields{
    FieldRule{Field::external_id, "id", &opaque},
    FieldRule{Field::email, "email", &email<EmailForm{}>},
    FieldRule{Field::anonymous_id, "anonymous_id", &opaque},
};

constexpr std::array kUser{Field::external_id};
constexpr std::array kEmail{Field::email};
constexpr std::array kDevice{Field::anonymous_id};
constexpr std::array<std::span<const Field>, 3> kIdentifiedBy{kUser, kEmail, kDevice};

constexpr std::string_view kAbout =
    R"(Sends events to Customer.io's Track API v2: `POST /api/v2/batch`. Events go by their own names; their properties are
the event's attributes. Page and screen views are `page` and `screen`.

**Who.** One identifier: `id` (the external id) or `email`, by `identify_by`; the other where that is missing; the
anonymous id of somebody unknown. E-mail addresses are sent as they are, in lower case.

**De-duplication.** By the event's `id`, a ULID of its time and its message id: Customer.io ignores what it has seen.

**Order.** Events of a person go one after another.

**Times.** Seconds since 1970, also in properties (`convert_instants`). Customer.io starts campaigns for events of the
last 72 hours only; older ones are kept as history.

**Errors.** A batch of which some are not accepted is answered with 207, which names them: those are dead letters with the
field that was minded. A batch that is refused whole (400) is halved until the event stands alone. 401 stops the sync.

**Limits.** 500 000 bytes and 1 000 events in a request, 32 KB in an event; larger ones are not sent, and counted. Far
beyond 1 000 requests a second Customer.io may lose data instead of saying 429, so 100 a second are sent at most.
)";

class CustomerioEvents final : public EventDestination {
 public:
  std::string_view type() const override { return "customerio_events"; }
  std::string_view platform() const override { return "customerio"; }
  std::string_view title() const override { return "Customer.io Track events"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override {
    return {.batch_records_max = 1'000, .batch_bytes_max = 500'000, .requests_per_minute = 6'000};
  }
  std::span<const EventName> events() const override { return {}; }
  EventRules rules() const override { return {.identified_by = kIdentifiedBy}; }
  bool takes_every_event() const override { return true; }
  bool keeps_order() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(customerio_api::kBaseUrl), Query::refused, problems);
    check_choice(config, std::string(kIdentifyBy), kIdentifications, problems);
    check_boolean(config, std::string(kConvertInstants), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    const std::vector<UserValue> values = user_values(*this, conversion, at.config);
    Value who = identifiers_of(values, at.config.setting(std::string(kIdentifyBy)) == "email");
    if (who.members.empty()) return std::unexpected(Refused{"user", "no identifier that Customer.io takes"});
    Value attributes = conversion.properties;
    if (attributes.kind != Value::Kind::object) attributes = analytics::empty_object();
    if (at.config.setting(std::string(kConvertInstants)) == "true")
      customerio_api::convert_instants(attributes);
    const bool page = conversion.event == "Page Viewed";
    const bool screen = conversion.event == "Screen Viewed";
    Value item = analytics::empty_object();
    item.members.emplace_back("type", Value::of("person"));
    item.members.emplace_back("action", Value::of(page ? "page" : screen ? "screen" : "event"));
    item.members.emplace_back("identifiers", std::move(who));
    item.members.emplace_back("id", Value::of(analytics::ulid_of(conversion.at, conversion.message_id)));
    item.members.emplace_back("name",
                              Value::of(page && !conversion.url.empty() ? conversion.url : conversion.name));
    item.members.emplace_back("timestamp", Value::of(Number::integer(conversion.at.ms / kSecond.count)));
    item.members.emplace_back("attributes", std::move(attributes));
    std::string text = to_json(item);
    if (text.size() > kItemBytesMax)
      return std::unexpected(Refused{"properties", "the event is larger than 32 KB"});
    return text;
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return customerio_api::post(context.config, "/api/v2/batch",
                                R"({"batch":[)" + analytics::joined(events) + "]}");
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return customerio_api::judge(events, response);
  }

 private:
  static Value identifiers_of(std::span<const UserValue> values, bool email_first) {
    const std::array kOrder{email_first ? Field::email : Field::external_id,
                            email_first ? Field::external_id : Field::email, Field::anonymous_id};
    for (const Field field : kOrder) {
      std::string value = analytics::value_of(values, field);
      if (!value.empty())
        return customerio_api::identifiers(find_rule(kFields, field)->key, std::move(value));
    }
    return analytics::empty_object();
  }
};

}  // namespace

const Destination& customerio_events() {
  static const CustomerioEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
