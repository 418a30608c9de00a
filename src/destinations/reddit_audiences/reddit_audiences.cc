#include <algorithm>
#include <array>

#include "destinations/authentication/refresh_token.h"
#include "destinations/checks.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/probe.h"
#include "destinations/reddit_audiences/api.h"
#include "destinations/reddit_audiences/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = reddit_codec;

constexpr std::string_view kDotsAndPlus = "dots_and_plus";
constexpr std::string_view kLettersAndDigitsOnly = "letters_and_digits";
constexpr std::array<std::string_view, 2> kEmailForms{kDotsAndPlus, kLettersAndDigitsOnly};

constexpr std::array<Setting, 9> kSettings{{
    {.name = codec::kAdAccountId,
     .required = true,
     .example = "t2_abc",
     .about = "The ad account that owns the audiences: `t2_abc`."},
    {.name = codec::kEmailForm,
     .default_value = kDotsAndPlus,
     .about =
         "What is taken out of an e-mail before the `@`: `dots_and_plus` (dots and `+` tags), or "
         "`letters_and_digits` (everything else). Two vendors differ, and Reddit's own page is not public."},
    reddit_api::kBaseUrlSetting,
    reddit_api::kTokenUrlSetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    refresh_token::kClientIdSetting,
    refresh_token::kClientSecretSetting,
    {.name = refresh_token::kRefreshToken,
     .secret = true,
     .about = "Refresh token of a user of the ad account, with the scopes `adsread` and `adsedit`."},
}};

constexpr std::array kIdentifiers{IdentifierKind::email, IdentifierKind::idfa, IdentifierKind::aaid};

constexpr EmailForm kBare{.dots = Dots::remove, .tag = Tag::remove};

Result<std::string> email_of_letters_and_digits(std::string_view raw, const Locality&) {
  std::string text = TRY(normalise_email(raw, kBare));
  const std::size_t at = text.find('@');
  std::string local = text.substr(0, at);
  std::erase_if(local, [](char c) {
    const bool kept =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) > 0x7f;
    return !kept;
  });
  if (local.empty()) return invalid(std::string(kEmailLocal));
  return local + text.substr(at);
}

// No page of Reddit's own is public: the rules are those of two vendors that agree.
constexpr std::array kFields{
    FieldRule{Field::email, "EMAIL_SHA256", &email<kBare>, Hashing::sha256_hex},
    FieldRule{Field::idfa, "MAID_SHA256", &mobile_id_upper, Hashing::sha256_hex},
    FieldRule{Field::aaid, "MAID_SHA256", &mobile_id_lower, Hashing::sha256_hex},
};
constexpr FieldRule kOtherEmail{Field::email, "EMAIL_SHA256", &email_of_letters_and_digits,
                                Hashing::sha256_hex};

constexpr std::string_view kAbout =
    R"(Keeps custom audiences of customer lists (Ads API v3): people are added and removed with
`PATCH /custom_audiences/{audience}/users`. A sync without an audience id creates its audience first; Reddit
documents no list to look for one of the same name in. The account must be allow-listed for custom audiences.

**Identifiers.** E-mail: trimmed, lower case, without dots and `+` tags before the `@` whatever the domain,
SHA-256. Advertising ids: of iOS in upper case, of Android in lower case, SHA-256. A value that is a SHA-256 in
hexadecimal already is passed in lower case. Phones are not sent: a column for them is **unconfirmed**. Someone
with two e-mails takes two rows of a request.

**Unconfirmed**, as Reddit's reference is not public: the most rows of a request (2 500 are sent, as vendors
do), the body of an answer (a success without an error in it counts for all rows), the smallest audience that
is used (1 000 is quoted), how long a member stays, and how long an upload takes.

**Errors.** A refused request (400) is halved until the record stands alone, which is then rejected. Throttling
waits as long as `X-RateLimit-Reset` says. A token that is not accepted is fetched anew; 403, 404 and 410 stop
the sync.

**Consent.** Audiences take no field of consent: name a consent purpose in the sync, so that only people who
consented are sent.

**Measurement.** The size is `size_range_lower` where Reddit tells it (**unconfirmed**); there is no match rate.
)";

class RedditAudiences final : public AudienceDestination, public Probed {
 public:
  std::string_view type() const override { return "reddit_audiences"; }
  std::string_view platform() const override { return "reddit"; }
  std::string_view title() const override { return "Reddit Custom Audiences"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 2'500}; }
  std::size_t records(const Member& member) const override { return codec::rows(member); }

  Result<Normalised> normalise(IdentifierKind kind, std::string_view raw,
                               const Config& config) const override {
    const bool other = config.setting(std::string(codec::kEmailForm)) == kLettersAndDigitsOnly;
    if (kind != IdentifierKind::email || !other) return AudienceDestination::normalise(kind, raw, config);
    Prepared prepared = TRY(prepare(kOtherEmail, raw, {}));
    return Normalised{
        .text = std::move(prepared.normalised),
        .upload = {.kind = kind, .value = std::move(prepared.value), .hashed = prepared.hashed}};
  }

  std::string_view permissions() const override {
    return "the scopes `adsread` and `adsedit`, and an account that Reddit lets use the audience API";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = refresh_token::check(config, refresh_token::LongLived::refused);
    reddit_api::check_id(config, codec::kAdAccountId, problems);
    check_choice(config, std::string(codec::kEmailForm), kEmailForms, problems);
    check_url(config, std::string(reddit_api::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(refresh_token::kTokenUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time) const override {
    return refresh_token::encode(config, reddit_api::kFlow);
  }
  Result<Token> decode_token(const HttpResponse& response, Time now) const override {
    return refresh_token::decode(response, now);
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

const Destination& reddit_audiences() {
  static const RedditAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
