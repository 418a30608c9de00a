#include <array>

#include "destinations/braze_api/track.h"
#include "destinations/braze_events/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = braze_events_codec;

constexpr std::string_view kList = "events";

constexpr std::array<Setting, 5> kSettings{{
    braze_api::kBaseUrlSetting,
    {.name = codec::kAliasLabel,
     .default_value = "anonymous_id",
     .about = "The label of the alias by which an anonymous person is known."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    braze_api::kApiKeySetting,
}};

constexpr std::array kFields{
    FieldRule{Field::external_id, "external_id", &opaque},
    FieldRule{Field::email, "email", &email<EmailForm{}>},
    FieldRule{Field::phone, "phone", &phone_with_plus},
    FieldRule{Field::anonymous_id, "user_alias", &opaque},
};

constexpr std::array<EventName, 7> kEvents{{{"Order Completed", "ecommerce.order_placed"},
                                            {"Order Refunded", "ecommerce.order_refunded"},
                                            {"Order Cancelled", "ecommerce.order_cancelled"},
                                            {"Product Viewed", "ecommerce.product_viewed"},
                                            {"Product Added", "ecommerce.cart_updated"},
                                            {"Product Removed", "ecommerce.cart_updated"},
                                            {"Checkout Started", "ecommerce.checkout_started"}}};

constexpr std::array kUser{Field::external_id};
constexpr std::array kEmail{Field::email};
constexpr std::array kPhone{Field::phone};
constexpr std::array kDevice{Field::anonymous_id};
constexpr std::array<std::span<const Field>, 4> kIdentifiedBy{kUser, kEmail, kPhone, kDevice};

constexpr std::string_view kAbout =
    R"(Sends events to Braze: `POST /users/track`. Orders, carts and products go as Braze's recommended e-commerce events, in
their schema; every other event goes by its own name, with its properties.

**Recommended events.** Braze refuses one that lacks what its schema asks for: order or cart id, currency, value, and of
each product id, name, variant, price and quantity (and a reason of a cancellation). An event without all of these goes
by its own name instead (`Order Refunded`). Further properties stand in `metadata`. To do without, map the names in the
sync: `events: { Order Completed: Order Completed }`.

**Who.** `external_id`; else `email`; else `phone`; else an alias with the anonymous id. E-mail addresses and phone
numbers are sent as they are, not hashed.

**De-duplication.** There is none: an event that is sent twice counts twice. What was sent and never answered is held
back as a dead letter unless the sync says `no_answer: resend`.

**Order.** Events of a person go one after another.

**Errors.** Braze takes what it can of a request and names the others in `errors`: those are dead letters. A request that
is refused whole (400) is halved until the event stands alone. 429 is followed by `X-RateLimit-Retry-After`.

**Limits.** 75 events in a request; 3 000 requests in 3 seconds. Accounts that pay by monthly users have hourly limits of
their own: lower `requests_per_minute`.
)";

class BrazeEvents final : public EventDestination {
 public:
  std::string_view type() const override { return "braze_events"; }
  std::string_view platform() const override { return "braze"; }
  std::string_view title() const override { return "Braze events"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override {
    return {.batch_records_max = braze_api::kObjectsMax,
            .batch_bytes_max = braze_api::kBytesMax,
            .requests_per_minute = braze_api::kRequestsPerMinute};
  }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override { return {.identified_by = kIdentifiedBy}; }
  bool counts_once() const override { return false; }
  bool takes_every_event() const override { return true; }
  bool keeps_order() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(braze_api::kBaseUrl), Query::refused, problems);
    check_token(config, std::string(braze_api::kApiKey), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    return codec::encode_event(*this, conversion, at.config);
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return braze_api::encode(kList, events, context.config);
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return braze_api::decode(kList, events, response);
  }
};

}  // namespace

const Destination& braze_events() {
  static const BrazeEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
