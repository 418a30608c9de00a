#include <array>

#include "destinations/audience_destination.h"
#include "destinations/authentication/refresh_token.h"
#include "destinations/checks.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/list_kinds.h"
#include "destinations/pinterest_audiences/codec.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = pinterest_codec;
namespace token = refresh_token;

constexpr std::array<std::string_view, 3> kListTypes{"EMAIL", "IDFA", "MAID"};

constexpr std::array<Setting, 10> kSettings{{
    {.name = codec::kAdAccountId,
     .required = true,
     .example = "549755885175",
     .about = "The ad account that owns the lists."},
    {.name = codec::kListType,
     .scope = Setting::Scope::sync,
     .default_value = "EMAIL",
     .about = "What the list holds, as a list is of one kind: `EMAIL`, `IDFA` or `MAID` (advertising ids of "
              "both systems)."},
    {.name = codec::kTargetingAudienceId,
     .scope = Setting::Scope::sync,
     .about = "The audience that was made of the list; its size is read. Without it there is no size."},
    {.name = codec::kBaseUrl,
     .default_value = "https://api.pinterest.com/v5",
     .about = "The API with its version. For the sandbox: `http://127.0.0.1:9090/pinterest/v5`."},
    {.name = token::kTokenUrl,
     .default_value = "https://api.pinterest.com/v5/oauth/token",
     .about = "Where access tokens are fetched. For the sandbox: "
              "`http://127.0.0.1:9090/pinterest/v5/oauth/token`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    token::kClientIdSetting,
    token::kClientSecretSetting,
    {.name = token::kRefreshToken,
     .secret = true,
     .about = "Refresh token of a user with a role on the ad account, with the scopes `ads:read` and "
              "`ads:write`."},
}};

constexpr std::array kIdentifiers{IdentifierKind::email, IdentifierKind::idfa, IdentifierKind::aaid};

// https://github.com/pinterest/api-description (v5/openapi.json)
constexpr std::array kFields{
    FieldRule{Field::email, "EMAIL", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::idfa, "IDFA", &mobile_id_lower, Hashing::sha256_hex},
    FieldRule{Field::aaid, "MAID", &mobile_id_lower, Hashing::sha256_hex},
};

constexpr std::string_view kAbout =
    R"(Keeps customer lists: people are added and removed with `PATCH /customer_lists/{list}`. A sync without an
audience id creates its list first. Pinterest makes a list with its first records only; a new one gets the hash of
`nobody@example.com` (of an advertising id of zeros), which is nobody's.

An ad group cannot use a list, but an audience made of it: in the Ads Manager, or with `POST /audiences` of the type
`CUSTOMER_LIST`. Its id is `targeting_audience_id`.

**Identifiers.** A list is of one kind (`list_type`): e-mail (trimmed, lower case, SHA-256; dots and `+` tags stay)
or advertising ids (lower case, SHA-256). Phones are not taken. A value that is a SHA-256 in hexadecimal already is
passed in lower case.

**Errors.** Pinterest says nothing of single records. As adding and removing are set operations, a request that is
refused (HTTP 400) is halved until the record at fault stands alone; it is then rejected. A token that is not accepted
(401) is fetched anew; 403 and 404 stop the sync until somebody mends the cause. 429 waits as long as `Retry-After` or
`x-ratelimit-reset` says.

**Measurement.** The size is that of the targeting audience, with the status beside it. Pinterest gives no match rate.

**Not confirmed** by Pinterest's description of its API: how many records a request takes (10000 or 1 MB, as another
sender has it), the name and unit of the header of 429, and how long an upload takes (24 to 48 hours are said).
)";

constexpr std::string_view kOfEmails =
    "a list of e-mails is of `list_type: EMAIL`; give it a sync of its own";
constexpr std::string_view kOfIdfas =
    "a list of iOS ids is of `list_type: IDFA`, or `MAID` for both systems; give it a sync of its own";
constexpr std::string_view kOfMaids =
    "a list of Android ids is of `list_type: MAID`; give it a sync of its own";

class PinterestAudiences final : public AudienceDestination, public HoldsOneKind, public Probed {
 public:
  std::string_view type() const override { return "pinterest_audiences"; }
  std::string_view platform() const override { return "pinterest"; }
  std::string_view title() const override { return "Pinterest Customer Lists"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  std::int64_t people_min() const override { return 100; }
  bool one_kind_a_request() const override { return true; }
  Limits limits() const override { return {.batch_records_max = 10'000, .batch_bytes_max = 1'000'000}; }
  std::size_t records(const Member& member) const override { return member.identifiers.size(); }
  Result<Normalised> normalise(IdentifierKind kind, std::string_view raw,
                               const Config& config) const override {
    if (!misfit(kind, config).empty()) return invalid(std::string(kNotAccepted));
    return AudienceDestination::normalise(kind, raw, config);
  }
  std::string_view misfit(IdentifierKind kind, const Config& config) const override {
    const std::string& list_type = config.setting(std::string(codec::kListType));
    const bool is_of_idfas = list_type == "IDFA" || list_type == "MAID";
    switch (kind) {
      case IdentifierKind::email:
        return is_of_idfas ? kOfEmails : "";
      case IdentifierKind::idfa:
        return is_of_idfas ? "" : kOfIdfas;
      case IdentifierKind::aaid:
        return list_type == "MAID" ? "" : kOfMaids;
      case IdentifierKind::external_id:
      case IdentifierKind::anonymous_id:
      case IdentifierKind::phone:
        break;
    }
    return "";
  }

  std::string_view permissions() const override {
    return "the scopes `ads:read` and `ads:write`, and the role Admin or Audience on the ad account";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config, token::LongLived::refused);
    check_account_id(config, std::string(codec::kAdAccountId), problems);
    check_account_id(config, std::string(codec::kTargetingAudienceId), problems);
    check_choice(config, std::string(codec::kListType), kListTypes, problems);
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(token::kTokenUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time) const override {
    return token::encode(config, {.client = token::Flow::Client::basic});
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

const Destination& pinterest_audiences() {
  static const PinterestAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
