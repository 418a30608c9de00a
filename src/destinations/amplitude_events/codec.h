// Requests and answers of Amplitude's HTTP V2 and batch event APIs. Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/checks.h"
#include "destinations/event_destination.h"

namespace tailrace::destinations::amplitude_events_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kEndpoint = "endpoint";
inline constexpr std::string_view kHttpApi = "httpapi";
inline constexpr std::string_view kMinIdLength = "min_id_length";
inline constexpr std::string_view kRevenueEvents = "revenue_events";
inline constexpr std::string_view kApiKey = "api_key";

// What whoever sends to these APIs is asked.
inline constexpr Setting kBaseUrlSetting{.name = kBaseUrl,
                                         .default_value = "https://api2.amplitude.com",
                                         .about =
                                             "Of projects in the EU `https://api.eu.amplitude.com`. For the "
                                             "sandbox: `http://127.0.0.1:9090/amplitude`."};
inline constexpr Setting kMinIdLengthSetting{
    .name = kMinIdLength,
    .default_value = "1",
    .about =
        "The shortest id of a user or device that Amplitude is to take, 1 to 100. Its own default is 5."};
inline constexpr Setting kApiKeySetting{
    .name = kApiKey, .required = true, .secret = true, .about = "The project's API key."};
void check_connection(const Config& config, Problems& problems);

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

}  // namespace tailrace::destinations::amplitude_events_codec
