#include "destinations/meta_graph/graph.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::meta_graph {
namespace {

struct Usage {
  std::optional<double> percent;
  std::optional<Millis> regain;
};

// {"<account>":[{"type":"custom_audience","call_count":28,"total_cputime":25,"total_time":25,
//                "estimated_time_to_regain_access":0}]}: percentages, and minutes.
Usage read_usage(const HttpResponse& response, std::string_view business) {
  Usage usage;
  const auto header = response.headers.get("x-business-use-case-usage");
  if (!header) return usage;
  const auto accounts = parse_json(*header);
  if (!accounts || accounts->kind != Value::Kind::object) return usage;
  for (const auto& [account, entries] : accounts->members) {
    for (const Value& entry : entries.list) {
      if (text_member(&entry, "type") != business) continue;
      for (const std::string_view name : {"call_count", "total_cputime", "total_time"}) {
        if (const auto percent = number_member(&entry, name); percent && *percent >= 0)
          usage.percent = std::max(usage.percent.value_or(0), *percent);
      }
      const auto minutes = integer_member(&entry, "estimated_time_to_regain_access");
      if (minutes && *minutes > 0) {
        const Millis wait = kMinute * std::min<std::int64_t>(*minutes, kRetryAfterMax.count / kMinute.count);
        usage.regain = std::max(usage.regain.value_or(Millis{0}), wait);
      }
    }
  }
  return usage;
}

constexpr std::array<std::int64_t, 12> kThrottleCodes{4,     17,    32,    341,   613,   80000,
                                                      80001, 80002, 80003, 80004, 80005, 80006};

bool is_one_of(std::int64_t code, std::span<const std::int64_t> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

struct GraphError {
  std::int64_t code = 0;
  std::int64_t subcode = 0;
  bool transient = false;
  bool of_schema = false;
};

GraphError read_error(const Value& error) {
  GraphError result;
  result.code = integer_member(&error, "code").value_or(0);
  result.subcode = integer_member(&error, "error_subcode").value_or(0);
  const Value* transient = member(&error, "is_transient");
  result.transient = transient != nullptr && transient->kind == Value::Kind::boolean && transient->boolean;
  result.of_schema = text_member(&error, "message").find("schema") != std::string_view::npos;
  return result;
}

std::string_view meaning(const GraphError& error) {
  switch (error.subcode) {
    case 1713230:
      return "uploads to this audience are blocked by Meta until an appeal";
    case 460:
      return "the token ended with a change of password";
    case 463:
      return "the token has expired";
    case 467:
      return "the token is not valid";
    default:
      break;
  }
  switch (error.code) {
    case 3:
    case 10:
      return "the app lacks a permission";
    case 100:
      return error.subcode == 33 ? "the audience or account does not exist, or the token may not use it"
                                 : "a parameter is not accepted";
    case 102:
    case 190:
      return "the token is not accepted";
    case 105:
      return "too many parameters";
    case 294:
      return "the token lacks ads_management";
    case 368:
      return "blocked for a policy violation";
    case 2650:
      return "the audience could not be updated";
    case 2654:
    case 2655:
      return "the Custom Audience terms are not accepted";
    case 1487301:
      return "the audience is not shared with this account";
    case 1487366:
      return "the audience was deleted";
    default:
      return error.code >= 200 && error.code <= 299 ? "the token lacks a permission" : "the platform refuses";
  }
}

std::string code_text(const GraphError& error) {
  return error.subcode == 0 ? fmt::format("{}", error.code) : fmt::format("{}/{}", error.code, error.subcode);
}

bool asks_for_new_token(std::int64_t code) {
  constexpr std::int64_t kNeedsAdsManagement = 294;
  const bool permission = code >= 200 && code <= 299 && code != kNeedsAdsManagement;
  return code == 102 || code == 190 || code == 10 || code == 3 || permission;
}

Reply judge_error(Records records, const HttpResponse& response, const GraphError& error) {
  const std::string code = code_text(error);
  if (is_one_of(error.code, kThrottleCodes)) return retry(fmt::format("throttled ({})", code), code);
  const std::string reason = fmt::format("{} ({})", meaning(error), code);
  if (asks_for_new_token(error.code)) return reauthorise(reason, code);
  const bool service = error.code == 1 || error.code == 2;
  if (service || error.transient || response.status >= 500)
    return retry(fmt::format("the platform failed ({})", code), code);
  // Graph writes code 0 or none where the status says it all.
  if (error.code == 0 && response.status >= 400) return judge_status(records, response);
  const bool names_a_cause = error.subcode == 33 || error.subcode == 1713230;
  if (error.code == 100 && error.of_schema && !names_a_cause)
    return split(records, fmt::format("a record does not match the schema ({})", code), code);
  // Of the Conversions API: some event is too old, or has nothing to match by.
  if (error.code == 100 && error.subcode >= 2804000 && error.subcode <= 2804999)
    return split(records, fmt::format("an event is not accepted ({})", code), code);
  return stop(reason, code);
}

Reply judge_body(Records records, const HttpResponse& response,
                 const std::function<Reply(const Value&)>& success) {
  const auto answer = json_object(response);
  if (answer) {
    if (const Value* error = member(&*answer, "error"); error != nullptr && error->present())
      return judge_error(records, response, read_error(*error));
    if (response.status >= 200 && response.status < 300) return success(*answer);
    return judge_status(records, response);
  }
  // A page of HTML, or half an answer: Meta's front doors do that when they are busy.
  const bool status_is_clear = response.status == 401 || response.status == 403 || response.status == 413 ||
                               response.status == 429 || response.status >= 500 ||
                               (response.status >= 300 && response.status < 400);
  if (status_is_clear) return judge_status(records, response);
  return retry(fmt::format("the answer cannot be read (HTTP {})", response.status), "unreadable");
}

}  // namespace

HttpRequest request(const Context& context, std::string method, const std::string& path, std::string query) {
  HttpRequest result;
  result.method = std::move(method);
  const std::string base = context.config.setting(std::string(kBaseUrl));
  const std::string& token = context.config.secret(std::string(kAccessToken));
  if (const std::string& app_secret = context.config.secret(std::string(kAppSecret)); !app_secret.empty()) {
    const Sha256 proof = hmac_sha256(app_secret, token);
    query += query.empty() ? "" : "&";
    query += "appsecret_proof=" + to_hex({reinterpret_cast<const char*>(proof.data()), proof.size()});
  }
  result.url = fmt::format("{}/{}{}{}", without_trailing_slash(base), path, query.empty() ? "" : "?", query);
  result.headers = {{"Authorization", "Bearer " + token}};
  return result;
}

void set_json(HttpRequest& to, std::string body) {
  to.headers.emplace_back("Content-Type", "application/json");
  to.body = std::move(body);
}

Reply judge(Records records, const HttpResponse& response, std::string_view business,
            const std::function<Reply(const Value&)>& success) {
  Reply reply = judge_body(records, response, success);
  const Usage usage = read_usage(response, business);
  reply.usage_percent = usage.percent;
  if (usage.regain) reply.retry_after = std::max(reply.retry_after.value_or(Millis{0}), *usage.regain);
  return reply;
}

HttpRequest encode_debug_token(const Context& context) {
  return request(context, "GET", "debug_token",
                 "input_token=" + percent_encoded(context.config.secret(std::string(kAccessToken))));
}

// {"data":{"is_valid":true,"scopes":["ads_management"],"expires_at":0,"data_access_expires_at":1893456000}}:
// seconds since 1970, and 0 of what does not end.
Result<Standing> decode_debug_token(const HttpResponse& response, std::string_view permission) {
  const auto body = json_object(response);
  const Reply reply =
      judge(Records(0), response, "ads_management", [](const Value&) { return accepted(Records(0)); });
  if (reply.verdict != Reply::Verdict::done) return failed("looking at the token", reply);
  const Value* data = member(body ? &*body : nullptr, "data");
  const Value* valid = member(data, "is_valid");
  if (valid == nullptr || valid->kind != Value::Kind::boolean)
    return fail(Error::Code::unavailable, "looking at the token: the answer cannot be read");
  if (!valid->boolean) return invalid("looking at the token: Meta says that it is not valid");
  Standing standing;
  const Value* scopes = member(data, "scopes");
  const bool has_it = scopes != nullptr && std::ranges::any_of(scopes->list, [&](const Value& scope) {
                        return scope.kind == Value::Kind::string && scope.string == permission;
                      });
  if (!has_it) standing.missing.emplace_back(permission);
  for (const std::string_view name : {"expires_at", "data_access_expires_at"}) {
    const auto seconds = integer_member(data, name);
    if (!seconds || *seconds <= 0 || *seconds > kTimeMax.ms / 1000) continue;
    const Time at{*seconds * 1000};
    standing.ends_at = std::min(standing.ends_at.value_or(at), at);
  }
  return standing;
}

}  // namespace tailrace::destinations::meta_graph
