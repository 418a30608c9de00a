#include <algorithm>
#include <array>

#include "destinations/checks.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/meta_custom_audiences/codec.h"
#include "destinations/probe.h"
#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

namespace codec = meta_codec;

constexpr std::array<std::string_view, 3> kSources{"USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY",
                                                   "BOTH_USER_AND_PARTNER_PROVIDED"};

constexpr std::array<Setting, 9> kSettings{{
    {.name = codec::kAdAccountId,
     .required = true,
     .about = "The ad account that owns the audiences: `1234567890` or `act_1234567890`."},
    {.name = codec::kBaseUrl,
     .default_value = "https://graph.facebook.com/v26.0",
     .about = "The Graph API with its version. For the sandbox: `http://127.0.0.1:9090/meta/v26.0`."},
    {.name = codec::kCustomerFileSource,
     .default_value = "USER_PROVIDED_ONLY",
     .about = "Where the data is from, told to Meta when an audience is created: `USER_PROVIDED_ONLY`, "
              "`PARTNER_PROVIDED_ONLY` or `BOTH_USER_AND_PARTNER_PROVIDED`."},
    {.name = codec::kValueBased,
     .scope = Setting::Scope::sync,
     .default_value = "false",
     .about =
         "Whether the audience is made with a value for each member, for lookalikes of the best: `true` or "
         "`false`. The sync then carries an attribute called `value`."},
    {.name = codec::kLimitedDataUse,
     .scope = Setting::Scope::sync,
     .default_value = "false",
     .about = "`true`: everybody is added under Limited Data Use (US state privacy laws); otherwise those "
              "whose attribute of that name is true."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = codec::kAccessToken,
     .required = true,
     .secret = true,
     .about = "Token of a system user who is admin of the ad account, with `ads_management`."},
    {.name = codec::kAppSecret,
     .secret = true,
     .about = "The app's secret; with it every request carries `appsecret_proof`."},
}};

constexpr std::array kIdentifiers{IdentifierKind::external_id, IdentifierKind::email, IdentifierKind::phone,
                                  IdentifierKind::idfa, IdentifierKind::aaid};

// https://developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/guides/custom-audiences
constexpr std::array kFields{
    FieldRule{Field::external_id, "EXTERN_ID", &opaque},
    FieldRule{Field::email, "EMAIL", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::phone, "PHONE", &phone_digits, Hashing::sha256_hex},
    FieldRule{Field::gender, "GEN", &gender, Hashing::sha256_hex},
    FieldRule{Field::birth_year, "DOBY", &birth_year, Hashing::sha256_hex},
    FieldRule{Field::birth_month, "DOBM", &birth_month, Hashing::sha256_hex},
    FieldRule{Field::birth_day, "DOBD", &birth_day, Hashing::sha256_hex},
    FieldRule{Field::last_name, "LN", &lower<TextForm{.blanks = false, .punctuation = false}>,
              Hashing::sha256_hex},
    FieldRule{Field::first_name, "FN", &lower<TextForm{.blanks = false, .punctuation = false}>,
              Hashing::sha256_hex},
    FieldRule{Field::first_initial, "FI", &first_initial, Hashing::sha256_hex},
    FieldRule{Field::city, "CT", &lower<kLetters>, Hashing::sha256_hex},
    FieldRule{Field::state, "ST", &state_code_or_letters, Hashing::sha256_hex},
    FieldRule{Field::postal_code, "ZIP", &postal_code, Hashing::sha256_hex},
    FieldRule{Field::country, "COUNTRY", &country_lower, Hashing::sha256_hex},
    FieldRule{Field::idfa, "MADID", &mobile_id_lower},
    FieldRule{Field::aaid, "MADID", &mobile_id_lower},
};

constexpr std::string_view kAbout =
    R"(Keeps customer-file custom audiences: people are added with `POST /{audience}/users` and removed with
`DELETE /{audience}/users`. A sync without an audience id creates its audience first.

**Identifiers.** E-mail: trimmed, lower case, SHA-256; dots and `+` tags stay. Phone: with country code, digits
only, no `+`, no leading zeros, SHA-256. External id: as it is, not hashed (`EXTERN_ID`). Advertising ids of iOS and
Android: lower case, not hashed (`MADID`). A value that is a SHA-256 in hexadecimal already is passed in lower case;
an advertising id that came hashed is refused. Someone with two e-mails takes two rows of a request.

