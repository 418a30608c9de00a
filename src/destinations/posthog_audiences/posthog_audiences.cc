#include <array>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/flag_audience.h"
#include "destinations/checks.h"
#include "destinations/posthog_events/codec.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

namespace codec = posthog_events_codec;

constexpr std::array<Setting, 4> kSettings{{
    {.name = codec::kBaseUrl,
     .default_value = "https://us.i.posthog.com",
     .about =
         "Of projects in the EU `https://eu.i.posthog.com`; of a PostHog of one's own its address. For the "
         "sandbox: `http://127.0.0.1:9090/posthog`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = codec::kApiKey, .required = true, .secret = true, .about = "The project's API key, `phc_...`."},
}};

constexpr std::array kIdentifiers{IdentifierKind::external_id};
constexpr std::array kFields{FieldRule{Field::external_id, "distinct_id", &opaque}};

constexpr std::string_view kAbout =
    R"(Tells PostHog who is in a segment, as a property of persons: `$identify` events with `$set`, by `POST /batch/`. A
project's key cannot upload the members of a cohort; make a dynamic cohort of the property, `VIP = true`.

The property's name is the sync's audience id, or else its audience name. It is `true` for who is in and `false` for who
has left; who never was in does not have it.

With `attributes` in the sync those are properties beside it, and are told again whenever one changes; what somebody has no
more is `null`.

**Who.** `distinct_id` is the external id.

**De-duplication.** By a `uuid` that a request has again when it is sent again; after a crash a change may come in another request, with
another `uuid`.

**Errors.** As of `posthog_events`: a batch that is refused is halved until the person stands alone; beyond the billing
quota the sync stops.

**Limits.** 1 000 people in a request.
)";

class PosthogAudiences final : public analytics::FlagAudience {
 public:
  std::string_view type() const override { return "posthog_audiences"; }
  std::string_view platform() const override { return "posthog"; }
  std::string_view title() const override { return "PostHog persons"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1'000, .batch_bytes_max = 5'000'000}; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    const auto events = analytics::encode_people(batch, [&](const analytics::FlaggedPerson& person) {
      Value set = analytics::empty_object();
      analytics::add_properties(set, batch, context.config, person);
      Value properties = analytics::empty_object();
      properties.members.emplace_back("$set", std::move(set));
      properties.members.emplace_back("$geoip_disable", Value::of(true));
      Value event = analytics::empty_object();
      analytics::add_text(event, "event", "$identify");
      analytics::add_text(event, "distinct_id", person.identifier->value);
      analytics::add_text(event, "uuid", analytics::uuid_of(analytics::change_id(batch, person)));
      analytics::add_text(event, "timestamp", format_time(person.member->changed_at));
      event.members.emplace_back("properties", std::move(properties));
      return to_json(event);
    });
    return codec::encode_batch(events, context.config, false);
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return codec::decode(batch, response);
  }
};

}  // namespace

const Destination& posthog_audiences() {
  static const PosthogAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
