#include <array>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/flag_audience.h"
#include "destinations/braze_api/track.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kList = "attributes";
constexpr std::string_view kCreatePeople = "create_people";

constexpr std::array<Setting, 6> kSettings{{
    braze_api::kBaseUrlSetting,
    analytics::kIdentifyBySetting,
    {.name = kCreatePeople,
     .default_value = "false",
     .about = "Whether people Braze does not know are made known to it: `true` or `false`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    braze_api::kApiKeySetting,
}};

constexpr std::string_view kAbout =
    R"(Tells Braze who is in a segment, as a custom attribute: `POST /users/track` with `{"VIP": true}`. Make a Braze segment
of the attribute, `VIP is true`. Uploading the members of a Braze cohort is for Braze's partners only.

The attribute's name is the sync's audience id, or else its audience name. It is `true` for who is in and `false` for who
has left; who never was in does not have it. Braze bills what is written: only changes are.

With `attributes` in the sync those are properties beside it, and are told again whenever one changes; what somebody has no
more is `null`.

**Who.** `external_id`, or `email` in lower case, by `identify_by`; not hashed.

**Errors.** Braze takes what it can of a request and names the others in `errors`: those are dead letters. Setting an
attribute twice changes nothing.

**Limits.** 75 people in a request; 3 000 requests in 3 seconds.
)";

class BrazeAudiences final : public analytics::FlagAudience {
 public:
  std::string_view type() const override { return "braze_audiences"; }
  std::string_view platform() const override { return "braze"; }
  std::string_view title() const override { return "Braze attributes"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  Limits limits() const override {
    return {.batch_records_max = braze_api::kObjectsMax,
            .batch_bytes_max = braze_api::kBytesMax,
            .requests_per_minute = braze_api::kRequestsPerMinute};
  }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(braze_api::kBaseUrl), Query::refused, problems);
    check_token(config, std::string(braze_api::kApiKey), problems);
    check_choice(config, std::string(analytics::kIdentifyBy), analytics::kIdentifications, problems);
    check_boolean(config, std::string(kCreatePeople), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    const bool existing = context.config.setting(std::string(kCreatePeople)) != "true";
    const auto people = analytics::encode_people(batch, [&](const analytics::FlaggedPerson& person) {
      Value attributes = analytics::empty_object();
      analytics::add_text(attributes, to_string(person.identifier->kind), person.identifier->value);
      attributes.members.emplace_back("_update_existing_only", Value::of(existing));
      analytics::add_properties(attributes, batch, context.config, person);
      return to_json(attributes);
    });
    return braze_api::encode(kList, people, context.config);
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return analytics::to_members(braze_api::decode(kList, analytics::records_in(batch), response), batch);
  }
};

}  // namespace

const Destination& braze_audiences() {
  static const BrazeAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
