// Requests and answers of LinkedIn's DMP segments (REST, monthly versions). Pure.
//
// A member is one element of a Rest.li batch, with all its identifiers and, of an addition, what the sync
// carries of the person; the answer has one entry per element.
#pragma once

#include <string>

#include "destinations/audience_destination.h"

namespace tailrace::destinations::linkedin_codec {

inline constexpr std::string_view kAccountId = "account_id";
inline constexpr std::string_view kSourcePlatform = "source_platform";

// What an element may say of a person beside identifiers, as it is: nothing of it is hashed.
struct Detail {
  std::string_view attribute;  // of the sync
  std::string_view key;        // of LinkedIn
  Normaliser normalise;
  std::size_t characters_max;  // 0: LinkedIn states none
};
// nullptr: LinkedIn has no place for it. Also by a field's usual other names.
const Detail* detail_named(std::string_view attribute);

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

HttpRequest encode_find(const Context& context, const std::string& page);
Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config);
HttpRequest encode_create(const Context& context);
Result<std::string> decode_create(const HttpResponse& response);
HttpRequest encode_measure(const std::string& audience_id, const Context& context);
Result<Measurement> decode_measure(const HttpResponse& response);

}  // namespace tailrace::destinations::linkedin_codec
