// Requests and answers of TikTok's streaming audience API ("segment", API for Business v1.3). Pure.
//
// A row of a request is one person, with one place per kind of identifier; someone with two e-mails takes two
// rows. Errors come as HTTP 200 with a code in the body.
#pragma once

#include <string>

#include "destinations/audience_destination.h"

namespace tailrace::destinations::tiktok_codec {

inline constexpr std::string_view kAdvertiserId = "advertiser_id";

std::size_t rows(const Member& member);

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

HttpRequest encode_find(const Context& context, const std::string& page);
Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config);
HttpRequest encode_create(const Context& context);
Result<std::string> decode_create(const HttpResponse& response);
HttpRequest encode_measure(const std::string& audience_id, const Context& context);
Result<Measurement> decode_measure(const HttpResponse& response);

}  // namespace tailrace::destinations::tiktok_codec
