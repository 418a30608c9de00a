#include <array>

#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/probe.h"
#include "destinations/tiktok_api/envelope.h"
#include "destinations/tiktok_events/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = tiktok_events_codec;

constexpr std::array<std::string_view, 4> kEventSources{"web", "app", "offline", "crm"};

constexpr std::array<Setting, 8> kSettings{{
    {.name = codec::kEventSourceId,
     .required = true,
     .example = "C4ABCDEFGH1234567890",
     .about =
         "What takes the events: the pixel's code, the app's id, or the id of the offline or CRM event set."},
    {.name = codec::kEventSource,
     .default_value = "web",
     .about = "Which of them it is: `web`, `app`, `offline` or `crm`."},
    {.name = tiktok_api::kBaseUrl,
     .default_value = "https://business-api.tiktok.com/open_api/v1.3",
     .about = "The API for Business with its version. For the sandbox: "
              "`http://127.0.0.1:9090/tiktok/open_api/v1.3`."},
    {.name = codec::kTestEventCode,
     .scope = Setting::Scope::sync,
     .about = "Of the Events Manager's test tab: the events are shown there, and still count as sent here."},
    {.name = codec::kLimitedDataUse,
     .scope = Setting::Scope::sync,
     .about = "`true`: every event carries `limited_data_use`; otherwise those that have it."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = tiktok_api::kAccessToken,
     .required = true,
     .secret = true,
     .about = "Token made in the Events Manager, or a long-term token with the permission for events."},
}};

// https://business-api.tiktok.com/portal/docs?id=1771100865818625
constexpr std::array kFields{
    FieldRule{Field::email, "email", &email<EmailForm{}>, Hashing::sha256_hex},
    FieldRule{Field::phone, "phone", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::external_id, "external_id", &opaque, Hashing::sha256_hex},
    FieldRule{Field::first_name, "first_name", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::last_name, "last_name", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::postal_code, "zip_code", &lower<kWithoutBlanks>, Hashing::sha256_hex},
    FieldRule{Field::city, "city", &lower<kLettersAndDigits>},
    FieldRule{Field::state, "state", &lower<kLettersAndDigits>},
    FieldRule{Field::country, "country", &country_lower},
    FieldRule{Field::ttclid, "ttclid", &opaque},
    FieldRule{Field::ttp, "ttp", &opaque},
    FieldRule{Field::ip_address, "ip", &ip_address},
    FieldRule{Field::user_agent, "user_agent", &opaque},
    FieldRule{Field::locale, "locale", &opaque},
};

constexpr std::array<EventName, 12> kEvents{{{"Order Completed", "Purchase"},
                                             {"Checkout Started", "InitiateCheckout"},
                                             {"Payment Info Entered", "AddPaymentInfo"},
                                             {"Product Added", "AddToCart"},
                                             {"Product Added to Wishlist", "AddToWishlist"},
                                             {"Product Viewed", "ViewContent"},
                                             {"Products Searched", "Search"},
                                             {"Signed Up", "CompleteRegistration"},
                                             {"Lead Generated", "Lead"},
                                             {"Form Submitted", "SubmitForm"},
                                             {"Trial Started", "StartTrial"},
                                             {"Subscription Started", "Subscribe"}}};
constexpr std::array<std::string_view, 2> kValued{"Purchase", "CompletePayment"};

constexpr std::array kEmail{Field::email};
constexpr std::array kPhone{Field::phone};
constexpr std::array kExternalId{Field::external_id};
constexpr std::array kClick{Field::ttclid};
constexpr std::array kBrowser{Field::ttp};
constexpr std::array kDevice{Field::ip_address, Field::user_agent};
constexpr std::array<std::span<const Field>, 6> kIdentifiedBy{kEmail, kPhone,   kExternalId,
                                                              kClick, kBrowser, kDevice};

constexpr std::string_view kAbout =
    R"(Tells TikTok of conversions through the Events API 2.0: `POST /event/track/`.

**Fields.** E-mail: trimmed, lower case, SHA-256; dots and `+` tags stay, other than in audiences. Phone: E.164 with
`+`, SHA-256. External id: as it is, SHA-256. Names and postal code: lower case without blanks, SHA-256. City, state and
country: lower case, not hashed. Click id, browser id, address, user agent and locale: as they are.

**De-duplication.** TikTok counts an event once by its name and `event_id` within 48 hours, beside the browser's pixel
too: give both the same id. Here it is the event's `event_id` property, or else its message id.

**Errors.** TikTok answers with HTTP 200 and a code, of the request as a whole. A part taken only (20001) and an event
that is not accepted (40002 that names `data.0` or another) are found by halving, as what came twice counts once. Too
many requests (40100) back off; a token that is not accepted or lacks a permission stops the sync; 50000 to 59999 are tried again.

**Refunds.** The API has no form for them; they are not sent, and counted.

**Not confirmed** by TikTok's pages: how old an event may be (7 days; 28 of what happened in a store), whether
advertising ids are to be hashed (they are not sent), and what a part taken only is answered with.
)";

class TiktokEvents final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "tiktok_events"; }
  std::string_view platform() const override { return "tiktok"; }
  std::string_view title() const override { return "TikTok Events API"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1000}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override {
    return {
        .age_max = kDay * 7, .store_age_max = kDay * 28, .valued = kValued, .identified_by = kIdentifiedBy};
  }

  std::string_view permissions() const override {
    return "to be made in the Events Manager for this event source, or the permission for events";
  }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(tiktok_api::kBaseUrl), Query::refused, problems);
    check_choice(config, std::string(codec::kEventSource), kEventSources, problems);
    check_boolean(config, std::string(codec::kLimitedDataUse), problems);
    check_limits(config, limits(), problems);
    check_token(config, std::string(tiktok_api::kAccessToken), problems);
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

const Destination& tiktok_events() {
  static const TiktokEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
