#include <array>

#include "destinations/audience_destination.h"
#include "destinations/authentication/refresh_token.h"
#include "destinations/checks.h"
#include "destinations/probe.h"
#include "destinations/snapchat_audiences/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = snapchat_codec;
namespace token = refresh_token;

constexpr std::uint32_t kRetentionMax = 9999;  // the segment's lifetime
constexpr std::size_t kNameMax = 375;

constexpr std::array<Setting, 9> kSettings{{
    {.name = codec::kAdAccountId,
     .required = true,
     .example = "8adc3db7-0000-4fbf-999c-000000000001",
     .about = "The ad account that owns the segments: a UUID."},
    {.name = codec::kRetentionInDays,
     .default_value = "9999",
     .about = "Longest stay of a member in a segment; `9999`: as long as the segment lives."},
    {.name = codec::kBaseUrl,
     .default_value = "https://adsapi.snapchat.com/v1",
     .about = "The Ads API with its version. For the sandbox: `http://127.0.0.1:9090/snapchat/v1`."},
    {.name = token::kTokenUrl,
     .default_value = "https://accounts.snapchat.com/login/oauth2/access_token",
     .about = "Where access tokens are fetched. For the sandbox: `http://127.0.0.1:9090/snapchat/token`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    token::kClientIdSetting,
    token::kClientSecretSetting,
    {.name = token::kRefreshToken,
     .secret = true,
     .about = "Refresh token of a user who is Data Manager of the ad account, with the scope "
              "`snapchat-marketing-api`."},
}};

constexpr std::array kIdentifiers{IdentifierKind::email, IdentifierKind::phone, IdentifierKind::idfa,
                                  IdentifierKind::aaid};

// https://developers.snap.com/api/marketing-api/Ads-API/customer-lists
constexpr std::array kFields{
    FieldRule{Field::email, "EMAIL_SHA256", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::phone, "PHONE_SHA256", &phone_digits, Hashing::sha256_hex},
    FieldRule{Field::idfa, "MOBILE_AD_ID_SHA256", &mobile_id_lower, Hashing::sha256_hex},
    FieldRule{Field::aaid, "MOBILE_AD_ID_SHA256", &mobile_id_lower, Hashing::sha256_hex},
};

constexpr std::string_view kAbout =
    R"(Keeps customer-list segments: people are added with `POST /segments/{segment}/users` and removed with
`DELETE` of the same path. A sync without an audience id creates its segment first, of the source `FIRST_PARTY`.

**Identifiers.** E-mail: trimmed, lower case, SHA-256; dots and `+` tags stay. Phone: with country code, digits
only, no `+`, no leading zeros, SHA-256. Advertising ids: lower case with hyphens, SHA-256. A value that is a
SHA-256 in hexadecimal already is passed in lower case. A request takes one kind of identifier; someone known by
several is sent in several requests.

**Errors.** Snapchat says nothing of single records. As adding and removing are set operations, a request that is
refused (HTTP 400, or a part of it that did not succeed) is halved until the record at fault stands alone; it is
then rejected. A token that is not accepted (401) is fetched anew; `E3002`, 403 and 404 stop the sync until
somebody mends the cause; 429 and failures of the platform are tried again later.

**Measurement.** The size is `approximate_number_users`, with `targetable_status` beside it. Snapchat gives no
match rate.

**Not confirmed** by Snapchat's pages: the count that an upload is answered with (it is not used), how many
requests a minute may hold, and how long an upload takes (24 to 48 hours are said).
)";

class SnapchatAudiences final : public AudienceDestination, public Probed {
 public:
  std::string_view type() const override { return "snapchat_audiences"; }
  std::string_view platform() const override { return "snapchat"; }
  std::string_view title() const override { return "Snapchat Customer Lists"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  std::int64_t people_min() const override { return 1000; }
  bool one_kind_a_request() const override { return true; }
  Limits limits() const override { return {.batch_records_max = 100'000}; }
  std::optional<Millis> membership_life(const Config& config) const override {
    const std::int64_t days = codec::retention_days(config);
    return days > 0 && days < kRetentionMax ? std::optional(kDay * days) : std::nullopt;
  }
  std::size_t records(const Member& member) const override { return member.identifiers.size(); }

  std::string_view permissions() const override {
    return "the scope `snapchat-marketing-api`, and the role Data Manager or higher on the ad account";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config, token::LongLived::refused);
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(token::kTokenUrl), Query::refused, problems);
    check_count(config, std::string(codec::kRetentionInDays), kRetentionMax, problems);
    check_limits(config, limits(), problems);
    check_audience_name(config, kNameMax, problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time) const override {
    return token::encode(config, {});
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
  std::optional<HttpRequest> encode_measure(const std::string& audience_id,
                                            const Context& context) const override {
    return codec::encode_measure(audience_id, context);
  }
  Result<Measurement> decode_measure(const HttpResponse& response) const override {
    return codec::decode_measure(response);
  }
};

}  // namespace

const Destination& snapchat_audiences() {
  static const SnapchatAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
