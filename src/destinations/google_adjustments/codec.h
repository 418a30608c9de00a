// Requests and answers of Google Ads' conversion adjustments (uploadConversionAdjustments). Pure.
//
// Every request allows partial failure: what is valid is carried out, and the answer names the rest by their
// place in the request.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::google_adjustments_codec {

inline constexpr std::string_view kCustomerId = "customer_id";
inline constexpr std::string_view kLoginCustomerId = "login_customer_id";

// What an event is mapped to. The first two are Google's; a refund is a retraction where the event does not
// say that only a part is given back.
inline constexpr std::string_view kRetraction = "RETRACTION";
inline constexpr std::string_view kRestatement = "RESTATEMENT";
inline constexpr std::string_view kRefund = "REFUND";

std::expected<std::string, Refused> encode_event(const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::google_adjustments_codec
