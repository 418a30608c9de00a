#include "destinations/linkedin_api/rest.h"

#include <fmt/format.h>

#include "destinations/authentication/refresh_token.h"
#include "destinations/text.h"

namespace tailrace::destinations::linkedin_api {
namespace {

constexpr std::string_view kRevoked = "REVOKED_ACCESS_TOKEN";

std::string code_of(const HttpResponse& response, const Value* body) {
  const std::string code = code_word(text_member(body, "code"));
  if (!code.empty()) return code;
  const auto number = integer_member(body, "serviceErrorCode");
  return fmt::format("{}", number && *number > 0 ? *number : response.status);
}

// A quota of the day, which comes back at midnight UTC. The message says which quota it is; no header does.
std::optional<Millis> until_midnight(const HttpResponse& response, const Value* body) {
  const auto sent = sent_at(response);
  const bool of_the_day = text_member(body, "message").find(" DAY ") != std::string_view::npos;
  if (!sent || !of_the_day || sent->ms < 0) return std::nullopt;
  return Millis{kDay.count - sent->ms % kDay.count};
}

Outcome outcome_of(std::int64_t status) {
  if (status >= 200 && status < 300) return {};
  return {Outcome::Kind::rejected, fmt::format("the platform refuses the record (status {})", status)};
}

}  // namespace

void check_version(const Config& config, Problems& problems) {
  const std::string& version = config.setting(std::string(kVersion));
  if (version.size() != 6 || version.find_first_not_of("0123456789") != std::string::npos)
    problems.emplace_back("version must be a month, such as 202607");
}

HttpRequest request(const Context& context, std::string method, const std::string& path) {
  HttpRequest result;
  result.method = std::move(method);
  result.url =
      fmt::format("{}/{}", without_trailing_slash(context.config.setting(std::string(kBaseUrl))), path);
  result.headers = {{"Authorization", fmt::format("Bearer {}", refresh_token::bearer(context))},
                    {"LinkedIn-Version", context.config.setting(std::string(kVersion))},
                    {"X-Restli-Protocol-Version", "2.0.0"}};
  return result;
}

HttpRequest batch_request(const Context& context, const std::string& path, std::string body) {
  HttpRequest result = request(context, "POST", path);
  result.headers.emplace_back("X-RestLi-Method", "BATCH_CREATE");
  set_json(result, std::move(body));
  return result;
}

void set_json(HttpRequest& to, std::string body) {
  to.headers.emplace_back("Content-Type", "application/json");
  to.body = std::move(body);
}

Reply judge_failure(Records records, const HttpResponse& response, const Value* body) {
  const std::string code = code_of(response, body);
  switch (response.status) {
    case 400:
    case 422:
      if (body == nullptr) break;
      return split(records, fmt::format("a record is not accepted (HTTP {})", response.status), code);
    case 401:
      if (code == kRevoked) return stop("the token was revoked (REVOKED_ACCESS_TOKEN)", code);
      break;
    case 403:
      return stop("the token lacks a permission (HTTP 403)", code);
    case 426:
      return stop("this version of the API has ended (HTTP 426): set `version` to a newer one", code);
    case 429:
      if (const auto wait = until_midnight(response, body))
        return retry("the day's quota is spent (HTTP 429)", code, wait);
      break;
    default:
      break;
  }
  return judge_status(records, response);
}

Reply judge_elements(Records records, const Value* body) {
  const Value* elements = member(body, "elements");
  if (elements == nullptr || elements->list.size() != records.count)
    return retry("the answer cannot be read: not one entry per record", "unreadable");
  Reply reply;
  for (const Value& element : elements->list) {
    const auto status = integer_member(&element, "status");
    // What came twice counts once: all of it again does no harm.
    if (!status || *status == 408 || *status == 429 || *status >= 500)
      return retry("the platform failed for some records",
                   status ? fmt::format("{}", *status) : "unreadable");
    reply.outcomes.push_back(outcome_of(*status));
  }
  return reply;
}

}  // namespace tailrace::destinations::linkedin_api
