// Requests and answers of a receiver that a workspace describes itself: templates for paths, bodies and
// headers, and rules for what an answer means. Pure.
//
//   {{name}}   in a record or body of JSON: the value as JSON; in a form or a path: percent-encoded
//
// See http.cc for the names.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "destinations/audience_destination.h"

namespace tailrace::destinations::http_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kHeaders = "headers";
inline constexpr std::string_view kRecord = "record";
inline constexpr std::string_view kBodyType = "body_type";
inline constexpr std::string_view kSuccess = "success";
inline constexpr std::string_view kSuccessWhen = "success_when";
inline constexpr std::string_view kRejects = "rejects";
inline constexpr std::string_view kRejectRecord = "reject_record";
inline constexpr std::string_view kRejectCode = "reject_code";
inline constexpr std::string_view kAccessToken = "access_token";
inline constexpr std::string_view kSecret = "secret";

// "add" or "remove", before "_method", "_path" and "_body".
std::string_view operation_of(BatchKind kind);

// A text cut at its placeholders: literal, name, literal, ..., literal. Error: one is not closed.
Result<std::vector<std::string>> cut_template(std::string_view text);

// The setting of hashing for a kind: "hash_email".
std::string hash_setting(IdentifierKind kind);

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

// What is wrong with the templates and rules, a sentence each.
std::vector<std::string> problems_of(const Config& config);

}  // namespace tailrace::destinations::http_codec
