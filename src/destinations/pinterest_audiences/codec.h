// Requests and answers of Pinterest's customer lists (API v5). Pure.
//
// A list is of one kind of identifier, and its records are one text with commas between them. A list is made
// with its first records; a new one gets one that is nobody, because encode_create knows of no people.
#pragma once

#include <string>

#include "destinations/audience_destination.h"

namespace tailrace::destinations::pinterest_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kAdAccountId = "ad_account_id";
inline constexpr std::string_view kListType = "list_type";
inline constexpr std::string_view kTargetingAudienceId = "targeting_audience_id";

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

HttpRequest encode_find(const Context& context, const std::string& page);
Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config);
HttpRequest encode_create(const Context& context);
Result<std::string> decode_create(const HttpResponse& response);
HttpRequest encode_measure(const std::string& audience_id, const Context& context);
Result<Measurement> decode_measure(const HttpResponse& response);

}  // namespace tailrace::destinations::pinterest_codec
