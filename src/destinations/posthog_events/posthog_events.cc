#include <array>

#include "destinations/checks.h"
#include "destinations/posthog_events/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = posthog_events_codec;

constexpr std::array<Setting, 6> kSettings{{
    {.name = codec::kBaseUrl,
     .default_value = "https://us.i.posthog.com",
     .about =
         "Of projects in the EU `https://eu.i.posthog.com`; of a PostHog of one's own its address. For the "
         "sandbox: `http://127.0.0.1:9090/posthog`."},
    {.name = codec::kAnonymousProfiles,
     .default_value = "false",
     .about = "Whether events of anonymous people make person profiles, which cost more: `true` or `false`."},
    {.name = codec::kHistorical,
     .scope = Setting::Scope::sync,
     .default_value = "false",
     .about = "`true` for a replay of events older than 48 hours: PostHog's `historical_migration`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = codec::kApiKey, .required = true, .secret = true, .about = "The project's API key, `phc_...`."},
}};

constexpr std::array kFields{
    FieldRule{Field::external_id, "distinct_id", &opaque},
    FieldRule{Field::anonymous_id, "distinct_id", &opaque},
    FieldRule{Field::ip_address, "$ip", &ip_address},
};

constexpr std::array<EventName, 2> kEvents{{{"Page Viewed", "$pageview"}, {"Screen Viewed", "$screen"}}};

constexpr std::array kUser{Field::external_id};
constexpr std::array kDevice{Field::anonymous_id};
constexpr std::array<std::span<const Field>, 2> kIdentifiedBy{kUser, kDevice};

constexpr std::string_view kAbout =
    R"(Sends events to PostHog: `POST /batch/`. Events go by their own names, with their properties; page and screen views by
PostHog's.

**Who.** `distinct_id` is the person's external id, or else the anonymous id. One of more than 200 characters, which
PostHog would cut, is not sent.

**De-duplication.** By `uuid`: the message id where it is a UUID, else one that is derived from it. PostHog merges
copies when it stores them, not when they arrive. Time and bytes are the same in a resend.

**Errors.** PostHog refuses a request whole (400) and does not say which event it minds: the batch is halved until it
stands alone, and is then a dead letter. When the project is beyond its quota PostHog says 200 and drops what it was
sent; the sync then stops, and tries every five minutes. 429 and 5xx are tried again.

**Limits.** 1 000 events, and 5 MB, in a request (PostHog takes 20 MB).
)";

class PosthogEvents final : public EventDestination {
 public:
  std::string_view type() const override { return "posthog_events"; }
  std::string_view platform() const override { return "posthog"; }
  std::string_view title() const override { return "PostHog events"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1'000, .batch_bytes_max = 5'000'000}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override { return {.identified_by = kIdentifiedBy}; }
  bool takes_every_event() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_boolean(config, std::string(codec::kAnonymousProfiles), problems);
    check_boolean(config, std::string(codec::kHistorical), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    return codec::encode_event(*this, conversion, at.config);
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return codec::encode_batch(events, context.config,
                               context.config.setting(std::string(codec::kHistorical)) == "true");
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return codec::decode(events, response);
  }
};

}  // namespace

const Destination& posthog_events() {
  static const PosthogEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
