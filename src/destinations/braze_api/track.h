// Requests and answers of Braze's POST /users/track, whatever they carry. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/checks.h"
#include "destinations/event_destination.h"

namespace tailrace::destinations::braze_api {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kApiKey = "api_key";

inline constexpr Setting kBaseUrlSetting{
    .name = kBaseUrl,
    .required = true,
    .example = "https://rest.iad-01.braze.com",
    .about =
        "The REST endpoint of the instance: `https://rest.iad-01.braze.com`, `https://rest.fra-01.braze.eu`. "
        "For "
        "the sandbox: `http://127.0.0.1:9090/braze`."};
inline constexpr Setting kApiKeySetting{.name = kApiKey,
                                        .required = true,
                                        .secret = true,
                                        .about = "A REST API key with the permission `users.track`."};

// Of each of `attributes` and `events` in a request.
inline constexpr std::uint32_t kObjectsMax = 75;
inline constexpr std::uint32_t kBytesMax = 4'000'000;
inline constexpr std::uint32_t kRequestsPerMinute = 60'000;  // 3 000 in 3 seconds

// list: "events" or "attributes".
HttpRequest encode(std::string_view list, std::span<const std::string> objects, const Config& config);
Reply decode(std::string_view list, Records records, const HttpResponse& response);

}  // namespace tailrace::destinations::braze_api
