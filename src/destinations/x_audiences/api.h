// What X's Ads API has in common for all calls: signed requests, and answers that say what went wrong in one
// envelope. Used by X's audiences and conversions. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "destinations/answer.h"
#include "destinations/checks.h"
#include "destinations/destination.h"

namespace tailrace::destinations::x_api {

inline constexpr std::string_view kBaseUrl = "base_url";

constexpr Setting kBaseUrlSetting{
    .name = kBaseUrl,
    .default_value = "https://ads-api.x.com/12",
    .about = "The Ads API with its version. For the sandbox: `http://127.0.0.1:9090/x/12`."};

// A request below base_url, signed. `path` is encoded already, and may have a query.
HttpRequest request(const Context& context, std::string method, const std::string& path,
                    std::string json = "");

// Ids of X are of letters and digits: "18ce54".
void check_id(const Config& config, std::string_view name, Problems& problems);

// The four credentials go into a header.
void check_credentials(const Config& config, Problems& problems);

// What the envelope says when it is not a success; missing: a success, whose body is for the caller to read.
// operations: how many operations the request had, one per record; 0 where it had none. An error that
// operation_errors lays to one of them names a culprit.
std::optional<Reply> judge(Records records, const HttpResponse& response, const std::optional<Value>& answer,
                           std::size_t operations = 0);

}  // namespace tailrace::destinations::x_api
