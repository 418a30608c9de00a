#include <array>

#include "destinations/checks.h"
#include "destinations/mixpanel_events/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = mixpanel_events_codec;

constexpr std::array<std::string_view, 2> kIdentities{"simplified", codec::kOriginal};

constexpr std::array<Setting, 8> kSettings{{
    {.name = codec::kBaseUrl,
     .default_value = "https://api.mixpanel.com",
     .about = "Of projects in the EU `https://api-eu.mixpanel.com`, in India `https://api-in.mixpanel.com`. "
              "For the "
              "sandbox: `http://127.0.0.1:9090/mixpanel`."},
    {.name = codec::kProjectId,
     .about = "The project's number. Needed with a service account, and only then."},
    {.name = codec::kIdentity,
     .default_value = "simplified",
     .about =
         "How the project merges identities: `simplified` (each event tells `$user_id` and `$device_id`) or "
         "`original` (`distinct_id` alone)."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = codec::kProjectToken,
     .secret = true,
     .about = "The project's token. Or a service account, of which both are needed:"},
    {.name = codec::kUserName, .secret = true, .about = "The service account's user name."},
    {.name = codec::kPassword, .secret = true, .about = "The service account's secret."},
}};

constexpr std::array kFields{
    FieldRule{Field::external_id, "$user_id", &opaque},
    FieldRule{Field::anonymous_id, "$device_id", &opaque},
    FieldRule{Field::ip_address, "ip", &ip_address},
};

constexpr std::array kUser{Field::external_id};
constexpr std::array kDevice{Field::anonymous_id};
constexpr std::array<std::span<const Field>, 2> kIdentifiedBy{kUser, kDevice};

constexpr std::string_view kAbout =
    R"(Sends events to Mixpanel: `POST /import` with `strict=1`. Every event goes by its own name, with its properties.

**Who.** `distinct_id` is the person's external id, or `$device:` and the anonymous id of somebody without one. Ids
that stand in everybody's place (`null`, `undefined`, `0`, ...) are not sent.

**De-duplication.** By (event, time, `distinct_id`, `$insert_id`), which Mixpanel collapses when it is asked. The
`$insert_id` is the message id where it has 36 characters of letters, digits and hyphens at most, else the first 36
digits of its SHA-256. A resend is the same bytes, so it counts once.

**Where.** The event's IP address goes along as `ip`; without one `ip` is 0, so that no event is placed where this
machine stands.

**Ages.** Any age is taken; more than an hour ahead is not.

**Errors.** With `strict` Mixpanel names the events it does not take (HTTP 400, `failed_records`) and keeps the others:
those are dead letters with the field that was minded. 429, 502 and 503 are tried again. 401 stops the sync.

**Limits.** 2 000 events, and 2 MB, in a request. 2 GB a minute or about 30 000 events a second per project. Strings are
cut at 255 characters by Mixpanel; 255 properties and three levels are its limits, and what breaks them is rejected.
)";

class MixpanelEvents final : public EventDestination {
 public:
  std::string_view type() const override { return "mixpanel_events"; }
  std::string_view platform() const override { return "mixpanel"; }
  std::string_view title() const override { return "Mixpanel events"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 2'000, .batch_bytes_max = 2'000'000}; }
  std::span<const EventName> events() const override { return {}; }
  EventRules rules() const override { return {.ahead_max = kHour, .identified_by = kIdentifiedBy}; }
  bool takes_every_event() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_account_id(config, std::string(codec::kProjectId), problems);
    check_choice(config, std::string(codec::kIdentity), kIdentities, problems);
    check_limits(config, limits(), problems);
    const auto has = [&](std::string_view name) { return config.secrets.contains(std::string(name)); };
    if (has(codec::kUserName) != has(codec::kPassword))
      problems.emplace_back("a service account needs both service_account_user and service_account_secret");
    if (!has(codec::kUserName) && !has(codec::kProjectToken))
      problems.emplace_back("credentials must hold project_token, or those of a service account");
    if (has(codec::kUserName) && config.setting(std::string(codec::kProjectId)).empty())
      problems.emplace_back("project_id is needed with a service account");
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

const Destination& mixpanel_events() {
  static const MixpanelEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
