// Requests signed by OAuth 1.0a (RFC 5849, HMAC-SHA1, in the Authorization header), as X asks of all of them.
//
// Pure: nonce and timestamp come of the request and the `now` handed in, so the same request at the same time
// has the same signature, and another one has another nonce.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http.h"
#include "base/time.h"
#include "destinations/destination.h"

namespace tailrace::destinations::oauth1 {

inline constexpr std::string_view kConsumerKey = "consumer_key";
inline constexpr std::string_view kConsumerSecret = "consumer_secret";
inline constexpr std::string_view kAccessToken = "access_token";
inline constexpr std::string_view kAccessTokenSecret = "access_token_secret";

// Rows for the table of a destination.
constexpr Setting kConsumerKeySetting{.name = kConsumerKey,
                                      .required = true,
                                      .secret = true,
                                      .example = "secret-consumer-key",
                                      .about = "The app's API key."};
constexpr Setting kConsumerSecretSetting{.name = kConsumerSecret,
                                         .required = true,
                                         .secret = true,
                                         .example = "secret-consumer-secret",
                                         .about = "The app's API secret."};
constexpr Setting kAccessTokenSetting{
    .name = kAccessToken,
    .required = true,
    .secret = true,
    .example = "secret-access-token",
    .about = "Access token of a user who may manage the ad account, for the app above."};
constexpr Setting kAccessTokenSecretSetting{.name = kAccessTokenSecret,
                                            .required = true,
                                            .secret = true,
                                            .example = "secret-access-token-secret",
                                            .about = "The access token's secret."};

// Names and values as they are, not encoded.
using Parameters = std::vector<std::pair<std::string, std::string>>;

// In base64. `url` may have a query, whose parameters are signed too; `oauth` are those of the header.
std::string signature(std::string_view method, std::string_view url, const Parameters& oauth,
                      std::string_view consumer_secret, std::string_view token_secret);

// Adds the Authorization header. The body must be JSON or nothing: a form's fields would be signed too.
void sign(HttpRequest& request, const Config& config, Time now);

}  // namespace tailrace::destinations::oauth1
