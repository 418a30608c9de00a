// An event as Braze's POST /users/track wants it. Pure.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::braze_events_codec {

inline constexpr std::string_view kRecommended = "ecommerce.";  // names of Braze's own begin so
inline constexpr std::string_view kAliasLabel = "alias_label";

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);

}  // namespace tailrace::destinations::braze_events_codec
