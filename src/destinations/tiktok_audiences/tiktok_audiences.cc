#include <array>

#include "destinations/audience_destination.h"
#include "destinations/checks.h"
#include "destinations/probe.h"
#include "destinations/tiktok_api/envelope.h"
#include "destinations/tiktok_audiences/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = tiktok_codec;

constexpr std::size_t kNameMax = 128;

constexpr std::array<Setting, 5> kSettings{{
    {.name = codec::kAdvertiserId,
     .required = true,
     .example = "7000000000000000001",
     .about = "The advertiser account that owns the audiences."},
    {.name = tiktok_api::kBaseUrl,
     .default_value = "https://business-api.tiktok.com/open_api/v1.3",
     .about = "The API for Business with its version. For the sandbox: "
              "`http://127.0.0.1:9090/tiktok/open_api/v1.3`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = tiktok_api::kAccessToken,
     .required = true,
     .secret = true,
     .about = "Long-term token with the permission for audience management. It lasts until it is revoked."},
}};

constexpr std::array kIdentifiers{IdentifierKind::email, IdentifierKind::phone, IdentifierKind::idfa,
                                  IdentifierKind::aaid};

// https://business-api.tiktok.com/portal/docs?id=1739566528222210
constexpr std::array kFields{
    FieldRule{Field::email, "EMAIL_SHA256",
              &email<EmailForm{.dots = Dots::remove, .tag = Tag::remove, .blanks = Blanks::remove}>,
              Hashing::sha256_hex},
    FieldRule{Field::phone, "PHONE_SHA256", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::idfa, "IDFA_SHA256", &mobile_id_lower, Hashing::sha256_hex},
    FieldRule{Field::aaid, "AAID_SHA256", &mobile_id_lower, Hashing::sha256_hex},
};

constexpr std::string_view kAbout =
    R"(Keeps custom audiences through the streaming ("segment") API: people are added and removed with
`POST /segment/mapping/`. A sync without an audience id creates its audience first, with
`POST /segment/audience/`. TikTok may have to allow an account to use this API.

**Identifiers.** E-mail: lower case, no blanks, and for every domain without dots before the `@` and without a
`+` tag, SHA-256. Phone: E.164 with `+`, SHA-256. Advertising ids: lower case, SHA-256; TikTok does not say in
which case it wants them. A value that is a SHA-256 in hexadecimal already is passed in lower case. Someone with
two e-mails takes two rows of a request.

**Errors.** TikTok answers with HTTP 200 and a code, of the request as a whole. A part taken only (20001) and a
record that is not accepted (40002 that names `batch_data`) are found by halving, as adding and removing are set
operations. Too many requests (40100) back off; a token that is not accepted (40101 to 40199) or lacks a
permission (40001) stops the sync, as there is no token to fetch; 50000 to 59999 are tried again.

**Not confirmed** by TikTok's pages: how many people a request takes (1000 are sent; other senders do the same),
the codes of tokens and failures beyond those named, and the fields in which the size is told.

**Measurement.** The size is `cover_num`. TikTok gives no match rate, and an audience has no description.
)";

class TiktokAudiences final : public AudienceDestination, public Probed {
 public:
  std::string_view type() const override { return "tiktok_audiences"; }
  std::string_view platform() const override { return "tiktok"; }
  std::string_view title() const override { return "TikTok Custom Audiences"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  std::int64_t people_min() const override { return 1000; }
  Limits limits() const override { return {.batch_records_max = 1000}; }
  std::optional<ProcessingTime> processing() const override {
    return ProcessingTime{
        .most = kDay * 2,
        .about = "The size of an audience follows its uploads within 24 to 48 hours.",
        .source = "https://docs.treasuredata.com/int/tiktok-marketing-api-export-integration"};
  }
  std::size_t records(const Member& member) const override { return codec::rows(member); }

  std::string_view permissions() const override {
    return "the permission for audience management, and access to the advertiser account";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_account_id(config, std::string(codec::kAdvertiserId), problems);
    check_url(config, std::string(tiktok_api::kBaseUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    check_token(config, std::string(tiktok_api::kAccessToken), problems);
    check_audience_name(config, kNameMax, problems);
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
  std::optional<HttpRequest> encode_measure(const std::string& audience_id,
                                            const Context& context) const override {
    return codec::encode_measure(audience_id, context);
  }
  Result<Measurement> decode_measure(const HttpResponse& response) const override {
    return codec::decode_measure(response);
  }
};

}  // namespace

const Destination& tiktok_audiences() {
  static const TiktokAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
