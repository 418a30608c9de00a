#include "destinations/google_data_manager/token.h"

#include "destinations/authentication/refresh_token.h"
#include "destinations/authentication/signed_token.h"
#include "destinations/google_data_manager/codec.h"

namespace tailrace::destinations::google_token {
namespace {

const std::string& secret(const Config& config, std::string_view name) {
  return config.secret(std::string(name));
}

bool names(const Config& config, std::string_view name) { return config.secrets.contains(std::string(name)); }

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
  if (!json.empty() && !service_account::is_readable(json))
    problems.emplace_back(
        "service_account_json must be the JSON key file of a service account, with client_email and an "
        "unencrypted RSA private_key");
  return problems;
}

std::optional<HttpRequest> encode(const Config& config, Time now, std::string_view scope) {
  const std::string& url = config.setting(std::string(google_codec::kTokenUrl));
  const std::string& json = secret(config, kServiceAccountJson);
  if (json.empty()) return refresh_token::encode(config, {});
  return service_account::encode(json, scope, url, now);
}

Result<Token> decode(const HttpResponse& response, Time now) { return refresh_token::decode(response, now); }

}  // namespace tailrace::destinations::google_token
