// Requests and answers of LinkedIn's Conversions API. Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::linkedin_conversions_codec {

inline constexpr std::string_view kConversionId = "conversion_id";

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::linkedin_conversions_codec
