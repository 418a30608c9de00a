// Requests and answers of Reddit's Conversions API (Ads API v3). Pure.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::reddit_conversions_codec {

inline constexpr std::string_view kPixelId = "pixel_id";
inline constexpr std::string_view kTestId = "test_id";
inline constexpr std::string_view kPartner = "partner";
inline constexpr std::string_view kConversionId = "conversion_id";  // how it is sent: "plain" or "hashed"
inline constexpr std::string_view kHashed = "hashed";

// Any other name is sent as CUSTOM with that name.
inline constexpr std::array<std::string_view, 8> kTrackingTypes{
    "PAGE_VISIT", "VIEW_CONTENT", "SEARCH", "ADD_TO_CART", "ADD_TO_WISHLIST", "PURCHASE", "LEAD", "SIGN_UP"};

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::reddit_conversions_codec
