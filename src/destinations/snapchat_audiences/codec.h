// Requests and answers of Snapchat's customer-list segments (Ads API v1). Pure.
//
// A request takes one kind of identifier, and each identifier once.
#pragma once

#include <string>

#include "destinations/audience_destination.h"

namespace tailrace::destinations::snapchat_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kAdAccountId = "ad_account_id";
inline constexpr std::string_view kRetentionInDays = "retention_in_days";

std::int64_t retention_days(const Config& config);  // 0: none that can be read

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

HttpRequest encode_find(const Context& context, const std::string& page);
Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config);
HttpRequest encode_create(const Context& context);
Result<std::string> decode_create(const HttpResponse& response);

HttpRequest encode_update(const std::string& audience_id, const Context& context);
Result<void> decode_update(const HttpResponse& response);
HttpRequest encode_measure(const std::string& audience_id, const Context& context);
Result<Measurement> decode_measure(const HttpResponse& response);

}  // namespace tailrace::destinations::snapchat_codec
