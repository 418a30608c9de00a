#include "destinations/x_audiences/api.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/authentication/oauth1.h"
#include "destinations/text.h"

namespace tailrace::destinations::x_api {
namespace {

// The account's own limit goes before the endpoint's where both are told.
std::optional<Millis> limit_wait(const HttpResponse& response) {
  if (const auto account = wait_until_reset(response, "x-account-rate-limit-reset")) return account;
  if (const auto endpoint = wait_until_reset(response, "x-rate-limit-reset")) return endpoint;
  return retry_after(response);
}

template <std::size_t size>
bool is_one_of(std::string_view word, const std::array<std::string_view, size>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 5> kPassing{"CANCELLED_REQUEST", "LOCK_ACQUISITION_TIMEOUT",
                                                   "INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "OVER_CAPACITY"};
constexpr std::array<std::string_view, 3> kOfRecords{"INVALID_PARAMETER", "MISSING_PARAMETER",
                                                     "REQUEST_TOO_COMPLEX"};
// Of the whole request, whatever its records are.
constexpr std::array<std::string_view, 5> kOfTheRequest{"account_id", "custom_audience_id", "pixel_id",
                                                        "name", "description"};

struct ApiError {
  std::string code;  // a word, or empty
  bool of_the_request = false;
};

// The first error of a list. Null: there is none.
std::optional<ApiError> first_error(const Value* list) {
  if (list == nullptr || list->kind != Value::Kind::list || list->list.empty()) return std::nullopt;
  const Value& first = list->list.front();
  return ApiError{.code = code_word(text_member(&first, "code")),
                  .of_the_request = is_one_of(text_member(&first, "parameter"), kOfTheRequest)};
}

std::string_view meaning(std::string_view code) {
  if (code == "UNAUTHORIZED_ACCESS")
    return "the keys or the signature are not accepted, or this machine's clock is wrong";
  if (code == "ACCOUNT_NOT_FOUND") return "the ad account does not exist, or the user may not manage it";
  if (code == "UNAUTHORIZED_CLIENT_APPLICATION") return "the app is not allowed to use the Ads API";
  if (code == "ACTION_NOT_ALLOWED") return "the account or the app is not allowed to do this";
  if (code == "TAILORED_AUDIENCE_NOT_FOUND") return "the audience does not exist";
  if (code == "WEB_EVENT_TAG_NOT_FOUND") return "the pixel or its event does not exist";
  if (code == "REQUEST_TOO_COMPLEX") return "the request is too complex";
  if (is_one_of(code, kOfRecords)) return "a parameter is not accepted";
  return "the platform refuses";
}

Reply judge_error(Records records, const HttpResponse& response, const ApiError& error) {
  const std::string& code = error.code;
  if (code.empty())
    return response.status >= 300 ? judge_status(records, response)
                                  : stop("the platform refuses the request", "errors");
  if (code == "TOO_MANY_REQUESTS")
    return retry(fmt::format("throttled ({})", code), code, limit_wait(response));
  if (is_one_of(code, kPassing) || response.status >= 500)
    return retry(fmt::format("the platform failed ({})", code), code, retry_after(response));
  const std::string reason = fmt::format("{} ({})", meaning(code), code);
  if (is_one_of(code, kOfRecords) && !error.of_the_request) return split(records, reason, code);
  return stop(reason, code);
}

// Whether an entry of operation_errors lays an error to its operation. Entries are lists of errors in the
// order of the operations, empty ones for those that were fine; an error may stand there by itself too.
bool is_blamed(const Value& entry) {
  return entry.kind == Value::Kind::list ? !entry.list.empty() : entry.kind == Value::Kind::object;
}

std::optional<Reply> judge_operations(Records records, const Value* entries, std::size_t operations) {
  if (entries == nullptr || entries->kind != Value::Kind::list) return std::nullopt;
  const auto blamed = std::find_if(entries->list.begin(), entries->list.end(), is_blamed);
  if (blamed == entries->list.end()) return std::nullopt;
  const Value& first = blamed->kind == Value::Kind::list ? blamed->list.front() : *blamed;
  const std::string word = code_word(text_member(&first, "code"));
  const std::string code = word.empty() ? "operation_errors" : word;
  const std::string reason = fmt::format("{} ({})", meaning(word), code);
  Reply reply = split(records, reason, code);
  const bool named = reply.verdict == Reply::Verdict::split && operations == records.count &&
                     entries->list.size() == operations;
  if (!named) return reply;
  reply.outcomes.resize(records.count);
  for (std::size_t i = 0; i < records.count; ++i) {
    if (is_blamed(entries->list[i])) reply.outcomes[i] = {Outcome::Kind::rejected, reason};
  }
  return reply;
}

Reply judge_bare_status(Records records, const HttpResponse& response) {
  if (response.status == 423) return retry("the platform failed (HTTP 423)", "423", retry_after(response));
  if (response.status == 401)
    return stop("the keys or the signature are not accepted, or this machine's clock is wrong (HTTP 401)",
                "401");
  if (response.status == 429) return retry("throttled (HTTP 429)", "429", limit_wait(response));
  return judge_status(records, response);
}

}  // namespace

HttpRequest request(const Context& context, std::string method, const std::string& path, std::string json) {
  HttpRequest result;
  result.method = std::move(method);
  const std::string& base = context.config.setting(std::string(kBaseUrl));
  result.url = fmt::format("{}/{}", without_trailing_slash(base), path);
  if (!json.empty()) result.headers.emplace_back("Content-Type", "application/json");
  result.body = std::move(json);
  oauth1::sign(result, context.config, context.now);
  return result;
}

void check_id(const Config& config, std::string_view name, Problems& problems) {
  const std::string& id = config.setting(std::string(name));
  const bool good = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (!good) problems.push_back(fmt::format("{} must be of letters and digits alone, such as 18ce54", name));
}

void check_credentials(const Config& config, Problems& problems) {
  for (const std::string_view name :
       {oauth1::kConsumerKey, oauth1::kConsumerSecret, oauth1::kAccessToken, oauth1::kAccessTokenSecret})
    check_token(config, std::string(name), problems);
}

std::optional<Reply> judge(Records records, const HttpResponse& response, const std::optional<Value>& answer,
                           std::size_t operations) {
  const bool good = response.status >= 200 && response.status < 300;
  if (!answer) {
    if (good || response.status == 400 || response.status == 404)
      return retry(fmt::format("the answer cannot be read (HTTP {})", response.status), "unreadable");
    return judge_bare_status(records, response);
  }
  if (auto reply = judge_operations(records, member(&*answer, "operation_errors"), operations)) return reply;
  if (const auto error = first_error(member(&*answer, "errors")))
    return judge_error(records, response, *error);
  if (!good) return judge_bare_status(records, response);
  return std::nullopt;
}

}  // namespace tailrace::destinations::x_api
