#include <array>

#include "destinations/authentication/refresh_token.h"
#include "destinations/checks.h"
#include "destinations/probe.h"
#include "destinations/reddit_audiences/api.h"
#include "destinations/reddit_conversions/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = reddit_conversions_codec;

constexpr std::array<std::string_view, 2> kConversionIdForms{"plain", codec::kHashed};

constexpr std::array<Setting, 12> kSettings{{
    {.name = codec::kPixelId,
     .required = true,
     .example = "t2_abc",
     .about = "The pixel that takes the events: `t2_abc`."},
    reddit_api::kBaseUrlSetting,
    reddit_api::kTokenUrlSetting,
    {.name = codec::kPartner, .default_value = "TAILRACE", .about = "Who sends, told with every request."},
    {.name = codec::kConversionId,
     .default_value = "plain",
     .about = "How the id of a conversion is sent: `plain`, or `hashed` (SHA-256). As the browser's pixel "
              "sends it."},
    {.name = codec::kTestId,
     .scope = Setting::Scope::sync,
     .about =
         "Of the Events Manager's test tab: the events are shown there, and do not count. Do not mix with "
         "live events."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    refresh_token::kClientIdSetting,
    refresh_token::kClientSecretSetting,
    {.name = refresh_token::kRefreshToken,
     .secret = true,
     .about = "Refresh token of a user of the ad account, with the scope `adsconversions`."},
    {.name = refresh_token::kAccessToken,
     .secret = true,
     .about =
         "Instead of the three: the conversion access token made in the Ads Manager, which does not expire."},
}};

constexpr EmailForm kBare{.dots = Dots::remove, .tag = Tag::remove};

constexpr std::array kFields{
    FieldRule{Field::email, "email", &email<kBare>, Hashing::sha256_hex},
    FieldRule{Field::phone, "phone_number", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::external_id, "external_id", &opaque, Hashing::sha256_hex},
    FieldRule{Field::ip_address, "ip_address", &ip_address, Hashing::sha256_hex},
    FieldRule{Field::idfa, "idfa", &mobile_id_upper, Hashing::sha256_hex},
    FieldRule{Field::aaid, "aaid", &mobile_id_lower, Hashing::sha256_hex},
    FieldRule{Field::user_agent, "user_agent", &opaque},
    FieldRule{Field::rdt_uuid, "uuid", &opaque},
    FieldRule{Field::rdt_cid, "click_id", &opaque},
};

constexpr std::array<EventName, 9> kEvents{{{"Order Completed", "PURCHASE"},
                                            {"Product Added", "ADD_TO_CART"},
                                            {"Product Added to Wishlist", "ADD_TO_WISHLIST"},
                                            {"Product Viewed", "VIEW_CONTENT"},
                                            {"Product List Viewed", "VIEW_CONTENT"},
                                            {"Products Searched", "SEARCH"},
                                            {"Signed Up", "SIGN_UP"},
                                            {"Lead Generated", "LEAD"},
                                            {"Page Viewed", "PAGE_VISIT"}}};

constexpr std::array kEmail{Field::email};
constexpr std::array kPhone{Field::phone};
constexpr std::array kExternalId{Field::external_id};
constexpr std::array kIdfa{Field::idfa};
constexpr std::array kAaid{Field::aaid};
constexpr std::array kClick{Field::rdt_cid};
constexpr std::array kBrowser{Field::rdt_uuid};
constexpr std::array kDevice{Field::ip_address, Field::user_agent};
constexpr std::array<std::span<const Field>, 8> kIdentifiedBy{kEmail, kPhone, kExternalId, kIdfa,
                                                              kAaid,  kClick, kBrowser,    kDevice};

constexpr std::string_view kAbout =
    R"(Tells Reddit of conversions: `POST /pixels/{pixel}/conversion_events` (Conversions API v3). An event whose
mapped name is none of Reddit's is sent as `CUSTOM` with that name.

**Matching.** Click id (`rdt_cid`), browser id (`_rdt_uuid`) and user agent as they are; everything else is hashed,
the address too. E-mail: trimmed, lower case, without dots and `+` tags before the `@` whatever the domain.
Phone: E.164 with `+`. Advertising ids: of iOS in upper case, of Android in lower case.

**De-duplication.** By `conversion_id`, with the browser's pixel. One vendor hashes it and another says that the API
does not count once by it: both are **unconfirmed**, so send it in the same form as the pixel does. Here it is the
event's `event_id` property, or else its message id.

**Ages.** Reddit refuses a whole request for one event older than 7 days; such events are never sent, and are
counted. An event may be dated five minutes ahead.

**Limits.** 1 000 events in a request, 250 000 events in a minute per pixel.

**Errors.** Reddit refuses a request whole (400) and does not say which event it minds: the batch is halved until
it stands alone, and is then rejected. A success may list `invalid_events`; those with an index are rejected.
Whether there is one is **unconfirmed**: without it the number is told and nothing is sent again, as what was taken
might count twice.

**Consent.** `limited_data_use` of an event becomes `data_processing_options` (LDU) with country and state where
they are known. Events of people who refused ads are never sent.

**Test mode.** `test_id` of the sync. **Refunds** are not taken; they are not sent, and counted.
)";

class RedditConversions final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "reddit_conversions"; }
  std::string_view platform() const override { return "reddit"; }
  std::string_view title() const override { return "Reddit Conversions API"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1'000, .requests_per_minute = 250}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override {
    return {.age_max = kDay * 7, .ahead_max = kMinute * 5, .identified_by = kIdentifiedBy};
  }
  bool counts_once() const override { return false; }

  std::string_view permissions() const override {
    return "the scope `adsconversions`, or to be a conversion access token";
  }
  std::optional<TestMode> test_mode() const override { return TestMode{codec::kTestId, "tailrace-check"}; }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems = refresh_token::check(config, refresh_token::LongLived::accepted);
    reddit_api::check_id(config, codec::kPixelId, problems);
    check_choice(config, std::string(codec::kConversionId), kConversionIdForms, problems);
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

const Destination& reddit_conversions() {
  static const RedditConversions kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
