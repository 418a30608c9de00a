#include "destinations/authentication/refresh_token.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/checks.h"
#include "destinations/text.h"

namespace tailrace::destinations::refresh_token {
namespace {

const std::string& secret(const Config& config, std::string_view name) {
  return config.secret(std::string(name));
}

bool names(const Config& config, std::string_view name) { return config.secrets.contains(std::string(name)); }

// OAuth's error words are lower case: "invalid_grant".
std::string error_word(std::string_view text) {
  const bool fits = text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || c == '_';
                    });
  return fits ? std::string(text) : std::string();
}

bool is_header_safe(std::string_view token) {
  return !token.empty() &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

std::vector<std::string> check(const Config& config, LongLived long_lived) {
  Problems problems;
  const bool any = names(config, kRefreshToken) || names(config, kClientId) || names(config, kClientSecret);
  const bool whole = names(config, kRefreshToken) && names(config, kClientId) && names(config, kClientSecret);
  const bool takes_long_lived = long_lived == LongLived::accepted;
  if (any && !whole)
    problems.emplace_back("client_id, client_secret and refresh_token must be given together");
  if (!any && !(takes_long_lived && names(config, kAccessToken)))
    problems.push_back(
        fmt::format("credentials are missing: give client_id, client_secret and refresh_token{}",
                    takes_long_lived ? ", or access_token" : ""));
  if (takes_long_lived) check_token(config, std::string(kAccessToken), problems);
  return problems;
}

std::optional<HttpRequest> encode(const Config& config, const Flow& flow) {
  if (secret(config, kRefreshToken).empty()) return std::nullopt;
  const std::string id = percent_encoded(secret(config, kClientId));
  const std::string password = percent_encoded(secret(config, kClientSecret));
  HttpRequest request;
  request.method = "POST";
  request.url = config.setting(std::string(kTokenUrl));
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  if (flow.client == Flow::Client::basic)
    request.headers.emplace_back("Authorization", "Basic " + to_base64(id + ":" + password));
  request.body = "grant_type=refresh_token&refresh_token=" + percent_encoded(secret(config, kRefreshToken));
  if (flow.client == Flow::Client::form)
    request.body += fmt::format("&client_id={}&client_secret={}", id, password);
  if (!flow.scope.empty()) request.body += "&scope=" + percent_encoded(flow.scope);
  return request;
}

Result<Token> decode(const HttpResponse& response, Time now) {
  const auto answer = json_object(response);
  const Value* body = answer ? &*answer : nullptr;
  if (response.status == 200) {
    const std::string_view token = text_member(body, "access_token");
    const auto seconds = integer_member(body, "expires_in");
    if (!is_header_safe(token) || !seconds || *seconds <= 0)
      return fail(Error::Code::unavailable, "fetching a token: the answer cannot be read");
    return Token{std::string(token),
                 now + kSecond * std::min<std::int64_t>(*seconds, kDay.count / kSecond.count)};
  }
  const std::string word = error_word(text_member(body, "error"));
  const std::string detail =
      fmt::format("fetching a token: HTTP {}{}{}", response.status, word.empty() ? "" : " ", word);
  const bool again = response.status == 429 || response.status == 408 || response.status >= 500;
  if (again) return fail(Error::Code::unavailable, detail);
  if (word == "invalid_grant") return invalid(detail + ": the grant has ended, authorise again");
  return invalid(detail);
}

std::string_view bearer(const Context& context) {
  if (!context.access_token.empty()) return context.access_token;
  return secret(context.config, kAccessToken);
}

}  // namespace tailrace::destinations::refresh_token
