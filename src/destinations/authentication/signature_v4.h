// Requests signed as Amazon's services want them (Signature Version 4), and Google's storage with HMAC keys,
// which differs in names alone. Pure: `now` is handed in.
#pragma once

#include <string>
#include <string_view>

#include "base/http.h"
#include "base/time.h"

namespace tailrace::destinations::signature_v4 {

// The words that differ.
struct Dialect {
  std::string_view algorithm;      // "AWS4-HMAC-SHA256"
  std::string_view key_prefix;     // "AWS4"
  std::string_view terminator;     // "aws4_request"
  std::string_view header_prefix;  // "x-amz-"
};
inline constexpr Dialect kAmazon{"AWS4-HMAC-SHA256", "AWS4", "aws4_request", "x-amz-"};
inline constexpr Dialect kGoogle{"GOOG4-HMAC-SHA256", "GOOG4", "goog4_request", "x-goog-"};

struct Key {
  std::string id;
  std::string secret;
  std::string session_token;  // of temporary credentials; may be empty
};

struct Scope {
  const Dialect* dialect = &kAmazon;
  std::string region;
  std::string service;  // "s3"
};

// SHA-256 of no bytes, in hex.
inline constexpr std::string_view kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// Adds host, date, the hash of the payload and the Authorization header, which signs every header of the
// request. The URL's path and query are percent-encoded already, once, and its query has no "+".
// payload_hash: hex of the body's SHA-256, or UNSIGNED-PAYLOAD.
void sign(HttpRequest& request, const Key& key, const Scope& scope, std::string_view payload_hash, Time now);

}  // namespace tailrace::destinations::signature_v4
