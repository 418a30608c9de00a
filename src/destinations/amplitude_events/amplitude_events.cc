#include <array>

#include "destinations/amplitude_events/codec.h"
#include "destinations/checks.h"

namespace tailrace::destinations {
namespace {

namespace codec = amplitude_events_codec;

constexpr std::array<std::string_view, 2> kEndpoints{"batch", codec::kHttpApi};

constexpr std::array<Setting, 7> kSettings{{
    codec::kBaseUrlSetting,
    {.name = codec::kEndpoint,
     .default_value = "batch",
     .about =
         "`batch` (1 000 events a second of a user) or `httpapi` (HTTP V2: 30 events a second of a user)."},
    codec::kMinIdLengthSetting,
    {.name = codec::kRevenueEvents,
     .scope = Setting::Scope::sync,
     .default_value = "Order Completed",
     .about = "Events, by our names and parted by commas, whose value is revenue. Refunds are revenue that "
              "is given "
              "back, whatever stands here."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    codec::kApiKeySetting,
}};

constexpr std::array kFields{
    FieldRule{Field::external_id, "user_id", &opaque},
    FieldRule{Field::anonymous_id, "device_id", &opaque},
    FieldRule{Field::ip_address, "ip", &ip_address},
    FieldRule{Field::locale, "language", &opaque},
};

constexpr std::array kUser{Field::external_id};
constexpr std::array kDevice{Field::anonymous_id};
constexpr std::array<std::span<const Field>, 2> kIdentifiedBy{kUser, kDevice};

constexpr std::string_view kAbout =
    R"(Sends events to Amplitude: `POST /batch`, or `/2/httpapi` (HTTP V2). Every event goes by its own name, with its
properties.

**Who.** `user_id` is the person's external id, `device_id` the anonymous id. Ids that stand in everybody's place
(`null`, `undefined`, `0`, ...), for which Amplitude refuses a whole request, are not sent.

**De-duplication.** By `insert_id`, the message id, of a device within 7 days. A resend is the same bytes.

**Revenue.** The value of the events named in `revenue_events` is sent as `revenue`. Of `Order Refunded` (and of what
the sync's `kind` calls a refund) it is negative. A cancelled order is an event without revenue.

**Throttled users.** Amplitude throttles single users and devices and names their events: those wait half a minute in
a request of their own, and the others go at once. Events of whoever is beyond the day's quota become dead letters.

**Errors.** Amplitude refuses a request whole (400) and names the events with a bad or missing field: those are
dead letters, and the others go again. 5xx are tried again. A key that is not accepted stops the sync.

**Limits.** 1 000 events, and 1 MB, in a request. Strings are cut at 1 024 characters by Amplitude.
)";

class AmplitudeEvents final : public EventDestination {
 public:
  std::string_view type() const override { return "amplitude_events"; }
  std::string_view platform() const override { return "amplitude"; }
  std::string_view title() const override { return "Amplitude events"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1'000, .batch_bytes_max = 1'000'000}; }
  std::span<const EventName> events() const override { return {}; }
  EventRules rules() const override { return {.identified_by = kIdentifiedBy}; }
  bool takes_every_event() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    codec::check_connection(config, problems);
    check_choice(config, std::string(codec::kEndpoint), kEndpoints, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    return codec::encode_event(*this, conversion, at.config);
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return codec::encode(events, context);
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return codec::decode(events, response);
  }
};

}  // namespace

const Destination& amplitude_events() {
  static const AmplitudeEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
