#include <array>

#include "destinations/audience_destination.h"
#include "destinations/authentication/refresh_token.h"
#include "destinations/checks.h"
#include "destinations/linkedin_api/rest.h"
#include "destinations/linkedin_audiences/codec.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = linkedin_codec;
namespace token = refresh_token;

constexpr std::array<Setting, 11> kSettings{{
    {.name = codec::kAccountId,
     .required = true,
     .example = "516848833",
     .about = "The sponsored account that owns the segments."},
    {.name = codec::kSourcePlatform,
     .required = true,
     .example = "EXAMPLE",
     .about = "The name under which LinkedIn has registered you as a partner (`sourcePlatform`)."},
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
     .about = "Refresh token of a user with a role above viewer on the account, with the scope "
              "`rw_dmp_segments`. It ends a year after that user agreed."},
    {.name = token::kAccessToken,
     .secret = true,
     .about = "Instead of the three: an access token, which lasts 60 days."},
}};

constexpr std::array kIdentifiers{IdentifierKind::email, IdentifierKind::aaid};

// https://learn.microsoft.com/linkedin/marketing/matched-audiences/create-and-manage-segment-users
constexpr std::array kFields{
    FieldRule{Field::email, "SHA256_EMAIL", &email<EmailForm{.blanks = Blanks::remove}>, Hashing::sha256_hex},
    FieldRule{Field::aaid, "GOOGLE_AID", &mobile_id_lower},
};

constexpr std::string_view kAbout =
    R"(Keeps DMP segments of people (Matched Audiences): additions and removals go to `POST /dmpSegments/{segment}/users`
as a batch. A sync without an audience id creates its segment first; LinkedIn takes people into a new one after some
seconds, at times minutes.

**Identifiers.** E-mail: trimmed, without blanks, lower case, SHA-256; dots and `+` tags stay. Advertising id of
Android: as it is, in lower case. A value that is a SHA-256 in hexadecimal already is passed in lower case. Phones are
not taken.

**Attributes.** A sync may carry what helps LinkedIn to find somebody, as it is, not hashed: `first_name` and `last_name` (35 characters), `title` (50),
`company`, `country` (`attributes: {job: title, employer: company}`). What is longer, or no country, is left out. A removal names the identifiers alone.

**Errors.** LinkedIn answers for every record; one it refuses is rejected with its status. A request refused as a whole
(HTTP 400 or 422) is halved until the record at fault stands alone. A segment that is not there (404) is tried again,
as a new one is not ready at once. A version that has ended (426), a revoked token and 403 stop the sync until
somebody mends the cause; another 401 fetches a new token. Throttling (429) backs off; where the day's quota is spent,
until midnight UTC.

**Measurement.** The size is `audienceSize`, the match rate `matchedCount` of `inputCount`, which LinkedIn counts over
seven days. The segment's status stands beside it.

**Not confirmed** by LinkedIn's pages: which `sourcePlatform` a partner gets, how many bytes a request takes, how long
an upload takes (48 hours are said), and after how many days an unused segment ends.
)";

class LinkedinAudiences final : public AudienceDestination, public Probed {
 public:
  std::string_view type() const override { return "linkedin_audiences"; }
  std::string_view platform() const override { return "linkedin"; }
  std::string_view title() const override { return "LinkedIn Matched Audiences"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  std::int64_t people_min() const override { return 300; }
  Limits limits() const override { return {.batch_records_max = 5000, .requests_per_minute = 600}; }

  std::string_view permissions() const override {
    return "the scope `rw_dmp_segments`, and a role other than VIEWER on the ad account";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config, token::LongLived::accepted);
    check_account_id(config, std::string(codec::kAccountId), problems);
    linkedin_api::check_version(config, problems);
    check_url(config, std::string(linkedin_api::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(token::kTokenUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  bool takes_attributes() const override { return true; }
  std::vector<std::string> check_attributes(std::span<const std::string> names,
                                            const Config&) const override {
    Problems problems;
    for (const std::string& name : names) {
      if (codec::detail_named(name) == nullptr)
        problems.push_back("LinkedIn has no place for `" + name + "`; its page lists what it takes");
    }
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
  std::optional<HttpRequest> encode_measure(const std::string& audience_id,
                                            const Context& context) const override {
    return codec::encode_measure(audience_id, context);
  }
  Result<Measurement> decode_measure(const HttpResponse& response) const override {
    return codec::decode_measure(response);
  }
};

}  // namespace

const Destination& linkedin_audiences() {
  static const LinkedinAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
