#include <array>

#include "destinations/checks.h"
#include "destinations/microsoft_conversions/codec.h"
#include "destinations/probe.h"

namespace tailrace::destinations {
namespace {

namespace codec = microsoft_conversions_codec;

constexpr std::array<std::string_view, 2> kConsents{"G", "D"};

constexpr std::array<Setting, 7> kSettings{{
    {.name = codec::kTagId,
     .required = true,
     .example = "1234567890",
     .about = "The UET tag that takes the events: `1234567890`."},
    {.name = codec::kBaseUrl,
     .default_value = "https://capi.uet.microsoft.com",
     .about = "The API. For the sandbox: `http://127.0.0.1:9090/microsoft`."},
    {.name = codec::kDataProvider,
     .default_value = "TAILRACE",
     .about = "Who sends, told with every request."},
    {.name = codec::kAdStorageConsent,
     .scope = Setting::Scope::sync,
     .about = "Consent told for people of whom it is not known: `G` (granted) or `D` (denied). Without it "
              "nothing is "
              "told, which Microsoft takes for granted."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = codec::kAccessToken,
     .required = true,
     .secret = true,
     .example = "secret-access-token",
     .about = "The tag's token, made with \"Use Conversions API\" in Microsoft Advertising."},
}};

constexpr EmailForm kBare{.dots = Dots::remove, .tag = Tag::remove};

// https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration
constexpr std::array kFields{
    FieldRule{Field::email, "em", &email<kBare>, Hashing::sha256_hex},
    FieldRule{Field::phone, "ph", &phone_with_plus, Hashing::sha256_hex},
    FieldRule{Field::external_id, "externalId", &opaque},
    FieldRule{Field::anonymous_id, "anonymousId", &opaque},
    FieldRule{Field::msclkid, "msclkid", &uuid},
    FieldRule{Field::ip_address, "clientIpAddress", &ip_address},
    FieldRule{Field::user_agent, "clientUserAgent", &opaque},
    FieldRule{Field::idfa, "idfa", &mobile_id_lower},
    FieldRule{Field::aaid, "gaid", &mobile_id_lower},
};

constexpr std::array<EventName, 12> kEvents{{{"Order Completed", "purchase"},
                                             {"Checkout Started", "begin_checkout"},
                                             {"Payment Info Entered", "add_payment_info"},
                                             {"Product Added", "add_to_cart"},
                                             {"Product Added to Wishlist", "add_to_wishlist"},
                                             {"Product Viewed", "view_item"},
                                             {"Product List Viewed", "view_item_list"},
                                             {"Products Searched", "search"},
                                             {"Signed Up", "signup"},
                                             {"Lead Generated", "submit_lead_form"},
                                             {"Subscription Started", "subscribe"},
                                             {"Page Viewed", codec::kPageLoad}}};

constexpr std::array kEmail{Field::email};
constexpr std::array kPhone{Field::phone};
constexpr std::array kExternalId{Field::external_id};
constexpr std::array kAnonymousId{Field::anonymous_id};
constexpr std::array kClick{Field::msclkid};
constexpr std::array kIdfa{Field::idfa};
constexpr std::array kAaid{Field::aaid};
constexpr std::array<std::span<const Field>, 7> kIdentifiedBy{kEmail, kPhone, kExternalId, kAnonymousId,
                                                              kClick, kIdfa,  kAaid};

constexpr std::string_view kAbout =
    R"(Tells Microsoft Advertising of conversions through the UET Conversions API: `POST /v1/{tag}/events`.

**Events.** A page view is an event of type `pageLoad`, everything else is `custom` with its name as the event's
action. The names below are usual ones: a conversion goal counts what its own rule says, so map yours.

**Matching.** At least one of e-mail, phone, external id, anonymous id, `msclkid` and advertising ids. E-mail: trimmed,
lower case, without dots and `+` tags before the `@` whatever the domain, SHA-256. Phone: E.164 with `+`, SHA-256.
External ids must say nothing of the person, so one with an `@` is left out. `msclkid` must be a UUID.

**De-duplication.** By tag, event id and name, with UET in the browser too: give both the same id. Here it is the
event's `event_id` property, or else its message id. The window is **unconfirmed**.

**Ages.** Events older than 7 days are not sent, and are counted. **Limits.** 1 000 events in a request.

**Errors.** Requests are taken whole or not at all (`continueOnValidationError` false). Microsoft names the first ten
errors by the event's place: those are rejected with the reason and the rest is sent again; where none is named, the
batch is halved. Warnings drop a field and keep the event. A token that is not accepted (401) stops the sync.

**Consent.** `adStorageConsent` is `G` for people who agreed to ads; of the others see the setting. Events of people
who refused ads are never sent.

**Test mode.** There is none. **Refunds** are not taken here; they are not sent, and counted. **Offline conversions**
by click id (`OfflineConversions/Apply`, up to 90 days old) are another API and are not sent by this destination.
)";

class MicrosoftConversions final : public EventDestination, public Probed {
 public:
  std::string_view type() const override { return "microsoft_conversions"; }
  std::string_view platform() const override { return "microsoft"; }
  std::string_view title() const override { return "Microsoft UET Conversions API"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1'000}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override { return {.age_max = kDay * 7, .identified_by = kIdentifiedBy}; }

  std::string_view permissions() const override { return "to be the token of this UET tag"; }
  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_account_id(config, std::string(codec::kTagId), problems);
    check_choice(config, std::string(codec::kAdStorageConsent), kConsents, problems);
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

const Destination& microsoft_conversions() {
  static const MicrosoftConversions kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
