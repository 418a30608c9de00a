#include <algorithm>
#include <array>
#include <charconv>

#include "destinations/checks.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/microsoft_audiences/codec.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = microsoft_codec;

constexpr std::uint32_t kMembershipDaysMax = 390;

constexpr std::array<Setting, 11> kSettings{{
    {.name = codec::kCustomerAccountId,
     .required = true,
     .example = "1234567890",
     .about = "The ad account (`CustomerAccountId`): `1234567890`."},
    {.name = codec::kCustomerId,
     .required = true,
     .example = "1234567891",
     .about = "The manager account (`CustomerId`) that owns the lists: `1234567891`."},
    {.name = codec::kMembershipDurationDays,
     .default_value = "390",
     .about = "Longest stay of a member in a list that Tailrace creates, 1 to 390 days; Microsoft's own "
              "default is 30. "
              "Users who are idle for 180 days leave whatever it says."},
    {.name = codec::kBaseUrl,
     .default_value = "https://campaign.api.bingads.microsoft.com/CampaignManagement/v13",
     .about = "The Campaign Management API. For the sandbox: "
              "`http://127.0.0.1:9090/microsoft/CampaignManagement/v13`."},
    {.name = refresh_token::kTokenUrl,
     .default_value = "https://login.microsoftonline.com/common/oauth2/v2.0/token",
     .about = "Where access tokens are fetched. For the sandbox: `http://127.0.0.1:9090/microsoft/token`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = codec::kDeveloperToken,
     .required = true,
     .secret = true,
     .example = "secret-developer-token",
     .about = "Developer token of the Microsoft Advertising API."},
    refresh_token::kClientIdSetting,
    refresh_token::kClientSecretSetting,
    {.name = refresh_token::kRefreshToken,
     .secret = true,
     .about =
         "Refresh token of a user of the account, with the scope `https://ads.microsoft.com/msads.manage`."},
}};

constexpr std::array kIdentifiers{IdentifierKind::email};

// https://learn.microsoft.com/en-us/advertising/campaign-management-service/customerlistuserdata
constexpr std::array kFields{FieldRule{Field::email, "Email", &email<EmailForm{}>, Hashing::sha256_hex}};

constexpr std::string_view kAbout =
    R"(Keeps Customer Match lists through the Campaign Management API (v13, JSON): people are added and removed with
`CustomerListUserData/Apply`. A sync without an audience id creates its list first, for the whole customer, or
adopts the one of its name. Every upload states that the Customer Match terms are accepted.

**Identifiers.** E-mail: trimmed, lower case, SHA-256; dots and `+` tags stay (for conversions Microsoft takes them
out). A value that is a SHA-256 in hexadecimal already is passed in lower case. Microsoft's documents name lists of
phones and of CRM ids and say that they are not supported yet; they are not sent (**unconfirmed**: a vendor sends CRM
ids). Someone with two e-mails takes two items of a request.

**Errors.** Items with errors of their own (`PartialErrors`) are rejected with the reason, the others were taken. A
fault is told by its number, whatever the HTTP status is: an expired token (105, 109) is fetched anew, too many calls
(117) wait a minute, 0 is tried again; a missing list (8000), terms that are not accepted (8003) and permissions
(106) stop the sync.

**Credentials.** Every exchange of the refresh token gives a new one, which is not kept here: credentials are
references, and Tailrace writes to none of them. Renew it before the old one ends.

**Consent.** Lists take no field of consent: name a consent purpose in the sync, so that only people who consented
are sent.

**Measurement.** The size is the larger of `SearchSize` and `AudienceNetworkSize`, both of which are missing for up
to 48 hours after an upload; Microsoft gives no match rate.
)";

class MicrosoftAudiences final : public AudienceDestination, public Probed {
 public:
  std::string_view type() const override { return "microsoft_audiences"; }
  std::string_view platform() const override { return "microsoft"; }
  std::string_view title() const override { return "Microsoft Advertising Customer Match"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  std::int64_t people_min() const override { return 300; }
  Limits limits() const override { return {.batch_records_max = 1'000}; }
  std::optional<ProcessingTime> processing() const override {
    return ProcessingTime{
        .most = kHour * 48,
        .about = "The sizes of a list are missing for up to 48 hours after an upload.",
        .source = "https://learn.microsoft.com/en-us/advertising/campaign-management-service/customerlist"};
  }
  std::optional<Millis> membership_life(const Config& config) const override {
    const std::string& text = config.setting(std::string(codec::kMembershipDurationDays));
    std::uint32_t days = kMembershipDaysMax;
    std::from_chars(text.data(), text.data() + text.size(), days);  // check() has read it
    return kDay * static_cast<std::int64_t>(std::clamp(days, 1u, kMembershipDaysMax));
  }
  std::size_t records(const Member& member) const override { return codec::items(member); }

  std::string_view permissions() const override {
    return "a developer token, and a user who may manage audiences of the account";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = refresh_token::check(config, refresh_token::LongLived::refused);
    check_account_id(config, std::string(codec::kCustomerAccountId), problems);
    check_account_id(config, std::string(codec::kCustomerId), problems);
    check_count(config, std::string(codec::kMembershipDurationDays), kMembershipDaysMax, problems);
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(refresh_token::kTokenUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    check_token(config, std::string(codec::kDeveloperToken), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time) const override {
    return refresh_token::encode(config, codec::kFlow);
  }
  Result<Token> decode_token(const HttpResponse& response, Time now) const override {
    return refresh_token::decode(response, now);
  }
  std::optional<HttpRequest> encode_find(const Context& context, const std::string&) const override {
    return codec::encode_find(context);
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
  std::optional<HttpRequest> encode_measure(const std::string& audience_id,
                                            const Context& context) const override {
    return codec::encode_measure(audience_id, context);
  }
  Result<Measurement> decode_measure(const HttpResponse& response) const override {
    return codec::decode_measure(response);
  }
};

}  // namespace

const Destination& microsoft_audiences() {
  static const MicrosoftAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
