#include <array>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/flag_audience.h"
#include "destinations/checks.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kBaseUrl = "base_url";
constexpr std::string_view kProjectToken = "project_token";

constexpr std::array<Setting, 4> kSettings{{
    {.name = kBaseUrl,
     .default_value = "https://api.mixpanel.com",
     .about = "Of projects in the EU `https://api-eu.mixpanel.com`, in India `https://api-in.mixpanel.com`. "
              "For the "
              "sandbox: `http://127.0.0.1:9090/mixpanel`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = kProjectToken, .required = true, .secret = true, .about = "The project's token."},
}};

constexpr std::array kIdentifiers{IdentifierKind::external_id};
constexpr std::array kFields{FieldRule{Field::external_id, "$distinct_id", &opaque}};

constexpr std::string_view kAbout =
    R"(Tells Mixpanel who is in a segment, as a property of profiles: `POST /engage` with `$set`. Mixpanel has no way to upload
the members of a cohort; make a dynamic cohort of the property, `VIP is true`.

The property's name is the sync's audience id, or else its audience name. It is `true` for who is in and `false` for who
has left; who never was in does not have it.

With `attributes` in the sync those are properties beside it, and are told again whenever one changes; what somebody has no
more is `null`.

**Who.** `$distinct_id` is the external id. Anonymous people have no profile.

**Errors.** Mixpanel answers 200 and says in the body whether it took the request (`verbose`); a request that it did not
take is halved until the person stands alone, and is then a dead letter. Setting a property twice changes nothing.

**Limits.** 2 000 profiles in a request.
)";

class MixpanelAudiences final : public analytics::FlagAudience {
 public:
  std::string_view type() const override { return "mixpanel_audiences"; }
  std::string_view platform() const override { return "mixpanel"; }
  std::string_view title() const override { return "Mixpanel profiles"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 2'000, .batch_bytes_max = 2'000'000}; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(kBaseUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    const Config& config = context.config;
    const auto updates = analytics::encode_people(batch, [&](const analytics::FlaggedPerson& person) {
      Value set = analytics::empty_object();
      analytics::add_properties(set, batch, config, person);
      Value update = analytics::empty_object();
      analytics::add_text(update, "$token", config.secret(std::string(kProjectToken)));
      analytics::add_text(update, "$distinct_id", person.identifier->value);
      update.members.emplace_back("$set", std::move(set));
      return to_json(update);
    });
    return analytics::post_json(fmt::format("{}/engage?ip=0&strict=1&verbose=1",
                                            without_trailing_slash(config.setting(std::string(kBaseUrl)))),
                                "[" + analytics::joined(updates) + "]");
  }

  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    if (response.status == 400) return split(batch, "an update is not accepted (HTTP 400)", "400");
    if (response.status != 200) return judge_status(batch, response);
    const auto body = json_object(response);
    const auto status = integer_member(body ? &*body : nullptr, "status");
    if (status == 1 || response.body == "1") return accepted(batch);
    if (status == 0 || response.body == "0") return split(batch, "an update is not accepted", "0");
    return judge_status(batch, response);
  }
};

}  // namespace

const Destination& mixpanel_audiences() {
  static const MixpanelAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
