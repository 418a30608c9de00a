#include "destinations/google_data_manager/token.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/authentication/refresh_token.h"
#include "destinations/google_data_manager/codec.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::google_token {
namespace {

constexpr std::string_view kScope = "https://www.googleapis.com/auth/datamanager";
constexpr Millis kAssertionLife = kHour;  // the longest Google takes

const std::string& secret(const Config& config, std::string_view name) {
  return config.secret(std::string(name));
}

bool names(const Config& config, std::string_view name) { return config.secrets.contains(std::string(name)); }

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

// An encrypted key must fail, and not ask for its password on the terminal.
int no_password(char*, int, int, void*) { return -1; }

Key read_key(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  Key key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_password, nullptr) : nullptr, &EVP_PKEY_free);
  ERR_clear_error();
  if (key && EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) key.reset();
  return key;
}

struct ServiceAccount {
  std::string email;
  std::string key_id;
  Key key;
};

std::optional<ServiceAccount> read_service_account(const std::string& json) {
  const auto value = parse_json(json);
  if (!value) return std::nullopt;
  ServiceAccount account{std::string(text_member(&*value, "client_email")),
                         std::string(text_member(&*value, "private_key_id")),
                         read_key(std::string(text_member(&*value, "private_key")))};
  if (account.email.empty() || !account.key) return std::nullopt;
  return account;
}

std::string base64url(std::string_view bytes) {
  std::string text = to_base64(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  std::erase(text, '=');
  return text;
}

std::optional<std::string> sign(EVP_PKEY* key, std::string_view text) {
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

std::optional<std::string> assertion(const ServiceAccount& account, const std::string& audience, Time now) {
  Value header = Value::with(Value::Kind::object);
  header.members.emplace_back("alg", Value::of("RS256"));
  header.members.emplace_back("typ", Value::of("JWT"));
  if (!account.key_id.empty()) header.members.emplace_back("kid", Value::of(account.key_id));
  const std::int64_t issued = now.ms / kSecond.count;
  Value claims = Value::with(Value::Kind::object);
  claims.members.emplace_back("iss", Value::of(account.email));
  claims.members.emplace_back("scope", Value::of(std::string(kScope)));
  claims.members.emplace_back("aud", Value::of(audience));
  claims.members.emplace_back("iat", Value::of(Number::integer(issued)));
  claims.members.emplace_back("exp",
                              Value::of(Number::integer(issued + kAssertionLife.count / kSecond.count)));
  const std::string content = base64url(to_json(header)) + "." + base64url(to_json(claims));
  const auto signature = sign(account.key.get(), content);
  if (!signature) return std::nullopt;
  return content + "." + base64url(*signature);
}

HttpRequest form_request(const std::string& url, std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.url = url;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = std::move(body);
  return request;
}

}  // namespace

std::vector<std::string> check(const Config& config) {
  std::vector<std::string> problems;
  const bool refresh =
      names(config, kRefreshToken) || names(config, kClientId) || names(config, kClientSecret);
  const bool whole = names(config, kRefreshToken) && names(config, kClientId) && names(config, kClientSecret);
  const bool service = names(config, kServiceAccountJson);
  if (!refresh && !service)
    problems.emplace_back(
        "credentials are missing: give client_id, client_secret and refresh_token, or service_account_json");
  if (refresh && service)
    problems.emplace_back("give either refresh_token with its client, or service_account_json, not both");
  if (refresh && !whole)
    problems.emplace_back("client_id, client_secret and refresh_token must be given together");
  const std::string& json = secret(config, kServiceAccountJson);
  if (!json.empty() && !read_service_account(json))
    problems.emplace_back(
        "service_account_json must be the JSON key file of a service account, with client_email and an "
        "unencrypted RSA private_key");
  return problems;
}

std::optional<HttpRequest> encode(const Config& config, Time now) {
  const std::string& url = config.setting(std::string(google_codec::kTokenUrl));
  const std::string& json = secret(config, kServiceAccountJson);
  if (json.empty()) return refresh_token::encode(config, {});
  const auto account = read_service_account(json);
  if (!account) return std::nullopt;
  const auto signed_assertion = assertion(*account, url, now);
  if (!signed_assertion) return std::nullopt;
  return form_request(url, "grant_type=" + percent_encoded("urn:ietf:params:oauth:grant-type:jwt-bearer") +
                               "&assertion=" + *signed_assertion);
}

Result<Token> decode(const HttpResponse& response, Time now) { return refresh_token::decode(response, now); }

}  // namespace tailrace::destinations::google_token
