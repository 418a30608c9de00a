// A signed POST per batch, as Standard Webhooks describes it. Pure: webhook-id is derived from the batch and
// so is the same in every resend; webhook-timestamp, and with it the signature, is of the attempt.
#pragma once

#include <string_view>

#include "destinations/audience_destination.h"

namespace tailrace::destinations::webhook_codec {

inline constexpr std::string_view kUrl = "url";
inline constexpr std::string_view kSecret = "secret";

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

}  // namespace tailrace::destinations::webhook_codec
