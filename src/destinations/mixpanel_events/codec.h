// Requests and answers of Mixpanel's POST /import, strict. Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"

namespace tailrace::destinations::mixpanel_events_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kProjectId = "project_id";
inline constexpr std::string_view kIdentity = "identity";
inline constexpr std::string_view kOriginal = "original";
inline constexpr std::string_view kProjectToken = "project_token";
inline constexpr std::string_view kUserName = "service_account_user";
inline constexpr std::string_view kPassword = "service_account_secret";

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::mixpanel_events_codec
