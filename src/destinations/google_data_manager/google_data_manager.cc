#include <algorithm>
#include <array>
#include <charconv>

#include "destinations/checks.h"
#include "destinations/google_data_manager/codec.h"
#include "destinations/google_data_manager/token.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = google_codec;
namespace token = google_token;

constexpr std::uint32_t kMembershipDaysMax = 540;

constexpr std::array<std::string_view, 3> kAccountTypes{"GOOGLE_ADS", "DISPLAY_VIDEO_PARTNER",
                                                        "DISPLAY_VIDEO_ADVERTISER"};
constexpr std::array<std::string_view, 3> kConsents{"CONSENT_GRANTED", "CONSENT_DENIED",
                                                    "CONSENT_STATUS_UNSPECIFIED"};

constexpr std::array<Setting, 15> kSettings{{
    {.name = codec::kOperatingAccountId,
     .required = true,
     .about = "The account that owns the lists: `1234567890` or `123-456-7890`."},
    {.name = codec::kLoginAccountId,
     .about =
         "The manager account through which the credentials reach it, where they do not reach it directly."},
    {.name = codec::kAccountType,
     .default_value = "GOOGLE_ADS",
     .about = "`GOOGLE_ADS`, `DISPLAY_VIDEO_PARTNER` or `DISPLAY_VIDEO_ADVERTISER`."},
    {.name = codec::kAdUserData,
     .default_value = "CONSENT_GRANTED",
     .about = "Consent told for every person added. Add only people who consented: name a consent purpose in "
              "the sync."},
    {.name = codec::kAdPersonalization,
     .default_value = "CONSENT_GRANTED",
     .about = "The same for personalised advertising."},
    {.name = codec::kMembershipDurationDays,
     .default_value = "540",
     .about = "Longest stay of a member in a list that Tailrace creates, 1 to 540 days. Whoever is still to "
              "be in it "
              "is added again before that."},
    {.name = codec::kValidateOnly,
     .default_value = "false",
     .about = "`true`: Google checks every request and stores nothing. What it accepts counts as delivered "
              "here, so "
              "use a store of its own (`--data`)."},
    {.name = codec::kBaseUrl,
     .default_value = "https://datamanager.googleapis.com",
     .about = "The API. For the sandbox: `http://127.0.0.1:9090/google`."},
    {.name = codec::kTokenUrl,
     .default_value = "https://oauth2.googleapis.com/token",
     .about = "Where access tokens are fetched. For the sandbox: `http://127.0.0.1:9090/google/token`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = token::kClientId,
     .secret = true,
     .about = "OAuth client; with `client_secret` and `refresh_token`."},
    {.name = token::kClientSecret, .secret = true, .about = "The client's secret."},
    {.name = token::kRefreshToken,
     .secret = true,
     .about = "Refresh token of a user, with the scope `https://www.googleapis.com/auth/datamanager`."},
    {.name = token::kServiceAccountJson,
     .secret = true,
     .about = "Instead of the three: the JSON key file of a service account."},
}};

constexpr std::array kIdentifiers{IdentifierKind::email, IdentifierKind::phone};

// https://developers.google.com/data-manager/api/get-started/formatting, and Google's own formatter
// (googleads/data-manager-python): it leaves "+" tags and removes dots of gmail.com and googlemail.com.
constexpr std::array kFields{
    FieldRule{Field::email, "emailAddress", &email<EmailForm{.dots = Dots::remove_of_gmail}>,
              Hashing::sha256_hex},
    FieldRule{Field::phone, "phoneNumber", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::first_name, "givenName", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::last_name, "familyName", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::country, "regionCode", &country_upper},
    FieldRule{Field::postal_code, "postalCode", &opaque},
};

constexpr std::string_view kAbout =
    R"(Keeps Customer Match lists through the Data Manager API: people are added with `audienceMembers:ingest` and
removed with `audienceMembers:remove`. A sync without an audience id creates its list first, for contact
details (`CONTACT_ID`). Adding states that the Customer Match terms are accepted. Credentials are either
`client_id`, `client_secret` and `refresh_token`, or `service_account_json`.

**Identifiers.** E-mail: trimmed, lower case, dots before the `@` of gmail.com and googlemail.com removed (`+`
tags stay), SHA-256. Phone: E.164 with `+`, SHA-256. A value that is a SHA-256 in hexadecimal already is passed
in lower case. A list of contact details takes no external ids. Someone with more than ten identifiers takes
several members of a request.

