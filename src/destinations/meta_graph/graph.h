// What all destinations on Meta's Graph API share: how a request is authorised, and what its errors mean.
// Source: the Graph API's pages on error handling and on rate limiting.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/destination.h"
#include "destinations/probe.h"
#include "model/value.h"

namespace tailrace::destinations::meta_graph {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kAccessToken = "access_token";
inline constexpr std::string_view kAppSecret = "app_secret";

// The path below base_url, with the proof that the app's secret is known where it is configured.
HttpRequest request(const Context& context, std::string method, const std::string& path,
                    std::string query = "");
void set_json(HttpRequest& to, std::string body);

// An answer to so many records. `success` judges the body of an answer without an error; business: the type
// in X-Business-Use-Case-Usage whose share of the rate budget counts.
Reply judge(Records records, const HttpResponse& response, std::string_view business,
            const std::function<Reply(const Value& answer)>& success);

// What Meta says of the access token: whether it has the permission, and when it ends.
HttpRequest encode_debug_token(const Context& context);
Result<Standing> decode_debug_token(const HttpResponse& response, std::string_view permission);

}  // namespace tailrace::destinations::meta_graph
