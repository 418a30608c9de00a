#include <array>

#include "destinations/authentication/refresh_token.h"
#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/linkedin_api/rest.h"
#include "destinations/linkedin_conversions/codec.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = linkedin_conversions_codec;
namespace token = refresh_token;

constexpr std::array<Setting, 10> kSettings{{
    {.name = codec::kConversionId,
     .scope = Setting::Scope::sync,
     .example = "104012",
     .about = "The conversion rule the sync's events count for: the number at the end of its URN. An event "
              "that the "
              "sync maps to a number counts for that rule instead."},
    linkedin_api::kVersionSetting,
    linkedin_api::kBaseUrlSetting,
    {.name = token::kTokenUrl,
     .default_value = "https://www.linkedin.com/oauth/v2/accessToken",
     .about = "Where access tokens are fetched. For the sandbox: `http://127.0.0.1:9090/linkedin/token`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    token::kClientIdSetting,
    token::kClientSecretSetting,
    {.name = token::kRefreshToken,
     .secret = true,
     .about =
         "Refresh token of a user who may manage the account's campaigns, with the scopes `rw_conversions` "
         "and `r_ads`. It ends a year after that user agreed."},
    {.name = token::kAccessToken,
     .secret = true,
     .about = "Instead of the three: an access token, which lasts 60 days."},
}};

// https://learn.microsoft.com/linkedin/marketing/integrations/ads-reporting/conversions-api
constexpr std::array kFields{
    FieldRule{Field::email, "SHA256_EMAIL", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::li_fat_id, "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", &opaque},
    FieldRule{Field::aaid, "GOOGLE_AID", &mobile_id_lower},
    FieldRule{Field::first_name, "firstName", &opaque},
    FieldRule{Field::last_name, "lastName", &opaque},
    FieldRule{Field::country, "countryCode", &country_upper},
    FieldRule{Field::external_id, "externalIds", &opaque},
};

// A rule is of one kind of event, so one event is sent unless the sync maps others.
constexpr std::array<EventName, 1> kEvents{{{"Order Completed", "PURCHASE"}}};

constexpr std::array kEmail{Field::email};
constexpr std::array kClick{Field::li_fat_id};
constexpr std::array kAaid{Field::aaid};
constexpr std::array kName{Field::first_name, Field::last_name};
constexpr std::array<std::span<const Field>, 4> kIdentifiedBy{kEmail, kClick, kAaid, kName};

constexpr std::string_view kAbout =
    R"(Tells LinkedIn of conversions through the Conversions API: `POST /conversionEvents`, as a batch. What an event counts
for is a conversion rule of the account, with the method `CONVERSIONS_API` and associated with campaigns.

**Rules.** `Order Completed` counts for the sync's `conversion_id`. For several kinds of events, map each to the number
of its rule: `Lead Generated: "104013"`.

**Fields.** E-mail: trimmed, lower case, SHA-256. Click id (`li_fat_id`) and advertising id of Android: as they are.
First and last name, where both are known, with the country: as they are, not hashed. One external id.

**De-duplication.** LinkedIn counts an event once by its `eventId`, beside the Insight Tag too, for one rule. Here it is
the event's `event_id` property, or else its message id.

**Ages.** LinkedIn takes no events older than 90 days; they are never sent, and counted.

**Consent.** The API has no field for it: send consenting people only, by a consent purpose of the sync.

**Errors.** LinkedIn answers for every event. One bad event can make it refuse all (HTTP 422); where the message names
the events by their place, these are rejected and the rest is sent again, else the batch is halved. A version that has
ended (426), a revoked token, 403 and 404 stop the sync; another 401 fetches a new token. Throttling backs off; where the
day's quota is spent, until midnight UTC.

**Test mode.** LinkedIn has none. **Refunds.** The API has no form for them; they are not sent, and counted.

**Not confirmed** by LinkedIn's pages: for how long it counts an event once, and how many requests a day it takes (300000
or 500000).
)";

class LinkedinConversions final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "linkedin_conversions"; }
  std::string_view platform() const override { return "linkedin"; }
  std::string_view title() const override { return "LinkedIn Conversions API"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 5000, .requests_per_minute = 600}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override { return {.age_max = kDay * 90, .identified_by = kIdentifiedBy}; }

  std::string_view permissions() const override {
    return "the scopes `rw_conversions` and `r_ads`, and a role that may manage campaigns or creatives on "
           "the ad account";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config, token::LongLived::accepted);
    check_account_id(config, std::string(codec::kConversionId), problems);
    linkedin_api::check_version(config, problems);
    check_url(config, std::string(linkedin_api::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(token::kTokenUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time) const override {
    return token::encode(config, {});
  }
  Result<Token> decode_token(const HttpResponse& response, Time now) const override {
    return token::decode(response, now);
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

const Destination& linkedin_conversions() {
  static const LinkedinConversions kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
