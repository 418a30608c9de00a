// Requests and answers of Microsoft Advertising's customer lists (Campaign Management v13, JSON). Pure.
//
// A list's item is one identifier: someone with two e-mails takes two.
#pragma once

#include <optional>
#include <string>

#include "destinations/audience_destination.h"
#include "destinations/authentication/refresh_token.h"

namespace tailrace::destinations::microsoft_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kCustomerAccountId = "customer_account_id";
inline constexpr std::string_view kCustomerId = "customer_id";
inline constexpr std::string_view kMembershipDurationDays = "membership_duration_days";
inline constexpr std::string_view kDeveloperToken = "developer_token";

inline constexpr refresh_token::Flow kFlow{.scope = "https://ads.microsoft.com/msads.manage offline_access"};

std::size_t items(const Member& member);

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

HttpRequest encode_find(const Context& context);
Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config);
HttpRequest encode_create(const Context& context);
Result<std::string> decode_create(const HttpResponse& response);
HttpRequest encode_measure(const std::string& audience_id, const Context& context);
Result<Measurement> decode_measure(const HttpResponse& response);

}  // namespace tailrace::destinations::microsoft_codec
