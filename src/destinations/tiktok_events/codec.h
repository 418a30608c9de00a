// Requests and answers of TikTok's Events API 2.0. Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::tiktok_events_codec {

inline constexpr std::string_view kEventSource = "event_source";
inline constexpr std::string_view kEventSourceId = "event_source_id";
inline constexpr std::string_view kTestEventCode = "test_event_code";
inline constexpr std::string_view kLimitedDataUse = "limited_data_use";

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::tiktok_events_codec
