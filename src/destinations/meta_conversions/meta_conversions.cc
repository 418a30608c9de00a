#include <array>

#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/meta_conversions/codec.h"
#include "destinations/meta_graph/graph.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = meta_conversions_codec;

constexpr std::array<Setting, 8> kSettings{{
    {.name = codec::kDatasetId,
     .required = true,
     .example = "1234567890",
     .about = "The dataset (pixel) that takes the events: `1234567890`."},
    {.name = meta_graph::kBaseUrl,
     .default_value = "https://graph.facebook.com/v26.0",
     .about = "The Graph API with its version. For the sandbox: `http://127.0.0.1:9090/meta/v26.0`."},
    {.name = codec::kTestEventCode,
     .scope = Setting::Scope::sync,
     .about = "Of the Events Manager's test tab: the events are shown there, and still count as sent."},
    {.name = codec::kLimitedDataUse,
     .scope = Setting::Scope::sync,
     .about = "`true`: every event carries Limited Data Use; otherwise those with `limited_data_use`."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = meta_graph::kAccessToken,
     .required = true,
     .secret = true,
     .about = "Token of a system user who has the dataset, or the one made for it in the Events Manager."},
    {.name = meta_graph::kAppSecret,
     .secret = true,
     .about = "The app's secret; with it every request carries `appsecret_proof`."},
}};

// https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters
constexpr std::array kFields{
    FieldRule{Field::email, "em", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::phone, "ph", &phone_digits, Hashing::sha256_hex},
    FieldRule{Field::external_id, "external_id", &opaque},
    FieldRule{Field::first_name, "fn", &lower<kLettersAndDigits>, Hashing::sha256_hex},
    FieldRule{Field::last_name, "ln", &lower<kLettersAndDigits>, Hashing::sha256_hex},
    FieldRule{Field::gender, "ge", &gender, Hashing::sha256_hex},
    FieldRule{Field::date_of_birth, "db", &date_digits, Hashing::sha256_hex},
    FieldRule{Field::city, "ct", &lower<kLetters>, Hashing::sha256_hex},
    FieldRule{Field::state, "st", &state_code_or_letters, Hashing::sha256_hex},
    FieldRule{Field::postal_code, "zp", &postal_code, Hashing::sha256_hex},
    FieldRule{Field::country, "country", &country_lower, Hashing::sha256_hex},
    FieldRule{Field::idfa, "madid", &mobile_id_lower},
    FieldRule{Field::aaid, "madid", &mobile_id_lower},
    FieldRule{Field::ip_address, "client_ip_address", &ip_address},
    FieldRule{Field::user_agent, "client_user_agent", &opaque},
    FieldRule{Field::fbc, "fbc", &opaque},
    FieldRule{Field::fbp, "fbp", &opaque},
};

constexpr std::array<EventName, 13> kEvents{{{"Order Completed", "Purchase"},
                                             {"Checkout Started", "InitiateCheckout"},
                                             {"Payment Info Entered", "AddPaymentInfo"},
                                             {"Product Added", "AddToCart"},
                                             {"Product Added to Wishlist", "AddToWishlist"},
                                             {"Product Viewed", "ViewContent"},
                                             {"Product List Viewed", "ViewContent"},
                                             {"Products Searched", "Search"},
                                             {"Signed Up", "CompleteRegistration"},
                                             {"Lead Generated", "Lead"},
                                             {"Trial Started", "StartTrial"},
                                             {"Subscription Started", "Subscribe"},
                                             {"Page Viewed", "PageView"}}};
constexpr std::array<std::string_view, 1> kValued{"Purchase"};

constexpr std::array kEmail{Field::email};
constexpr std::array kPhone{Field::phone};
constexpr std::array kExternalId{Field::external_id};
constexpr std::array kClick{Field::fbc};
constexpr std::array kBrowser{Field::fbp};
constexpr std::array kIdfa{Field::idfa};
constexpr std::array kAaid{Field::aaid};
constexpr std::array kDevice{Field::ip_address, Field::user_agent};
constexpr std::array<std::span<const Field>, 8> kIdentifiedBy{kEmail,   kPhone, kExternalId, kClick,
                                                              kBrowser, kIdfa,  kAaid,       kDevice};

constexpr std::string_view kAbout =
    R"(Tells Meta of conversions through the Conversions API: `POST /{dataset}/events`.

**De-duplication.** Meta counts an event once by its `event_id` and name within 48 hours, beside the browser's pixel
too: give both the same id. Here it is the event's `event_id` property, or else its message id. A resend is the same
bytes, so a lost answer does no harm.

**Clicks.** `fbc` and `fbp` are sent as they came (`properties`, `context` or the person's attributes). Where the page's
address has an `fbclid` and there is no `fbc`, it is made of the two, as Meta describes.

**Ages.** Meta refuses a whole request for one event older than 7 days (62 days for a physical store); so such events
are never sent, and are counted. An event may be dated one minute ahead.

**Errors.** Meta does not say which event it minds: the batch is halved until it stands alone, and is then rejected with
its reason. `events_received` below what was sent counts as that. Throttling waits as long as Meta asks.

**Refunds.** The API has no form for them that is documented; they are not sent, and counted.
)";

class MetaConversions final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "meta_conversions"; }
  std::string_view platform() const override { return "meta"; }
  std::string_view title() const override { return "Meta Conversions API"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1'000, .batch_bytes_max = 1'000'000}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override {
    return {.age_max = kDay * 7,
            .store_age_max = kDay * 62,
            .ahead_max = kMinute,
            .valued = kValued,
            .identified_by = kIdentifiedBy};
  }

  std::string_view permissions() const override {
    return "access to the dataset: the permission `ads_management`, or a token made for the dataset in its "
           "settings";
  }
  std::optional<HttpRequest> encode_probe(const Context& context) const override {
    return codec::encode_probe(context);
  }
  Result<Standing> decode_probe(const HttpResponse& response) const override {
    return codec::decode_probe(response);
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(meta_graph::kBaseUrl), Query::refused, problems);
    check_account_id(config, std::string(codec::kDatasetId), problems);
    check_boolean(config, std::string(codec::kLimitedDataUse), problems);
    check_limits(config, limits(), problems);
    check_token(config, std::string(meta_graph::kAccessToken), problems);
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

const Destination& meta_conversions() {
  static const MetaConversions kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
