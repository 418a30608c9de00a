// What all calls of LinkedIn's REST API share: its headers, the version of a month, and what an answer means
// that does not speak of single records. Pure.
#pragma once

#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/checks.h"
#include "destinations/destination.h"

namespace tailrace::destinations::linkedin_api {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kVersion = "version";

constexpr Setting kVersionSetting{
    .name = kVersion,
    .default_value = "202607",
    .about = "Version of the API, a month; LinkedIn ends each after a year or so (HTTP 426)."};
constexpr Setting kBaseUrlSetting{
    .name = kBaseUrl,
    .default_value = "https://api.linkedin.com/rest",
    .about = "The API. For the sandbox: `http://127.0.0.1:9090/linkedin/rest`."};

void check_version(const Config& config, Problems& problems);

HttpRequest request(const Context& context, std::string method, const std::string& path);
// A batch of records: {"elements":[...]}.
HttpRequest batch_request(const Context& context, const std::string& path, std::string body);
void set_json(HttpRequest& to, std::string body);

// An answer that is no success. body: its JSON object, or nullptr.
Reply judge_failure(Records records, const HttpResponse& response, const Value* body);
// The entries of a success, one per record in their order: {"elements":[{"status":201},...]}.
Reply judge_elements(Records records, const Value* body);

}  // namespace tailrace::destinations::linkedin_api
