// What all requests to Klaviyo have in common: headers, and how errors point at what they mean. Pure.
#pragma once

#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/destination.h"

namespace tailrace::destinations::klaviyo_api {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kRevision = "revision";
inline constexpr std::string_view kApiKey = "api_key";

inline constexpr Setting kBaseUrlSetting{.name = kBaseUrl,
                                         .default_value = "https://a.klaviyo.com",
                                         .about = "For the sandbox: `http://127.0.0.1:9090/klaviyo`."};
inline constexpr Setting kRevisionSetting{.name = kRevision,
                                          .default_value = "2026-07-15",
                                          .about = "The revision of the API; each lives for two years."};
inline constexpr Setting kApiKeySetting{
    .name = kApiKey, .required = true, .secret = true, .about = "A private API key, `pk_...`."};

// path: "/api/event-bulk-create-jobs".
HttpRequest post(const Config& config, std::string_view path, std::string body);
// list: the name in an error's pointer behind which the record's number stands: "events-bulk-create".
Reply decode(Records records, const HttpResponse& response, std::string_view list);
void check(const Config& config, std::vector<std::string>& problems);

}  // namespace tailrace::destinations::klaviyo_api
