// Requests and answers of Amplitude's HTTP V2 and batch event APIs. Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::amplitude_events_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kEndpoint = "endpoint";
inline constexpr std::string_view kHttpApi = "httpapi";
inline constexpr std::string_view kMinIdLength = "min_id_length";
inline constexpr std::string_view kRevenueEvents = "revenue_events";
inline constexpr std::string_view kApiKey = "api_key";

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::amplitude_events_codec
