#include <array>

#include "destinations/authentication/refresh_token.h"
#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/pinterest_conversions/codec.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = pinterest_conversions_codec;
namespace token = refresh_token;

constexpr std::array<Setting, 11> kSettings{{
    {.name = codec::kAdAccountId,
     .required = true,
     .example = "549755885175",
     .about = "The ad account that takes the events."},
    {.name = codec::kBaseUrl,
     .default_value = "https://api.pinterest.com/v5",
     .about = "The API with its version. For the sandbox: `http://127.0.0.1:9090/pinterest/v5`."},
    {.name = token::kTokenUrl,
     .default_value = "https://api.pinterest.com/v5/oauth/token",
     .about = "Where access tokens are fetched. For the sandbox: "
              "`http://127.0.0.1:9090/pinterest/v5/oauth/token`."},
    {.name = codec::kValidateOnly,
     .scope = Setting::Scope::sync,
     .about =
         "`true`: the events are validated and not recorded. What is accepted counts as sent here, so use a "
         "store of its own (`--data`)."},
    {.name = codec::kLimitedDataUse,
     .scope = Setting::Scope::sync,
     .about = "`true`: every event carries `opt_out_type` `LDP`; otherwise those with `limited_data_use`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = token::kAccessToken,
     .secret = true,
     .about = "Conversion token, made in the Ads Manager; it lives long and serves this alone."},
    token::kClientIdSetting,
    token::kClientSecretSetting,
    {.name = token::kRefreshToken,
     .secret = true,
     .about = "Instead of the conversion token: refresh token of a user, with the scope `ads:write`."},
}};

// https://github.com/pinterest/api-description (v5/openapi.json)
constexpr std::array kFields{
    FieldRule{Field::email, "em", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::phone, "ph", &phone_digits, Hashing::sha256_hex},
    FieldRule{Field::gender, "ge", &gender, Hashing::sha256_hex},
    FieldRule{Field::date_of_birth, "db", &date_digits, Hashing::sha256_hex},
    FieldRule{Field::last_name, "ln", &lower<kAsIs>, Hashing::sha256_hex},
    FieldRule{Field::first_name, "fn", &lower<kAsIs>, Hashing::sha256_hex},
    FieldRule{Field::city, "ct", &lower<kLettersAndDigits>, Hashing::sha256_hex},
    FieldRule{Field::state, "st", &state_code, Hashing::sha256_hex},
    FieldRule{Field::postal_code, "zp", &postal_digits, Hashing::sha256_hex},
    FieldRule{Field::country, "country", &country_lower, Hashing::sha256_hex},
    FieldRule{Field::external_id, "external_id", &opaque, Hashing::sha256_hex},
    FieldRule{Field::idfa, "hashed_maids", &mobile_id_lower, Hashing::sha256_hex},
    FieldRule{Field::aaid, "hashed_maids", &mobile_id_lower, Hashing::sha256_hex},
    FieldRule{Field::epik, "click_id", &opaque},
    FieldRule{Field::ip_address, "client_ip_address", &ip_address},
    FieldRule{Field::user_agent, "client_user_agent", &opaque},
};

constexpr std::array<EventName, 12> kEvents{{{"Order Completed", "checkout"},
                                             {"Checkout Started", "initiate_checkout"},
                                             {"Payment Info Entered", "add_payment_info"},
                                             {"Product Added", "add_to_cart"},
                                             {"Product Added to Wishlist", "add_to_wishlist"},
                                             {"Product Viewed", "view_content"},
                                             {"Product List Viewed", "view_category"},
                                             {"Products Searched", "search"},
                                             {"Signed Up", "signup"},
                                             {"Lead Generated", "lead"},
                                             {"Subscription Started", "subscribe"},
                                             {"Page Viewed", "page_visit"}}};

constexpr std::array kEmail{Field::email};
constexpr std::array kIdfa{Field::idfa};
constexpr std::array kAaid{Field::aaid};
constexpr std::array kDevice{Field::ip_address, Field::user_agent};
constexpr std::array<std::span<const Field>, 4> kIdentifiedBy{kEmail, kIdfa, kAaid, kDevice};

constexpr std::string_view kAbout =
    R"(Tells Pinterest of conversions through the Conversions API: `POST /ad_accounts/{account}/events`.

**Fields.** E-mail: trimmed, lower case, SHA-256. Phone: with country code, digits only, SHA-256. Names: lower case,
SHA-256; city: without blanks and punctuation; state: two letters; postal code: digits. External id: as it is, SHA-256.
Advertising ids: lower case, SHA-256. Click id (`epik`), address and user agent: as they are. An event needs an e-mail, an
advertising id, or the address with the user agent.

**De-duplication.** Pinterest counts an event once by its name and `event_id`, beside the browser's tag too. Here the id is
the event's `event_id` property, or else its message id. Events in a store are not de-duplicated.

**Consent.** Somebody without consent to personalised ads is sent with `opt_out`; without consent to ads nothing is sent.

**Errors.** Pinterest answers for every event; one it refuses is rejected, also where the whole answer is an error (422).
A request refused as a whole (400) is halved. 429 and failures are tried again; a token that is not accepted is fetched
anew, where there is one to fetch.

**Refunds.** The API has no form for them; they are not sent, and counted.

**Not confirmed** by Pinterest's description of its API: how old an event may be (7 days), and for how long it counts an
event once.
)";

class PinterestConversions final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "pinterest_conversions"; }
  std::string_view platform() const override { return "pinterest"; }
  std::string_view title() const override { return "Pinterest Conversions API"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1000, .requests_per_minute = 5000}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override { return {.age_max = kDay * 7, .identified_by = kIdentifiedBy}; }

  std::string_view permissions() const override {
    return "to be a conversion token of the ad account, or the scope `ads:write`";
  }
  std::optional<TestMode> test_mode() const override { return TestMode{codec::kValidateOnly, "true"}; }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = token::check(config, token::LongLived::accepted);
    check_account_id(config, std::string(codec::kAdAccountId), problems);
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_url(config, std::string(token::kTokenUrl), Query::refused, problems);
    check_boolean(config, std::string(codec::kValidateOnly), problems);
    check_boolean(config, std::string(codec::kLimitedDataUse), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::optional<HttpRequest> encode_token(const Config& config, Time) const override {
    return token::encode(config, {.client = token::Flow::Client::basic});
  }
  Result<Token> decode_token(const HttpResponse& response, Time now) const override {
    return token::decode(response, now);
  }
  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    return codec::encode_event(*this, conversion, at.config);
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return codec::encode(events, context);
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return codec::decode(events, response);
  }
};

}  // namespace

const Destination& pinterest_conversions() {
  static const PinterestConversions kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
