#include "destinations/tiktok_api/envelope.h"

#include <fmt/format.h>

#include "destinations/text.h"

namespace tailrace::destinations::tiktok_api {
namespace {

constexpr std::int64_t kDone = 0;
constexpr std::int64_t kPartly = 20001;
constexpr std::int64_t kNoPermission = 40001;
constexpr std::int64_t kParameter = 40002;
constexpr std::int64_t kTooMany = 40100;

Reply judge_code(Records records, const Value& answer, std::int64_t number, std::string_view records_name) {
  const std::string code = fmt::format("{}", number);
  if (number == kPartly) return split(records, "the platform took a part only (20001)", code);
  if (number == kNoPermission) return stop("the token lacks a permission (40001)", code);
  const bool of_records = text_member(&answer, "message").find(records_name) != std::string_view::npos;
  if (number == kParameter && of_records) return split(records, "a record is not accepted (40002)", code);
  if (number == kParameter) return stop("a parameter is not accepted (40002)", code);
  if (number == kTooMany) return retry("throttled (40100)", code);
  if (number > kTooMany && number < kTooMany + 100)
    return reauthorise(fmt::format("the token is not accepted ({})", code), code);
  if (number >= 50'000 && number < 60'000) return retry(fmt::format("the platform failed ({})", code), code);
  return stop(fmt::format("the platform refuses ({})", code), code);
}

}  // namespace

HttpRequest request(const Context& context, std::string method, std::string_view path) {
  HttpRequest result;
  result.method = std::move(method);
  result.url =
      fmt::format("{}/{}", without_trailing_slash(context.config.setting(std::string(kBaseUrl))), path);
  result.headers = {{"Access-Token", context.config.secret(std::string(kAccessToken))}};
  return result;
}

void set_json(HttpRequest& to, std::string body) {
  to.headers.emplace_back("Content-Type", "application/json");
  to.body = std::move(body);
}

Reply judge(Records records, const HttpResponse& response, std::string_view records_name) {
  const auto answer = json_object(response);
  const auto code = answer ? integer_member(&*answer, "code") : std::nullopt;
  const bool good = response.status >= 200 && response.status < 300;
  if (!code || (*code == kDone && !good)) return judge_status(records, response);
  if (*code == kDone) return accepted(records);
  return judge_code(records, *answer, *code, records_name);
}

Result<Value> read_data(const HttpResponse& response, std::string_view what) {
  const Reply reply = judge(std::size_t{0}, response, "");
  if (reply.verdict != Reply::Verdict::done) return failed(what, reply);
  const auto answer = json_object(response);
  const Value* data = answer ? member(&*answer, "data") : nullptr;
  if (data == nullptr || data->kind != Value::Kind::object)
    return fail(Error::Code::unavailable, fmt::format("{}: the answer has no data", what));
  return *data;
}

}  // namespace tailrace::destinations::tiktok_api
