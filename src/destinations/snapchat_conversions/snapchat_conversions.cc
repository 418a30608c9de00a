#include <array>

#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/probe.h"
#include "destinations/snapchat_conversions/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = snapchat_conversions_codec;

constexpr std::array<Setting, 7> kSettings{{
    {.name = codec::kAssetId,
     .required = true,
     .example = "7b4c1d2e-0000-4000-8000-000000000001",
     .about = "What takes the events: the pixel's id for a website or a store, the Snap App ID for an app."},
    {.name = codec::kBaseUrl,
     .default_value = "https://tr.snapchat.com/v3",
     .about = "The Conversions API with its version. For the sandbox: `http://127.0.0.1:9090/snapchat/v3`."},
    {.name = codec::kValidateOnly,
     .scope = Setting::Scope::sync,
     .about =
         "`true`: the events are validated and not counted. What is accepted counts as sent here, so use a "
         "store of its own (`--data`)."},
    {.name = codec::kLimitedDataUse,
     .scope = Setting::Scope::sync,
     .about = "`true`: every event carries Limited Data Use; otherwise those with `limited_data_use`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = codec::kAccessToken,
     .required = true,
     .secret = true,
     .about = "Long-lived token for the Conversions API, made in the Business Manager."},
}};

// https://developers.snap.com/api/marketing-api/Conversions-API/UsingTheAPI
constexpr std::array kFields{
    FieldRule{Field::email, "em", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::phone, "ph", &phone_digits, Hashing::sha256_hex},
    FieldRule{Field::external_id, "external_id", &opaque, Hashing::sha256_hex},
    FieldRule{Field::first_name, "fn", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::last_name, "ln", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::gender, "ge", &gender, Hashing::sha256_hex},
    FieldRule{Field::date_of_birth, "db", &date_digits, Hashing::sha256_hex},
    FieldRule{Field::city, "ct", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::state, "st", &state_code, Hashing::sha256_hex},
    FieldRule{Field::postal_code, "zp", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::country, "country", &country_lower, Hashing::sha256_hex},
    FieldRule{Field::ip_address, "client_ip_address", &ip_address},
    FieldRule{Field::user_agent, "client_user_agent", &opaque},
    FieldRule{Field::idfa, "madid", &mobile_id_lower},
    FieldRule{Field::aaid, "madid", &mobile_id_lower},
    FieldRule{Field::idfv, "idfv", &opaque_lower},
    FieldRule{Field::sc_click_id, "sc_click_id", &opaque},
    FieldRule{Field::sc_cookie1, "sc_cookie1", &opaque},
};

constexpr std::array<EventName, 11> kEvents{{{"Order Completed", "PURCHASE"},
                                             {"Checkout Started", "START_CHECKOUT"},
                                             {"Payment Info Entered", "ADD_BILLING"},
                                             {"Product Added", "ADD_CART"},
                                             {"Product Added to Wishlist", "SAVE"},
                                             {"Product Viewed", "VIEW_CONTENT"},
                                             {"Product List Viewed", "VIEW_CONTENT"},
                                             {"Products Searched", "SEARCH"},
                                             {"Signed Up", "SIGN_UP"},
                                             {"Subscription Started", "SUBSCRIBE"},
                                             {"Page Viewed", "PAGE_VIEW"}}};
constexpr std::array<std::string_view, 1> kValued{"PURCHASE"};

constexpr std::array kEmail{Field::email};
constexpr std::array kPhone{Field::phone};
constexpr std::array kIdfa{Field::idfa};
constexpr std::array kAaid{Field::aaid};
constexpr std::array kDevice{Field::ip_address, Field::user_agent};
constexpr std::array<std::span<const Field>, 5> kIdentifiedBy{kEmail, kPhone, kIdfa, kAaid, kDevice};

constexpr std::string_view kAbout =
    R"(Tells Snapchat of conversions through the Conversions API v3: `POST /{asset}/events`.

**Fields.** E-mail: trimmed, lower case, SHA-256. Phone: with country code, digits only, SHA-256. Names, city and postal
code: lower case without blanks, SHA-256. State: two letters, SHA-256. Address, user agent, advertising id (lower case),
click id (`ScCid`) and cookie: as they are. An event needs an e-mail, a phone, an advertising id, or the address with the
user agent; of a website also the page's address.

**De-duplication.** Snapchat counts an event once by its `event_id` beside the pixel's `client_dedup_id` (48 hours are
said), purchases also by `order_id`. Here the id is the event's `event_id` property, or else its message id.

**Ages.** Events older than 37 days are not reported by Snapchat; they are never sent, and counted.

**Errors.** Snapchat does not say which event it minds (HTTP 400): the batch is halved until it stands alone, and is then
rejected. 429 and failures are tried again; a token that is not accepted (401, 403) stops the sync.

**Refunds.** The API has no form for them; they are not sent, and counted.

**Not confirmed** by Snapchat's pages: outcomes per event, and whether times may also be in milliseconds (seconds are
sent). The `app_data` of an app's events (tracking flags, device) is not sent.
)";

class SnapchatConversions final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "snapchat_conversions"; }
  std::string_view platform() const override { return "snapchat"; }
  std::string_view title() const override { return "Snapchat Conversions API"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 2000}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override {
    return {.age_max = kDay * 37, .valued = kValued, .identified_by = kIdentifiedBy};
  }

  std::string_view permissions() const override {
    return "to be a token of the Conversions API for this pixel or app";
  }
  std::optional<TestMode> test_mode() const override { return TestMode{codec::kValidateOnly, "true"}; }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_boolean(config, std::string(codec::kValidateOnly), problems);
    check_boolean(config, std::string(codec::kLimitedDataUse), problems);
    check_limits(config, limits(), problems);
    check_token(config, std::string(codec::kAccessToken), problems);
    return problems;
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

const Destination& snapchat_conversions() {
  static const SnapchatConversions kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
