#include "destinations/reddit_audiences/api.h"

#include <algorithm>

#include <fmt/format.h>

#include "destinations/text.h"

namespace tailrace::destinations::reddit_api {
namespace {

std::string with_code(std::string_view text, const std::string& word, int status) {
  return word.empty() ? fmt::format("{} (HTTP {})", text, status) : fmt::format("{} ({})", text, word);
}

}  // namespace

HttpRequest request(const Context& context, std::string method, const std::string& path, std::string json) {
  HttpRequest result;
  result.method = std::move(method);
  const std::string& base = context.config.setting(std::string(kBaseUrl));
  result.url = fmt::format("{}/{}", without_trailing_slash(base), path);
  result.headers = {{"Authorization", "Bearer " + std::string(refresh_token::bearer(context))}};
  if (!json.empty()) result.headers.emplace_back("Content-Type", "application/json");
  result.body = std::move(json);
  return result;
}

void check_id(const Config& config, std::string_view name, Problems& problems) {
  const std::string& id = config.setting(std::string(name));
  const bool good = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!good)
    problems.push_back(fmt::format("{} must be of letters, digits and _ alone, such as t2_abc", name));
}

std::optional<Reply> judge(Records records, const HttpResponse& response,
                           const std::optional<Value>& answer) {
  const int status = response.status;
  const bool good = status >= 200 && status < 300;
  const Value* error = member(answer ? &*answer : nullptr, "error");
  const bool has_error = error != nullptr && error->present();
  if (good && !has_error) {
    if (answer || response.body.empty()) return std::nullopt;
    return retry(fmt::format("the answer cannot be read (HTTP {})", status), "unreadable");
  }
  const std::string word = code_word(text_member(error, "reason"));
  const std::string code = word.empty() ? fmt::format("{}", status) : word;
  if (status == 401 || word == "UNAUTHORIZED")
    return reauthorise(with_code("the token is not accepted", word, status), code);
  if (status == 429) {
    const auto reset = wait_until_reset(response, "x-ratelimit-reset");
    return retry("throttled (HTTP 429)", code, reset ? reset : retry_after(response));
  }
  if (status == 410) return stop("this version of the API was removed (HTTP 410): mend base_url", code);
  if (status == 403)
    return stop(with_code("the token or the account is not allowed to do this", word, status), code);
  if (status == 404)
    return stop(with_code("the audience, account or pixel does not exist", word, status), code);
  // Reddit refuses a request whole for one record, and does not say which.
  if (status == 400 || status == 422)
    return split(records, with_code("a record is not accepted", word, status), code);
  if (good) return stop(with_code("the platform refuses the request", word, status), code);
  return judge_status(records, response);
}

}  // namespace tailrace::destinations::reddit_api
