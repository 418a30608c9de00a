// Requests and answers of Reddit's custom audiences (Ads API v3). Pure.
//
// A row has a cell per column and room for one identifier of a column: someone with two e-mails takes two
// rows.
#pragma once

#include <string>

#include "destinations/audience_destination.h"

namespace tailrace::destinations::reddit_codec {

inline constexpr std::string_view kAdAccountId = "ad_account_id";
inline constexpr std::string_view kEmailForm = "email_form";

std::size_t rows(const Member& member);

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

HttpRequest encode_create(const Context& context);
Result<std::string> decode_create(const HttpResponse& response);
HttpRequest encode_measure(const std::string& audience_id, const Context& context);
Result<Measurement> decode_measure(const HttpResponse& response);

}  // namespace tailrace::destinations::reddit_codec
