// Requests and answers of PostHog's POST /batch. Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/event_destination.h"

namespace tailrace::destinations::posthog_events_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kAnonymousProfiles = "anonymous_profiles";
inline constexpr std::string_view kHistorical = "historical";
inline constexpr std::string_view kApiKey = "project_api_key";

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
// {"api_key", "batch": [...]}, the elements of the batch as they stand.
HttpRequest encode_batch(std::span<const std::string> events, const Config& config, bool historical);
Reply decode(Records records, const HttpResponse& response);

}  // namespace tailrace::destinations::posthog_events_codec