**Errors.** One bad record makes Google refuse the whole request; where the answer names it, it is rejected with
its reason and the rest is sent again. A spent quota of the minute waits 30 s at least. A spent quota of the day
returns at midnight Pacific time; it is tried again every hour. A token that is not accepted (401) is fetched
anew; 403 and 404 stop the sync until somebody mends the cause.

**Measurement.** The size is the largest of Google's estimates per network, the match rate the list's
`matchRatePercentage`. Google works through additions within a day.

**Others in a list.** `tailrace reupload SYNC --remove-others` adds every member again and a day later asks Google
(`audienceMembers:removeAll`) to let go of whoever was last added more than an hour before the command.
)";

class GoogleDataManager final : public AudienceDestination, public Probed {
 public:
  std::string_view type() const override { return "google_data_manager"; }
  std::string_view platform() const override { return "google"; }
  std::string_view title() const override { return "Google Data Manager (Customer Match)"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 10'000, .requests_per_minute = 300}; }
  std::optional<ProcessingTime> processing() const override {
    return ProcessingTime{
        .most = kDay,
        .about =
            "Google works uploads off after it has taken them; what became of one may stay open for up to "
            "24 hours.",
        .source = "https://developers.google.com/data-manager/api/devguides/diagnostics"};
  }
  std::optional<Millis> membership_life(const Config& config) const override {
    const std::string& text = config.setting(std::string(codec::kMembershipDurationDays));
    std::uint32_t days = kMembershipDaysMax;
    std::from_chars(text.data(), text.data() + text.size(), days);  // check() has read it
    return kDay * static_cast<std::int64_t>(std::clamp(days, 1u, kMembershipDaysMax));
  }
  std::size_t records(const Member& member) const override { return codec::entries(member); }

  std::string_view permissions() const override {
    return "the OAuth scope `https://www.googleapis.com/auth/datamanager`, access to the account, and the "
           "Data Manager API enabled "
           "in the Cloud project they belong to";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config);
    check_account_id(config, std::string(codec::kOperatingAccountId), problems);
    check_account_id(config, std::string(codec::kLoginAccountId), problems);
    check_choice(config, std::string(codec::kAccountType), kAccountTypes, problems);
    check_choice(config, std::string(codec::kAdUserData), kConsents, problems);
    check_choice(config, std::string(codec::kAdPersonalization), kConsents, problems);
    check_boolean(config, std::string(codec::kValidateOnly), problems);
    check_count(config, std::string(codec::kMembershipDurationDays), kMembershipDaysMax, problems);
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(codec::kTokenUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time now) const override {
    return token::encode(config, now);
  }
  Result<Token> decode_token(const HttpResponse& response, Time now) const override {
    return token::decode(response, now);
  }
  std::optional<HttpRequest> encode_find(const Context& context, const std::string& page) const override {
    return codec::encode_find(context, page);
  }
  Result<Found> decode_find(const HttpResponse& response, const Config& config) const override {
    return codec::decode_find(response, config);
  }
  std::optional<HttpRequest> encode_create(const Context& context) const override {
    return codec::encode_create(context);
  }
  Result<std::string> decode_create(const HttpResponse& response) const override {
    return codec::decode_create(response);
  }
  HttpRequest encode(const Batch& batch, const Context& context) const override {
    return codec::encode(batch, context);
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return codec::decode(batch, response);
  }
  std::optional<HttpRequest> encode_update(const std::string& audience_id,
                                           const Context& context) const override {
    return codec::encode_update(audience_id, context);
  }
  Result<void> decode_update(const HttpResponse& response) const override {
    return codec::decode_update(response);
  }
  std::optional<HttpRequest> encode_clear(const std::string& audience_id, Time before,
                                          const Context& context) const override {
    // Nobody was added.
    if (context.config.setting(std::string(codec::kValidateOnly)) == "true") return std::nullopt;
    return codec::encode_clear(audience_id, before, context);
  }
  Result<void> decode_clear(const HttpResponse& response) const override {
    return codec::decode_clear(response);
  }
  std::optional<HttpRequest> encode_measure(const std::string& audience_id,
                                            const Context& context) const override {
    return codec::encode_measure(audience_id, context);
  }
  Result<Measurement> decode_measure(const HttpResponse& response) const override {
    return codec::decode_measure(response);
  }
};

}  // namespace

const Destination& google_data_manager() {
  static const GoogleDataManager kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