**Attributes.** A sync may carry what helps Meta to find somebody, hashed as it documents: `first_name`, `first_initial`, `last_name`, `city`,
`state`, `postal_code`, `country`, `gender`, `birth_year`, `birth_month`, `birth_day` (`attributes: {first_name: first_name, zip: postal_code}`). What
cannot be normalised is left empty. A removal names the identifiers alone. With `settings: {value_based: true}` the attribute called `value`
(`attributes: {lifetime_value: value}`, zero or more) says what a member is worth; the audience has to be made so, which cannot be changed later.

**Consent.** Meta takes no consent of the EEA: name a consent purpose in the sync, so that only people who consented are sent. Limited Data Use is told row
by row (`DATA_PROCESSING_OPTIONS`): of everybody by the setting `limited_data_use`, or of those for whom an attribute called so is true (`attributes:
{sale_opt_out: limited_data_use}`). Country and state are left to Meta.

**Sessions.** A batch is one session; its id is derived from the batch, so a resend is the same session. It is
even for additions and odd for removals.

**Errors.** Meta counts invalid records without naming them. As adding and removing are set operations, the
batch is halved until the invalid record stands alone; it is then rejected with its reason. Throttling
(codes 4, 17, 32, 341, 613, 80000 and after) waits as long as `X-Business-Use-Case-Usage` says, else backs off.
A token that is not accepted (102, 190, permissions) stops the sync: there is no token to fetch.

**Measurement.** The size is Meta's lower bound; the range is shown beside it. Meta gives no match rate of an
audience, so it is computed: matched by received over the additions among the 100 latest sessions the platform
returns. It counts uploads, not people (someone uploaded twice counts twice), and Meta often withholds
`num_matched`; then no rate is shown. That sessions are read as a field of the audience, with their counts,
follows Graph's general rule for edges and is not confirmed by Meta's page on audiences.
)";

class MetaCustomAudiences final : public AudienceDestination, public Probed {
 public:
  std::string_view type() const override { return "meta_custom_audiences"; }
  std::string_view platform() const override { return "meta"; }
  std::string_view title() const override { return "Meta Custom Audiences"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  std::int64_t people_min() const override { return 100; }
  Limits limits() const override { return {.batch_records_max = 10'000}; }
  std::optional<ProcessingTime> processing() const override {
    return ProcessingTime{
        .most = kDay,
        .about =
            "Changes of an audience usually show within 24 hours; a removal takes longer the more records "
            "and audiences it concerns.",
        .source =
            "https://developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/guides/"
            "custom-audiences"};
  }
  std::size_t records(const Member& member) const override { return codec::rows(member); }

  std::string_view permissions() const override {
    return "the permission `ads_management`, and to be of an administrator of the ad account";
  }
  std::optional<HttpRequest> encode_probe(const Context& context) const override {
    return meta_graph::encode_debug_token(context);
  }
  Result<Standing> decode_probe(const HttpResponse& response) const override {
    return meta_graph::decode_debug_token(response, "ads_management");
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_account(config, problems);
    check_choice(config, std::string(codec::kCustomerFileSource), kSources, problems);
    check_boolean(config, std::string(codec::kValueBased), problems);
    check_boolean(config, std::string(codec::kLimitedDataUse), problems);
    check_limits(config, limits(), problems);
    check_token(config, std::string(codec::kAccessToken), problems);
    return problems;
  }

  bool takes_attributes() const override { return true; }
  std::vector<std::string> check_attributes(std::span<const std::string> names,
                                            const Config& config) const override {
    Problems problems;
    for (const std::string& name : names) {
      if (name != codec::kValue && name != codec::kLimitedDataUse &&
          codec::detail_named(kFields, name) == nullptr)
        problems.push_back("Meta has no column for `" + name + "`; its page lists those it has");
    }
    const bool has_value = std::ranges::find(names, codec::kValue) != names.end();
    const bool is_value_based = config.setting(std::string(codec::kValueBased)) == "true";
    if (has_value != is_value_based)
      problems.emplace_back(
          "an attribute called `value` and `settings: {value_based: true}` belong together");
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
    return codec::encode(batch, context, kFields);
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

 private:
  static void check_account(const Config& config, Problems& problems) {
    std::string_view account = config.setting(std::string(codec::kAdAccountId));
    if (account.starts_with("act_")) account.remove_prefix(4);
    if (account.find_first_not_of("0123456789") != std::string_view::npos)
      problems.emplace_back("ad_account_id must be a number, such as 1234567890 or act_1234567890");
  }
};

}  // namespace

const Destination& meta_custom_audiences() {
  static const MetaCustomAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
