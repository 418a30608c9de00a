// A message signed as Standard Webhooks describes it (HMAC-SHA256, "v1"). Pure: webhook-id is derived from
// what the message is about and so is the same in every resend; webhook-timestamp, and with it the signature,
// is of the attempt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/http.h"
#include "base/result.h"
#include "base/time.h"

namespace tailrace::destinations::standard_webhooks {

// The HMAC keys of a credential, which holds one secret ("whsec_" and base64 of 24 to 64 bytes) or several,
// parted by blanks, while a secret is being replaced. Error: invalid_argument, without the secret.
Result<std::vector<std::string>> keys(std::string_view secrets);

// "msg_" and a digest of what is given.
std::string message_id(std::string_view about);

// A POST of the body, with Content-Type and the three headers. A secret that cannot be read, which `check`
// reports, gives no signature, and no receiver accepts that.
HttpRequest signed_post(std::string url, std::string body, std::string id, std::string_view secrets,
                        Time now);

}  // namespace tailrace::destinations::standard_webhooks
