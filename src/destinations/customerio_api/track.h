// What all that speaks Customer.io's Track API has in common: its address, its credentials, how it names
// people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/checks.h"
#include "destinations/destination.h"

namespace tailrace::destinations::customerio_api {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kSiteId = "site_id";
inline constexpr std::string_view kApiKey = "api_key";

inline constexpr Setting kBaseUrlSetting{
    .name = kBaseUrl,
    .default_value = "https://track.customer.io",
    .about =
        "Of accounts in the EU `https://track-eu.customer.io`. For the sandbox: "
        "`http://127.0.0.1:9090/customerio`."};
inline constexpr Setting kSiteIdSetting{
    .name = kSiteId, .required = true, .secret = true, .about = "The site id of the workspace's Track API."};
inline constexpr Setting kApiKeySetting{
    .name = kApiKey, .required = true, .secret = true, .about = "The API key that belongs to it."};

// path: "/api/v2/batch".
HttpRequest post(const Config& config, std::string_view path, std::string body);
// {"id": ...} and its like: the value of `identifiers` in v2.
Value identifiers(std::string_view kind, std::string value);
// 207 and 400 of v2's batch; what else the status says.
Reply judge(Records records, const HttpResponse& response);
// Instants that are written as text become seconds since 1970, as Customer.io compares dates; also in objects
// and lists.
void convert_instants(Value& value);

}  // namespace tailrace::destinations::customerio_api
