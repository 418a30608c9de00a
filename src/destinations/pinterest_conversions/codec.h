// Requests and answers of Pinterest's Conversions API. Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::pinterest_conversions_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kAdAccountId = "ad_account_id";
inline constexpr std::string_view kValidateOnly = "validate_only";
inline constexpr std::string_view kLimitedDataUse = "limited_data_use";

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::pinterest_conversions_codec
