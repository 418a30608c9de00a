// Access tokens from a refresh token (OAuth 2.0, RFC 6749 section 6): what every platform with that flow
// shares. A destination calls encode and decode from encode_token and decode_token; its requests carry
// bearer(context).
//
// Where a platform has long-lived tokens, `access_token` may be given instead; a refresh token goes before
// it, because that never runs out between two uploads.
//
// Pure. The refresh token a platform may answer with is not kept: credentials are references, and Tailrace
// writes to none of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "destinations/destination.h"

namespace tailrace::destinations::refresh_token {

inline constexpr std::string_view kTokenUrl = "token_url";
inline constexpr std::string_view kClientId = "client_id";
inline constexpr std::string_view kClientSecret = "client_secret";
inline constexpr std::string_view kRefreshToken = "refresh_token";
inline constexpr std::string_view kAccessToken = "access_token";

// Rows for the table of a destination. `token_url` is its own, because its default is.
constexpr Setting kClientIdSetting{
    .name = kClientId, .secret = true, .about = "OAuth client; with `client_secret` and `refresh_token`."};
constexpr Setting kClientSecretSetting{
    .name = kClientSecret, .secret = true, .about = "The client's secret."};

struct Flow {
  // How the client shows who it is: in the form, or by HTTP Basic.
  enum class Client : unsigned char { form, basic };
  Client client = Client::form;
  std::string_view scope = {};  // "": not sent
};

enum class LongLived : unsigned char { refused, accepted };  // whether `access_token` alone will do

// Problems of the credentials, without their values.
std::vector<std::string> check(const Config& config, LongLived long_lived);

// Missing when there is no refresh token.
std::optional<HttpRequest> encode(const Config& config, const Flow& flow);

// Errors: invalid_argument when a person must authorise again; unavailable when trying again may help.
// A token is used for a day at most, however long it would live.
Result<Token> decode(const HttpResponse& response, Time now);

// The token of a request: the fetched one, or the long-lived one where there is nothing to fetch with.
std::string_view bearer(const Context& context);

}  // namespace tailrace::destinations::refresh_token
