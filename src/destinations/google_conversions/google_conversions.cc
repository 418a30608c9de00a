#include <array>

#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/google_conversions/codec.h"
#include "destinations/google_data_manager/codec.h"
#include "destinations/google_data_manager/token.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = google_conversions_codec;
namespace members = google_codec;
namespace token = google_token;

constexpr std::array<std::string_view, 3> kConsents{"CONSENT_GRANTED", "CONSENT_DENIED",
                                                    "CONSENT_STATUS_UNSPECIFIED"};

constexpr std::array<Setting, 15> kSettings{{
    {.name = members::kOperatingAccountId,
     .required = true,
     .about = "The Google Ads conversion customer: `1234567890` or `123-456-7890`."},
    {.name = members::kLoginAccountId,
     .about =
         "The manager account through which the credentials reach it, where they do not reach it directly."},
    {.name = members::kAccountType, .default_value = "GOOGLE_ADS", .about = "`GOOGLE_ADS`."},
    {.name = codec::kConversionActionId,
     .scope = Setting::Scope::sync,
     .required = true,
     .example = "5550001",
     .about =
         "The conversion action: of type `UPLOAD_CLICKS` for conversions that only we tell of, `WEBPAGE` "
         "where a tag tells of them too."},
    {.name = members::kAdUserData,
     .default_value = "CONSENT_STATUS_UNSPECIFIED",
     .about = "Consent told of people whose own is not known. Denied consent is never sent."},
    {.name = members::kAdPersonalization,
     .default_value = "CONSENT_STATUS_UNSPECIFIED",
     .about = "The same for personalised advertising."},
    {.name = members::kValidateOnly,
     .default_value = "false",
     .about = "`true`: Google checks every request and stores nothing."},
    {.name = members::kBaseUrl,
     .default_value = "https://datamanager.googleapis.com",
     .about = "The API. For the sandbox: `http://127.0.0.1:9090/google`."},
    token::kTokenUrlSetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    token::kClientIdSetting,
    token::kClientSecretSetting,
    token::kRefreshTokenSetting,
    token::kServiceAccountJsonSetting,
}};

// https://developers.google.com/data-manager/api/get-started/formatting
constexpr std::array kFields{
    FieldRule{Field::email, "emailAddress", &email<EmailForm{.dots = Dots::remove_of_gmail}>,
              Hashing::sha256_hex},
    FieldRule{Field::phone, "phoneNumber", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::first_name, "givenName", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::last_name, "familyName", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::country, "regionCode", &country_upper},
    FieldRule{Field::postal_code, "postalCode", &opaque},
    FieldRule{Field::gclid, "gclid", &opaque},
    FieldRule{Field::gbraid, "gbraid", &opaque},
    FieldRule{Field::wbraid, "wbraid", &opaque},
};

// A conversion action is one goal: its sync maps what counts towards it. Without a mapping, orders.
constexpr std::array<EventName, 1> kEvents{{{"Order Completed", "conversion"}}};

constexpr std::array kEmail{Field::email};
constexpr std::array kPhone{Field::phone};
constexpr std::array kGclid{Field::gclid};
constexpr std::array kGbraid{Field::gbraid};
constexpr std::array kWbraid{Field::wbraid};
constexpr std::array kAddress{Field::first_name, Field::last_name, Field::country, Field::postal_code};
constexpr std::array<std::span<const Field>, 6> kIdentifiedBy{kEmail,  kPhone,  kGclid,
                                                              kGbraid, kWbraid, kAddress};

constexpr std::string_view kAbout =
    R"(Tells Google Ads of conversions through the Data Manager API: `events:ingest`, for enhanced and offline conversions.

**Action.** Each sync is to one conversion action (`conversion_action_id`); map to `conversion` the events that count
towards it.

**De-duplication.** Google counts a `transactionId` once for an action: the order's id, or else the event's. A
resend is the same bytes. Duplicates show in Google's diagnostics, not in the answer.

**Identifiers.** E-mail and phone hashed, as for [audiences](google_data_manager.md); an address where first and last
name, country and postal code are all known; `gclid`, `gbraid` and `wbraid` as they came. IP addresses are not sent:
Google asks that those of people in the EEA, the United Kingdom and Switzerland are not.

**Consent** is told for every event: the person's own for `ads` and `ads_personalisation`, else the setting.

**Errors.** One bad event makes Google refuse the whole request; where the answer names it, it is rejected with its
reason and the rest is sent again, else the batch is halved. Quotas as for audiences.

**Refunds** and cancellations go through [google_adjustments](google_adjustments.md): here they are not sent, and counted.
)";

class GoogleConversions final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "google_conversions"; }
  std::string_view platform() const override { return "google"; }
  std::string_view title() const override { return "Google Ads conversions (Data Manager)"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 2'000, .requests_per_minute = 300}; }
  std::span<const EventName> events() const override { return kEvents; }
  // Google names no age at its door: EVENT_TOO_OLD depends on the action's window.
  EventRules rules() const override { return {.identified_by = kIdentifiedBy}; }

  std::string_view permissions() const override {
    return "the OAuth scope `https://www.googleapis.com/auth/datamanager`, access to the account, and the "
           "Data Manager API enabled "
           "in the Cloud project they belong to";
  }
  std::optional<TestMode> test_mode() const override { return TestMode{members::kValidateOnly, "true"}; }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config);
    check_account_id(config, std::string(members::kOperatingAccountId), problems);
    check_account_id(config, std::string(members::kLoginAccountId), problems);
    check_account_id(config, std::string(codec::kConversionActionId), problems);
    check_choice(config, std::string(members::kAdUserData), kConsents, problems);
    check_choice(config, std::string(members::kAdPersonalization), kConsents, problems);
    check_boolean(config, std::string(members::kValidateOnly), problems);
    check_url(config, std::string(members::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(members::kTokenUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time now) const override {
    return token::encode(config, now);
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

const Destination& google_conversions() {
  static const GoogleConversions kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
