// What Reddit's Ads API v3 has in common for all calls. Used by Reddit's audiences and conversions. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/authentication/refresh_token.h"
#include "destinations/checks.h"
#include "destinations/destination.h"

namespace tailrace::destinations::reddit_api {

inline constexpr std::string_view kBaseUrl = "base_url";

constexpr Setting kBaseUrlSetting{
    .name = kBaseUrl,
    .default_value = "https://ads-api.reddit.com/api/v3",
    .about = "The Ads API with its version. For the sandbox: `http://127.0.0.1:9090/reddit/api/v3`."};
constexpr Setting kTokenUrlSetting{
    .name = refresh_token::kTokenUrl,
    .default_value = "https://www.reddit.com/api/v1/access_token",
    .about = "Where access tokens are fetched. For the sandbox: `http://127.0.0.1:9090/reddit/token`."};

// The client shows who it is by HTTP Basic.
inline constexpr refresh_token::Flow kFlow{.client = refresh_token::Flow::Client::basic};

HttpRequest request(const Context& context, std::string method, const std::string& path,
                    std::string json = "");

// Ids of Reddit are of letters, digits and "_": "t2_abc".
void check_id(const Config& config, std::string_view name, Problems& problems);

// What an answer says when it is not a success; missing: a success. A success may have no body: what Reddit
// writes there is not documented.
std::optional<Reply> judge(Records records, const HttpResponse& response, const std::optional<Value>& answer);

}  // namespace tailrace::destinations::reddit_api
