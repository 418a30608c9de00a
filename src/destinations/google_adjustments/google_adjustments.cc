#include <array>

#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/google_adjustments/codec.h"
#include "destinations/google_conversions/codec.h"
#include "destinations/google_data_manager/codec.h"
#include "destinations/google_data_manager/token.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = google_adjustments_codec;
namespace manager = google_codec;
namespace token = google_token;

constexpr std::string_view kScope = "https://www.googleapis.com/auth/adwords";

constexpr std::array<Setting, 12> kSettings{{
    {.name = codec::kCustomerId,
     .required = true,
     .example = "1234567890",
     .about = "The Google Ads conversion customer: `1234567890` or `123-456-7890`."},
    {.name = codec::kLoginCustomerId,
     .about =
         "The manager account through which the credentials reach it, where they do not reach it directly."},
    {.name = google_conversions_codec::kConversionActionId,
     .scope = Setting::Scope::sync,
     .required = true,
     .example = "5550001",
     .about = "The conversion action whose conversions are adjusted: that of the sync that told of them."},
    {.name = manager::kValidateOnly,
     .default_value = "false",
     .about = "`true`: Google checks every request and stores nothing."},
    {.name = manager::kBaseUrl,
     .default_value = "https://googleads.googleapis.com/v26",
     .about = "The Google Ads API with its version, each of which lives for about a year. For the sandbox: "
              "`http://127.0.0.1:9090/google/v26`."},
    token::kTokenUrlSetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    token::kClientIdSetting,
    token::kClientSecretSetting,
    {.name = token::kRefreshToken,
     .secret = true,
     .about = "Refresh token of a user, with the scope `https://www.googleapis.com/auth/adwords`."},
    token::kServiceAccountJsonSetting,
}};

constexpr std::array<EventName, 2> kEvents{
    {{"Order Cancelled", codec::kRetraction}, {"Order Refunded", codec::kRefund}}};

constexpr std::string_view kAbout =
    R"(Tells Google Ads that a conversion was taken back or is worth less: `POST /customers/{customer}:uploadConversionAdjustments`. The conversions themselves
go through [google_conversions](google_conversions.md) or a tag.

**What is adjusted.** The conversion of the sync's `conversion_action_id` with the order's id, which is the transaction id there. Nothing of a person is sent.

**Kinds.** `RETRACTION` takes a conversion back for good. `RESTATEMENT` gives it another value: map the event to it, with what is left of the order as `value`
(`fields: {value: properties.total - properties.refunded}`). `Order Cancelled` is a retraction. `Order Refunded` is one (`REFUND`) where the event states neither
a value nor products: otherwise a part of the order may be left, and it is not sent, and counted, until the sync maps it to one of the two.

**De-duplication.** A second retraction, and a restatement of the same second, change nothing, and count as accepted. Of several restatements of an order that with the
latest time holds; one that comes with an earlier time is refused (`MORE_RECENT_RESTATEMENT_FOUND`).

**Ages.** Google adjusts no conversion that is older than 54 days (`CONVERSION_EXPIRED`), and knows at once of a conversion that is new; one that it finds nowhere
shows in its diagnostics, up to a day later, and not in the answer. Conversions of a `wbraid` alone cannot be adjusted.

**Errors.** Google carries out what is valid and names the rest, which is rejected with its code. 401 fetches a new token, quotas wait as for
[audiences](google_data_manager.md), 403 and 404 stop the sync until somebody mends the cause.

**Not confirmed**: whether the Data Manager API takes adjustments too; its guides name them without their form.
)";

class GoogleAdjustments final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "google_adjustments"; }
  std::string_view platform() const override { return "google"; }
  std::string_view title() const override { return "Google Ads conversion adjustments"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return {}; }
  Limits limits() const override { return {.batch_records_max = 2'000}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override { return {}; }

  std::string_view permissions() const override {
    return "the OAuth scope `https://www.googleapis.com/auth/adwords`, access to the account, and the Google "
           "Ads "
           "API enabled in the Cloud project they belong to";
  }
  std::optional<TestMode> test_mode() const override { return TestMode{manager::kValidateOnly, "true"}; }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config);
    check_account_id(config, std::string(codec::kCustomerId), problems);
    check_account_id(config, std::string(codec::kLoginCustomerId), problems);
    check_account_id(config, std::string(google_conversions_codec::kConversionActionId), problems);
    check_boolean(config, std::string(manager::kValidateOnly), problems);
    check_url(config, std::string(manager::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(manager::kTokenUrl), Query::refused, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time now) const override {
    return token::encode(config, now, kScope);
  }
  Result<Token> decode_token(const HttpResponse& response, Time now) const override {
    return token::decode(response, now);
  }
  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    return codec::encode_event(conversion, at.config);
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return codec::encode(events, context);
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return codec::decode(events, response);
  }
};

}  // namespace

const Destination& google_adjustments() {
  static const GoogleAdjustments kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
