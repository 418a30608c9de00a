#include <algorithm>
#include <array>

#include "destinations/checks.h"
#include "destinations/ga4_events/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = ga4_events_codec;

constexpr std::array<std::string_view, 2> kModes{"live", codec::kValidate};

constexpr std::array<Setting, 6> kSettings{{
    {.name = codec::kMeasurementId,
     .required = true,
     .example = "G-ABC1234567",
     .about = "The web stream that takes the events: `G-ABC1234567`."},
    {.name = codec::kBaseUrl,
     .default_value = "https://www.google-analytics.com",
     .about = "For the sandbox: `http://127.0.0.1:9090/ga4`."},
    {.name = codec::kMode,
     .default_value = "live",
     .about = "`live`, or `validate`: events go to Google's validation server, which says what it minds and "
              "counts "
              "nothing."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = codec::kApiSecret,
     .required = true,
     .secret = true,
     .about = "A Measurement Protocol API secret of the stream."},
}};

constexpr std::array kFields{
    FieldRule{Field::ga_client_id, "client_id", &opaque},
    FieldRule{Field::anonymous_id, "client_id", &opaque},
    FieldRule{Field::external_id, "user_id", &opaque},
};

constexpr std::array<EventName, 19> kEvents{{{"Order Completed", "purchase"},
                                             {"Order Refunded", "refund"},
                                             {"Products Searched", "search"},
                                             {"Product List Viewed", "view_item_list"},
                                             {"Product Clicked", "select_item"},
                                             {"Product Viewed", "view_item"},
                                             {"Product Added", "add_to_cart"},
                                             {"Product Removed", "remove_from_cart"},
                                             {"Product Added to Wishlist", "add_to_wishlist"},
                                             {"Cart Viewed", "view_cart"},
                                             {"Checkout Started", "begin_checkout"},
                                             {"Checkout Step Completed", "add_shipping_info"},
                                             {"Payment Info Entered", "add_payment_info"},
                                             {"Promotion Viewed", "view_promotion"},
                                             {"Promotion Clicked", "select_promotion"},
                                             {"Product Shared", "share"},
                                             {"Signed Up", "sign_up"},
                                             {"Lead Generated", "generate_lead"},
                                             {"Page Viewed", "page_view"}}};

constexpr std::array kClient{Field::ga_client_id};
constexpr std::array kAnonymous{Field::anonymous_id};
constexpr std::array kUser{Field::external_id};
constexpr std::array<std::span<const Field>, 3> kIdentifiedBy{kClient, kAnonymous, kUser};

constexpr std::string_view kAbout =
    R"(Sends events to Google Analytics 4: `POST /mp/collect` (Measurement Protocol) of a web stream. An event that is not
in the list below goes by its own name, with underscores for what is no letter and no digit: `Email_Opened`.

**Who.** `client_id` is Google's own (`ga_client_id` of the event, its context or the person: what the cookie `_ga`
holds after `GA1.1.`), or else the anonymous id, or else one that is derived from the external id. `user_id` is the
external id, unless it is an e-mail address, which Google's terms forbid to send. Events of one visitor share a request.

**Parameters.** Of orders and products: `transaction_id`, `value`, `currency`, `tax`, `shipping`, `coupon`, `items`.
Other properties go by their own names as long as there are fewer than 25; texts are cut at 100 characters. Google takes
no lists and objects: those are left out, as are `email`, `phone` and names of people. `session_id` of the event or its
context goes along, so that the event shows in the visit; without it, it shows in no report of visits.

**De-duplication.** There is none, save of purchases by `transaction_id`: the order's number, or else the event's id.
What was sent and never answered is held back as a dead letter unless the sync says `no_answer: resend`.

**Refunds and cancellations.** `Order Refunded` is a `refund` with the order's `transaction_id`. Google knows no
cancellation: `Order Cancelled` goes by its own name; map it to `refund` where no refund follows it.

**Errors.** Google answers 204 whatever it thinks of an event, also when the secret is wrong. Names and values that
break its rules are therefore mended or refused here, before they are sent. `mode: validate` asks its validation server
instead: an event it minds is a dead letter with its code.

**Consent.** What people said of `ads` and `ads_personalisation` goes along as `ad_user_data` and `ad_personalization`.

**Ages.** Google takes events of the last 72 hours.
)";

class Ga4Events final : public EventDestination {
 public:
  std::string_view type() const override { return "ga4_events"; }
  std::string_view platform() const override { return "ga4"; }
  std::string_view title() const override { return "Google Analytics 4"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 25, .batch_bytes_max = 130'000}; }
  std::span<const EventName> events() const override { return kEvents; }
  EventRules rules() const override { return {.age_max = kHour * 72, .identified_by = kIdentifiedBy}; }
  bool counts_once() const override { return false; }
  bool takes_every_event() const override { return true; }
  std::string group(const Conversion& conversion) const override { return codec::group(*this, conversion); }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    const std::string& id = config.setting(std::string(codec::kMeasurementId));
    const bool good = id.starts_with("G-") && id.size() > 2 && std::ranges::all_of(id.substr(2), [](char c) {
                        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
                      });
    if (!id.empty() && !good)
      problems.emplace_back("measurement_id must be `G-` and capital letters and digits");
    check_url(config, std::string(codec::kBaseUrl), Query::refused, problems);
    check_choice(config, std::string(codec::kMode), kModes, problems);
    check_limits(config, limits(), problems);
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

const Destination& ga4_events() {
  static const Ga4Events kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
