// Requests and answers of Google's Data Manager API for Customer Match lists. Pure.
//
// A member of a request has room for ten identifiers (of e-mails and phones, or of advertising ids) or for
// one user id; someone with more takes several members. Answers name members of the request by their index,
// which decode brings back to people.
#pragma once

#include <string>

#include "destinations/audience_destination.h"

namespace tailrace::destinations::google_codec {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kTokenUrl = "token_url";
inline constexpr std::string_view kOperatingAccountId = "operating_account_id";
inline constexpr std::string_view kLoginAccountId = "login_account_id";
inline constexpr std::string_view kAccountType = "account_type";
inline constexpr std::string_view kAdUserData = "ad_user_data";
inline constexpr std::string_view kAdPersonalization = "ad_personalization";
inline constexpr std::string_view kMembershipDurationDays = "membership_duration_days";
inline constexpr std::string_view kValidateOnly = "validate_only";
inline constexpr std::string_view kListType = "list_type";
inline constexpr std::string_view kKeySpace = "key_space";
inline constexpr std::string_view kAppId = "app_id";

// Values of list_type and key_space.
inline constexpr std::string_view kContactList = "contact";
inline constexpr std::string_view kMobileIdList = "mobile_id";
inline constexpr std::string_view kUserIdList = "user_id";
inline constexpr std::string_view kIos = "IOS";
inline constexpr std::string_view kAndroid = "ANDROID";

inline constexpr std::size_t kIdentifiersPerMemberMax = 10;

// Members of a request that a person takes.
std::size_t entries(const Member& member);

// What requests of events share with those of members: the accounts ("operatingAccount": ..., "loginAccount":
// ...), the way out, and what answers mean; an event stands for a member of one entry.
void append_accounts(std::string& out, const Context& context);
HttpRequest post(const Context& context, const std::string& path, std::string body);

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

HttpRequest encode_find(const Context& context, const std::string& page);
// invalid_argument as well where the list of that name is of another kind than the sync's.
Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config);
HttpRequest encode_create(const Context& context);
Result<std::string> decode_create(const HttpResponse& response);

HttpRequest encode_update(const std::string& audience_id, const Context& context);
Result<void> decode_update(const HttpResponse& response);
HttpRequest encode_clear(const std::string& audience_id, Time before, const Context& context);
Result<void> decode_clear(const HttpResponse& response);
HttpRequest encode_measure(const std::string& audience_id, const Context& context);
Result<Measurement> decode_measure(const HttpResponse& response);

}  // namespace tailrace::destinations::google_codec
