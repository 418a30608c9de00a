#include <array>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/flag_audience.h"
#include "destinations/checks.h"
#include "destinations/customerio_api/track.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kAppUrl = "app_base_url";
constexpr std::string_view kAppKey = "app_api_key";

constexpr std::array<Setting, 8> kSettings{{
    customerio_api::kBaseUrlSetting,
    {.name = kAppUrl,
     .default_value = "https://api.customer.io",
     .about = "Of accounts in the EU `https://api-eu.customer.io`. For the sandbox: "
              "`http://127.0.0.1:9090/customerio/app`."},
    analytics::kIdentifyBySetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    customerio_api::kSiteIdSetting,
    customerio_api::kApiKeySetting,
    {.name = kAppKey,
     .secret = true,
     .about = "An App API key, by which the manual segment is made. Not needed where the sync names its "
              "audience id."},
}};

constexpr std::array kFields{
    FieldRule{Field::external_id, "id", &opaque},
    FieldRule{Field::email, "email", &email<EmailForm{}>},
};

constexpr std::string_view kAbout =
    R"(Keeps a manual segment of Customer.io: `POST /api/v1/segments/{id}/add_customers` and `remove_customers` of the Track
API. The sync's audience id is the segment's number (in its address in Customer.io); without one a segment is made, by
the App API.

**Who.** `id` (the external id), or `email` in lower case, by `identify_by`. Whoever Customer.io does not know is passed
over without a word: send people there first. Customer.io's documents say that workspaces that know people by both id and
e-mail cannot use this call, and describe its `id_type` for both: **unconfirmed**.

**Errors.** Adding and removing may be repeated. A request that is refused (400) is halved until the person stands alone,
and is then a dead letter. A segment that is not there (404) stops the sync.

**Limits.** 1 000 people in a request.
)";

class CustomerioSegments final : public analytics::FlagAudience {
 public:
  std::string_view type() const override { return "customerio_segments"; }
  std::string_view platform() const override { return "customerio"; }
  std::string_view title() const override { return "Customer.io segments"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override {
    return {.batch_records_max = 1'000, .batch_bytes_max = 500'000, .requests_per_minute = 6'000};
  }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(customerio_api::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(kAppUrl), Query::refused, problems);
    check_token(config, std::string(kAppKey), problems);
    check_choice(config, std::string(analytics::kIdentifyBy), analytics::kIdentifications, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_create(const Context& context) const override {
    const Config& config = context.config;
    Value segment = analytics::empty_object();
    analytics::add_text(segment, "name", config.audience_name);
    analytics::add_text(segment, "description", config.audience_description);
    Value body = analytics::empty_object();
    body.members.emplace_back("segment", std::move(segment));
    return analytics::post_json(
        fmt::format("{}/v1/segments", without_trailing_slash(config.setting(std::string(kAppUrl)))),
        to_json(body), {{"Authorization", "Bearer " + config.secret(std::string(kAppKey))}});
  }
  Result<std::string> decode_create(const HttpResponse& response) const override {
    if (response.status == 401)
      return invalid(
          "no manual segment is made: app_api_key is not accepted; or name the segment as audience_id");
    if (response.status < 200 || response.status >= 300)
      return failed("the manual segment", judge_status(std::size_t{0}, response));
    const auto body = json_object(response);
    const auto id = integer_member(member(body ? &*body : nullptr, "segment"), "id");
    if (!id || *id <= 0) return invalid("the manual segment: the answer names none");
    return fmt::format("{}", *id);
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    const bool by_email = context.config.setting(std::string(analytics::kIdentifyBy)) == analytics::kByEmail;
    const auto ids = analytics::encode_people(batch, [](const analytics::FlaggedPerson& person) {
      return to_json(Value::of(person.identifier->value));
    });
    return customerio_api::post(
        context.config,
        fmt::format("/api/v1/segments/{}/{}?id_type={}", percent_encoded(batch.audience_id),
                    batch.kind == BatchKind::add ? "add_customers" : "remove_customers",
                    by_email ? "email" : "id"),
        R"({"ids":[)" + analytics::joined(ids) + "]}");
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return customerio_api::judge(batch, response);
  }
};

}  // namespace

const Destination& customerio_segments() {
  static const CustomerioSegments kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
