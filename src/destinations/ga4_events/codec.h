// Requests and answers of the Measurement Protocol of Google Analytics 4. Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::ga4_events_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kMeasurementId = "measurement_id";
inline constexpr std::string_view kMode = "mode";
inline constexpr std::string_view kValidate = "validate";
inline constexpr std::string_view kApiSecret = "api_secret";

// What all events of a request have in common: whose they are, and what that person agreed to.
std::string group(const EventDestination& destination, const Conversion& conversion);
// A whole request of one event; encode() makes one of several of them.
std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::ga4_events_codec
