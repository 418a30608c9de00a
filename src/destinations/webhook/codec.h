// A signed POST per batch, as Standard Webhooks describes it. Pure: webhook-id is derived from the batch and
// so is the same in every resend; webhook-timestamp, and with it the signature, is of the attempt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "destinations/audience_destination.h"

namespace tailrace::destinations::webhook_codec {

inline constexpr std::string_view kUrl = "url";
inline constexpr std::string_view kSecret = "secret";

// The HMAC keys of a credential, which holds one secret ("whsec_" and base64 of 24 to 64 bytes) or several,
// parted by blanks, while a secret is being replaced. Error: invalid_argument, without the secret.
Result<std::vector<std::string>> keys(std::string_view secrets);

HttpRequest encode(const Batch& batch, const Context& context);
Reply decode(const Batch& batch, const HttpResponse& response);

}  // namespace tailrace::destinations::webhook_codec
