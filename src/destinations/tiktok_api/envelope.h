// What all calls of TikTok's API for Business share: the header of the token, and answers of HTTP 200 whose
// code says what happened. Pure.
#pragma once

#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/destination.h"

namespace tailrace::destinations::tiktok_api {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kAccessToken = "access_token";

HttpRequest request(const Context& context, std::string method, std::string_view path);
void set_json(HttpRequest& to, std::string body);

// What an answer means. A part taken only (20001), and a parameter error (40002) whose message names
// `records` ("batch_data"), are a split: the code is of the whole request, and does not say which.
Reply judge(Records records, const HttpResponse& response, std::string_view records_name);

// For exchanges without records: `data` of a success.
Result<Value> read_data(const HttpResponse& response, std::string_view what);

}  // namespace tailrace::destinations::tiktok_api
