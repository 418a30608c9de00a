// Access tokens for Google's APIs: from a user's refresh token, or from a service account's key (a signed
// assertion, RFC 7523). Pure: the signature (RSA with PKCS #1 v1.5 padding) is deterministic.
#pragma once

#include <optional>
#include <string>

#include "destinations/destination.h"

namespace tailrace::destinations::google_token {

inline constexpr std::string_view kClientId = "client_id";
inline constexpr std::string_view kClientSecret = "client_secret";
inline constexpr std::string_view kRefreshToken = "refresh_token";
inline constexpr std::string_view kServiceAccountJson = "service_account_json";

// Rows for the table of a destination; `refresh_token` is its own where its scope is.
inline constexpr Setting kTokenUrlSetting{
    .name = "token_url",
    .default_value = "https://oauth2.googleapis.com/token",
    .about = "Where access tokens are fetched. For the sandbox: `http://127.0.0.1:9090/google/token`."};
inline constexpr Setting kClientIdSetting{
    .name = kClientId, .secret = true, .about = "OAuth client; with `client_secret` and `refresh_token`."};
inline constexpr Setting kClientSecretSetting{
    .name = kClientSecret, .secret = true, .about = "The client's secret."};
inline constexpr Setting kRefreshTokenSetting{
    .name = kRefreshToken,
    .secret = true,
    .about = "Refresh token of a user, with the scope `https://www.googleapis.com/auth/datamanager`."};
inline constexpr Setting kServiceAccountJsonSetting{
    .name = kServiceAccountJson,
    .secret = true,
    .about = "Instead of the three: the JSON key file of a service account."};

// Problems of the credentials, without their values.
std::vector<std::string> check(const Config& config);

inline constexpr std::string_view kDataManagerScope = "https://www.googleapis.com/auth/datamanager";

// Missing when the credentials cannot give a token, which `check` reports. scope: what a service account asks
// for; a refresh token has its own.
std::optional<HttpRequest> encode(const Config& config, Time now, std::string_view scope = kDataManagerScope);

// Errors: invalid_argument when a person must authorise again; unavailable when trying again may help.
Result<Token> decode(const HttpResponse& response, Time now);

}  // namespace tailrace::destinations::google_token
