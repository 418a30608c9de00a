#include <array>

#include "destinations/authentication/oauth1.h"
#include "destinations/checks.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/probe.h"
#include "destinations/x_audiences/api.h"
#include "destinations/x_audiences/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = x_codec;

constexpr Millis kMembershipLife = kDay * 390;  // X says 13 months

constexpr std::array<Setting, 8> kSettings{{
    {.name = codec::kAccountId,
     .required = true,
     .example = "18ce54",
     .about = "The ad account that owns the audiences, as it stands in the Ads Manager's address: `18ce54`."},
    x_api::kBaseUrlSetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    oauth1::kConsumerKeySetting,
    oauth1::kConsumerSecretSetting,
    oauth1::kAccessTokenSetting,
    oauth1::kAccessTokenSecretSetting,
}};

constexpr std::array kIdentifiers{IdentifierKind::email, IdentifierKind::phone, IdentifierKind::idfa,
                                  IdentifierKind::aaid};

// https://docs.x.com/x-ads-api/audiences
constexpr std::array kFields{
    FieldRule{Field::email, "email", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::phone, "phone_number", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::idfa, "device_id", &mobile_id_lower, Hashing::sha256_hex},
    FieldRule{Field::aaid, "device_id", &mobile_id_lower, Hashing::sha256_hex},
};

constexpr std::string_view kAbout =
    R"(Keeps custom audiences of uploaded lists (Ads API v12): people are added (`Update`) and removed (`Delete`)
with `POST /accounts/{account}/custom_audiences/{audience}/users`. A sync without an audience id creates its
audience first, or adopts the one of its name. The app needs access to the Ads API and to audiences, the user
must be ad manager or administrator of the account, and the ads agreement must be accepted.

**Identifiers.** E-mail: trimmed, lower case, SHA-256. Phone: E.164 with `+`, SHA-256; X documents this for
conversions and says nothing for audiences, so it is **unconfirmed** here. Advertising ids of iOS and Android:
lower case with hyphens, SHA-256. A value that is a SHA-256 in hexadecimal already is passed in lower case. All
identifiers of a person go in one object. External ids are not sent: X matches by them for partners only.

**Requests.** Every request is signed (OAuth 1.0a, HMAC-SHA1); the clock of this machine must be right. That
tokens last until they are revoked is **unconfirmed**. One request holds up to 2 500 operations, one per person,
and 5 000 000 bytes. X lets everybody go 13 months after an addition; whoever is still to be in is added again before.

**Errors.** X takes or refuses a request as a whole. Where the answer lays an error to an operation, that person
is rejected and the rest is sent again; where it does not, the batch is halved until the person stands alone.
A count that differs from what was sent is sent again whole, as X asks. Throttling waits until the account's
limit is reset, or the endpoint's (that the header is in seconds since 1970 is **unconfirmed**; seconds to wait
are understood too). Keys that are not accepted (401), permissions (403) and a missing audience (404) stop the
sync.

**Consent.** X takes no field of consent: name a consent purpose in the sync, so that only people who consented
are sent.

**Measurement.** The size is `audience_size`, the people X matched who were active in the last 90 days; X gives
no match rate. Reasons why X does not target the audience (`PROCESSING`, `TOO_SMALL`) are shown beside it. X
advises one pass of additions and one of removals in six to eight hours; Tailrace sends differences alone.
)";

class XAudiences final : public AudienceDestination, public Probed {
 public:
  std::string_view type() const override { return "x_audiences"; }
  std::string_view platform() const override { return "x"; }
  std::string_view title() const override { return "X Custom Audiences"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  std::int64_t people_min() const override { return 100; }
  Limits limits() const override {
    return {.batch_records_max = 2'500, .batch_bytes_max = 5'000'000, .requests_per_minute = 1'500};
  }
  std::optional<ProcessingTime> processing() const override {
    return ProcessingTime{.most = kHour * 8,
                          .about = "X works uploads off every six to eight hours.",
                          .source = "https://docs.x.com/x-ads-api/audiences"};
  }

  std::optional<Millis> membership_life(const Config&) const override { return kMembershipLife; }

  std::string_view permissions() const override {
    return "the role AD_MANAGER or ACCOUNT_ADMIN on the account, and access to the audience API";
  }
  std::optional<HttpRequest> encode_probe(const Context& context) const override {
    return codec::encode_probe(context);
  }
  Result<Standing> decode_probe(const HttpResponse& response) const override {
    return codec::decode_probe(response);
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(x_api::kBaseUrl), Query::refused, problems);
    x_api::check_id(config, codec::kAccountId, problems);
    check_limits(config, limits(), problems);
    x_api::check_credentials(config, problems);
    return problems;
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

const Destination& x_audiences() {
  static const XAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
