#include <array>
#include <charconv>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/flag_audience.h"
#include "destinations/checks.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kBaseUrl = "base_url";
constexpr std::string_view kAppId = "app_id";
constexpr std::string_view kOwner = "owner";
constexpr std::string_view kSeedUser = "seed_user_id";
constexpr std::string_view kApiKey = "api_key";
constexpr std::string_view kSecretKey = "secret_key";

constexpr std::array<Setting, 8> kSettings{{
    {.name = kBaseUrl,
     .default_value = "https://amplitude.com",
     .about = "Of projects in the EU `https://analytics.eu.amplitude.com`. For the sandbox: "
              "`http://127.0.0.1:9090/amplitude`."},
    {.name = kAppId, .about = "The project's number. Needed to make a cohort."},
    {.name = kOwner, .about = "The login of whom a cohort belongs to that is made. Needed to make a cohort."},
    {.name = kSeedUser,
     .about = "The user id of somebody Amplitude knows: a cohort cannot be made empty. That person stays in "
              "it. Needed "
              "to make a cohort."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = kApiKey, .required = true, .secret = true, .about = "The project's API key."},
    {.name = kSecretKey, .required = true, .secret = true, .about = "The project's secret key."},
}};

constexpr std::array kIdentifiers{IdentifierKind::external_id};
constexpr std::array kFields{FieldRule{Field::external_id, "user_id", &opaque}};

constexpr std::string_view kAbout =
    R"(Keeps a behavioural cohort of Amplitude: `POST /api/3/cohorts/membership`, adding and removing. The sync's audience
id is the cohort's; without one a cohort is made (`/api/3/cohorts/upload`), for which Amplitude asks for a project
number, an owner and one member: `app_id`, `owner`, `seed_user_id`.

**Who.** The user id, which is the external id (`BY_NAME`). Ids Amplitude does not know are passed over
(`skip_invalid_ids`).

**Errors.** Adding and removing may be repeated. A request that is refused (400) is halved until the person stands alone,
and is then a dead letter. A cohort that is not there (404) stops the sync.

**Limits.** 1 000 people in a request; Amplitude's own limits are **unconfirmed**.
)";

class AmplitudeCohorts final : public analytics::FlagAudience {
 public:
  std::string_view type() const override { return "amplitude_cohorts"; }
  std::string_view platform() const override { return "amplitude"; }
  std::string_view title() const override { return "Amplitude cohorts"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override {
    return {.batch_records_max = 1'000, .batch_bytes_max = 2'000'000, .requests_per_minute = 60};
  }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(kBaseUrl), Query::refused, problems);
    check_account_id(config, std::string(kAppId), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_create(const Context& context) const override {
    const Config& config = context.config;
    std::int64_t app = 0;
    const std::string& digits = config.setting(std::string(kAppId));
    std::from_chars(digits.data(), digits.data() + digits.size(), app);
    Value ids = Value::with(Value::Kind::list);
    ids.list.push_back(Value::of(config.setting(std::string(kSeedUser))));
    Value body = analytics::empty_object();
    analytics::add_text(body, "name", config.audience_name);
    body.members.emplace_back("app_id", Value::of(Number::integer(app)));
    analytics::add_text(body, "id_type", "BY_USER_ID");
    body.members.emplace_back("ids", std::move(ids));
    analytics::add_text(body, "owner", config.setting(std::string(kOwner)));
    body.members.emplace_back("published", Value::of(true));
    return post(config, "upload", body);
  }
  Result<std::string> decode_create(const HttpResponse& response) const override {
    if (response.status == 400)
      return invalid(
          "no cohort is made: Amplitude asks for app_id, owner and seed_user_id; or name it as audience_id");
    if (response.status != 200) return failed("the cohort", judge_status(std::size_t{0}, response));
    const auto body = json_object(response);
    std::string id(text_member(body ? &*body : nullptr, "cohort_id"));
    if (id.empty() || !is_plain_text(id)) return invalid("the cohort: the answer names none");
    return id;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    Value ids = Value::with(Value::Kind::list);
    for (const Member& member : batch.members) {
      for (const UploadIdentifier& identifier : member.identifiers)
        ids.list.push_back(Value::of(identifier.value));
    }
    Value change = analytics::empty_object();
    change.members.emplace_back("ids", std::move(ids));
    analytics::add_text(change, "id_type", "BY_NAME");
    analytics::add_text(change, "operation", batch.kind == BatchKind::add ? "ADD" : "REMOVE");
    Value changes = Value::with(Value::Kind::list);
    changes.list.push_back(std::move(change));
    Value body = analytics::empty_object();
    analytics::add_text(body, "cohort_id", batch.audience_id);
    body.members.emplace_back("memberships", std::move(changes));
    body.members.emplace_back("skip_invalid_ids", Value::of(true));
    return post(context.config, "membership", body);
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    if (response.status == 200) return accepted(batch);
    if (response.status == 400) return split(batch, "it is not accepted (HTTP 400)", "400");
    return judge_status(batch, response);
  }

 private:
  static HttpRequest post(const Config& config, std::string_view call, const Value& body) {
    return analytics::post_json(
        fmt::format("{}/api/3/cohorts/{}", without_trailing_slash(config.setting(std::string(kBaseUrl))),
                    call),
        to_json(body),
        {{"Authorization", analytics::basic_authorization(config.secret(std::string(kApiKey)),
                                                          config.secret(std::string(kSecretKey)))}});
  }
};

}  // namespace

const Destination& amplitude_cohorts() {
  static const AmplitudeCohorts kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
