// Requests and answers of Microsoft's UET Conversions API. Pure.
#pragma once

#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::microsoft_conversions_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kTagId = "tag_id";
inline constexpr std::string_view kAccessToken = "access_token";
inline constexpr std::string_view kDataProvider = "data_provider";
inline constexpr std::string_view kAdStorageConsent = "ad_storage_consent";
inline constexpr std::string_view kPageLoad = "pageLoad";  // the name of an event that is one

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::microsoft_conversions_codec
