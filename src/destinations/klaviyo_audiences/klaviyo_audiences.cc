#include <array>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/flag_audience.h"
#include "destinations/checks.h"
#include "destinations/klaviyo_api/api.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::array<Setting, 6> kSettings{{
    klaviyo_api::kBaseUrlSetting,
    klaviyo_api::kRevisionSetting,
    analytics::kIdentifyBySetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    klaviyo_api::kApiKeySetting,
}};

constexpr std::string_view kAbout =
    R"(Tells Klaviyo who is in a segment, as a property of profiles: `POST /api/profile-bulk-import-jobs` with
`{"VIP": true}`. Make a Klaviyo segment of the property, `VIP is true`. People can be put on a list of Klaviyo's by their
addresses, but taken off only by Klaviyo's own ids, so lists are not kept here.

The property's name is the sync's audience id, or else its audience name. It is `true` for who is in and `false` for who
has left. A profile that Klaviyo does not know is made; that is no consent to be written to.

With `attributes` in the sync those are properties beside it, and are told again whenever one changes; what somebody has no
more is `null`.

**Who.** `external_id`, or `email` in lower case, by `identify_by`; not hashed.

**Errors.** Klaviyo refuses a request whole and points at the profiles it minds: those are dead letters, and the others go
again. What Klaviyo finds only after it has said yes (202) it tells nobody here. Setting a property twice changes nothing.

**Limits.** 10 000 profiles, and 5 MB, in a request; 150 requests a minute.
)";

class KlaviyoAudiences final : public analytics::FlagAudience {
 public:
  std::string_view type() const override { return "klaviyo_audiences"; }
  std::string_view platform() const override { return "klaviyo"; }
  std::string_view title() const override { return "Klaviyo profiles"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  Limits limits() const override {
    return {.batch_records_max = 10'000, .batch_bytes_max = 5'000'000, .requests_per_minute = 150};
  }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    klaviyo_api::check(config, problems);
    check_choice(config, std::string(analytics::kIdentifyBy), analytics::kIdentifications, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    const auto profiles = analytics::encode_people(batch, [&](const analytics::FlaggedPerson& person) {
      Value properties = analytics::empty_object();
      analytics::add_properties(properties, batch, context.config, person);
      Value attributes = analytics::empty_object();
      analytics::add_text(attributes, to_string(person.identifier->kind), person.identifier->value);
      attributes.members.emplace_back("properties", std::move(properties));
      Value profile = analytics::empty_object();
      analytics::add_text(profile, "type", "profile");
      profile.members.emplace_back("attributes", std::move(attributes));
      return to_json(profile);
    });
    return klaviyo_api::post(
        context.config, "/api/profile-bulk-import-jobs",
        R"({"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":[)" +
            analytics::joined(profiles) + "]}}}}");
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return analytics::to_members(klaviyo_api::decode(analytics::records_in(batch), response, "profiles"),
                                 batch);
  }
};

}  // namespace

const Destination& klaviyo_audiences() {
  static const KlaviyoAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
