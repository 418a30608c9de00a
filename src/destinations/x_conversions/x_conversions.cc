#include <array>

#include "destinations/authentication/oauth1.h"
#include "destinations/checks.h"
#include "destinations/probe.h"
#include "destinations/x_audiences/api.h"
#include "destinations/x_conversions/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = x_conversions_codec;

constexpr std::size_t kOtherSettings = 8;

constexpr auto kSettings = [] {
  std::array<Setting, kOtherSettings + codec::kKinds.size()> all{{
      {.name = codec::kPixelId,
       .required = true,
       .example = "o8z6j",
       .about = "The pixel (event tag) that takes the conversions, as the Events Manager names it: `o8z6j`."},
      x_api::kBaseUrlSetting,
      kBatchRecordsMax,
      kRequestsPerMinute,
      oauth1::kConsumerKeySetting,
      oauth1::kConsumerSecretSetting,
      oauth1::kAccessTokenSetting,
      oauth1::kAccessTokenSecretSetting,
  }};
  for (std::size_t i = 0; i < codec::kKinds.size(); ++i) {
    all[kOtherSettings + i] = {.name = codec::kKinds[i].setting,
                               .scope = Setting::Scope::sync,
                               .example = "tw-o8z6j-o87ne",
                               .about =
                                   "Id of the event configured for this kind at X: `tw-o8z6j-o87ne` or "
                                   "`o87ne`. Without it, events of the kind are not sent, and counted."};
  }
  return all;
}();

// https://docs.x.com/x-ads-api/measurement/web-conversions
constexpr std::array kFields{
    FieldRule{Field::twclid, "twclid", &opaque},
    FieldRule{Field::email, "hashed_email", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::phone, "hashed_phone_number", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::ip_address, "ip_address", &ip_address},
    FieldRule{Field::user_agent, "user_agent", &opaque},
};

constexpr std::array<EventName, 11> kEvents{{{"Order Completed", "PURCHASE"},
                                             {"Checkout Started", "CHECKOUT_INITIATED"},
                                             {"Payment Info Entered", "ADDED_PAYMENT_INFO"},
                                             {"Product Added", "ADD_TO_CART"},
                                             {"Product Added to Wishlist", "ADD_TO_WISHLIST"},
                                             {"Product Viewed", "CONTENT_VIEW"},
                                             {"Product List Viewed", "CONTENT_VIEW"},
                                             {"Products Searched", "SEARCH"},
                                             {"Signed Up", "SIGN_UP"},
                                             {"Lead Generated", "LEAD"},
                                             {"Page Viewed", "PAGE_VIEW"}}};

constexpr std::array kEmail{Field::email};
constexpr std::array kPhone{Field::phone};
constexpr std::array kClick{Field::twclid};
constexpr std::array<std::span<const Field>, 3> kIdentifiedBy{kEmail, kPhone, kClick};

constexpr std::string_view kAbout =
    R"(Tells X of conversions: `POST /measurement/conversions/{pixel}` (Ads API v12).

**Events.** X knows an event by the id it has in the Events Manager, not by a name. So there is a setting per kind
(`purchase_event_id` ...), and a mapping of the sync may name an id outright. An event without an id is not sent,
and counted.

**Matching.** At least one of click id (`twclid`), e-mail and phone; address and browser are sent beside one of
those only. E-mail: trimmed, lower case, SHA-256. Phone: E.164 with `+`, SHA-256.

**De-duplication.** By `conversion_id` and event, beside the browser's pixel too: give both the same id. Here it is
the event's `event_id` property, or else its message id. The window (48 hours) is **unconfirmed**.

**Limits.** 500 conversions in a request. X documents 60 000 conversions in 15 minutes in one place and 100 000
requests in another; the first is kept, by 8 requests a minute. A largest age of conversions is not documented.

**Errors.** X answers for the request as a whole: where it minds a parameter, the batch is halved until the event
stands alone, and is then rejected with its reason. `conversions_processed` below what was sent counts as that.
Throttling waits until the limit is reset. Keys that are not accepted, permissions and a missing pixel stop the sync.

**Consent.** X takes no field of consent. Events of people who refused ads are never sent.

**Test mode.** There is none; the Events Manager shows what was received. **Refunds** are not taken; they are not
sent, and counted.
)";

class XConversions final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "x_conversions"; }
  std::string_view platform() const override { return "x"; }
  std::string_view title() const override { return "X Conversion API"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 500, .requests_per_minute = 8}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override { return {.identified_by = kIdentifiedBy}; }

  std::string_view permissions() const override {
    return "the role AD_MANAGER or ACCOUNT_ADMIN on the account of the pixel";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(x_api::kBaseUrl), Query::refused, problems);
    x_api::check_id(config, codec::kPixelId, problems);
    check_limits(config, limits(), problems);
    x_api::check_credentials(config, problems);
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

const Destination& x_conversions() {
  static const XConversions kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
