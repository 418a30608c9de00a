#include "destinations/authentication/signed_token.h"

#include <algorithm>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr Millis kAssertionLife = kHour;  // the longest Google takes

// An encrypted key must fail, and not ask for its password on the terminal.
int no_password(char*, int, int, void*) { return -1; }

std::string base64url(std::string_view bytes) {
  std::string text = to_base64(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  std::erase(text, '=');
  return text;
}

std::optional<std::string> signature(EVP_PKEY* key, std::string_view text) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t length = 0;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &length, bytes, text.size()) != 1)
    return std::nullopt;
  std::string signature(length, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length, bytes,
                     text.size()) != 1)
    return std::nullopt;
  signature.resize(length);
  return signature;
}

struct ServiceAccount {
  std::string email;
  std::string key_id;
  RsaKey key;
};

std::optional<ServiceAccount> read_service_account(const std::string& json) {
  const auto value = parse_json(json);
  if (!value) return std::nullopt;
  auto key = RsaKey::read(std::string(text_member(&*value, "private_key")));
  const std::string_view email = text_member(&*value, "client_email");
  if (email.empty() || !key) return std::nullopt;
  return ServiceAccount{std::string(email), std::string(text_member(&*value, "private_key_id")),
                        *std::move(key)};
}

}  // namespace

std::optional<RsaKey> RsaKey::read(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  EVP_PKEY* const raw = bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_password, nullptr) : nullptr;
  ERR_clear_error();
  if (raw == nullptr) return std::nullopt;
  std::shared_ptr<EVP_PKEY> key(raw, &EVP_PKEY_free);
  if (EVP_PKEY_get_base_id(raw) != EVP_PKEY_RSA) return std::nullopt;
  return RsaKey(std::move(key));
}

std::optional<std::string> RsaKey::sign(const Value& header, const Value& claims) const {
  const std::string content = base64url(to_json(header)) + "." + base64url(to_json(claims));
  const auto signed_by = signature(key_.get(), content);
  if (!signed_by) return std::nullopt;
  return content + "." + base64url(*signed_by);
}

std::string RsaKey::public_digest() const {
  unsigned char* der = nullptr;
  const int length = i2d_PUBKEY(key_.get(), &der);
  if (length <= 0) return {};
  const Sha256 digest = sha256({reinterpret_cast<const char*>(der), static_cast<std::size_t>(length)});
  OPENSSL_free(der);
  return to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

namespace service_account {

bool is_readable(const std::string& json) { return read_service_account(json).has_value(); }

std::optional<HttpRequest> encode(const std::string& json, std::string_view scope,
                                  const std::string& token_url, Time now) {
  const auto account = read_service_account(json);
  if (!account) return std::nullopt;
  Value header = Value::with(Value::Kind::object);
  header.members.emplace_back("alg", Value::of("RS256"));
  header.members.emplace_back("typ", Value::of("JWT"));
  if (!account->key_id.empty()) header.members.emplace_back("kid", Value::of(account->key_id));
  const std::int64_t issued = now.ms / kSecond.count;
  Value claims = Value::with(Value::Kind::object);
  claims.members.emplace_back("iss", Value::of(account->email));
  claims.members.emplace_back("scope", Value::of(std::string(scope)));
  claims.members.emplace_back("aud", Value::of(token_url));
  claims.members.emplace_back("iat", Value::of(Number::integer(issued)));
  claims.members.emplace_back("exp",
                              Value::of(Number::integer(issued + kAssertionLife.count / kSecond.count)));
  const auto assertion = account->key.sign(header, claims);
  if (!assertion) return std::nullopt;
  HttpRequest request{"POST", token_url, {{"Content-Type", "application/x-www-form-urlencoded"}}, ""};
  request.body = "grant_type=" + percent_encoded("urn:ietf:params:oauth:grant-type:jwt-bearer") +
                 "&assertion=" + *assertion;
  return request;
}

}  // namespace service_account
}  // namespace tailrace::destinations
