// JSON Web Tokens signed by RSA (RS256), and what Google's service accounts make of them (RFC 7523). Pure:
// the signature (PKCS #1 v1.5 padding) is deterministic.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/http.h"
#include "base/time.h"
#include "model/value.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace tailrace::destinations {

class RsaKey {
 public:
  // Missing: not PEM, encrypted, or no RSA key.
  static std::optional<RsaKey> read(const std::string& pem);

  // header.claims.signature, each in base64url. Missing only where the machine has no memory.
  std::optional<std::string> sign(const Value& header, const Value& claims) const;
  // SHA-256 of the public key (SubjectPublicKeyInfo, DER), in base64.
  std::string public_digest() const;

 private:
  explicit RsaKey(std::shared_ptr<EVP_PKEY> key) : key_(std::move(key)) {}
  std::shared_ptr<EVP_PKEY> key_;
};

namespace service_account {

// Whether it is the key file of a service account, with client_email and an unencrypted RSA private_key.
bool is_readable(const std::string& json);
// Asks for an access token of a scope. Missing where it is not readable.
std::optional<HttpRequest> encode(const std::string& json, std::string_view scope,
                                  const std::string& token_url, Time now);

}  // namespace service_account
}  // namespace tailrace::destinations
