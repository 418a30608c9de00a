#include "destinations/pinterest_audiences/codec.h"

#include <unordered_set>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/authentication/refresh_token.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::pinterest_codec {
namespace {

constexpr int kListedMax = 250;
constexpr std::string_view kNobodysEmail = "nobody@example.com";  // RFC 2606: nobody can have it
constexpr std::string_view kNobodysDevice = "00000000-0000-0000-0000-000000000000";

std::string setting(const Context& context, std::string_view name) {
  return context.config.setting(std::string(name));
}

// "<hash>,<hash>", each once.
std::string records_of(const Batch& batch) {
  std::string records;
  std::unordered_set<std::string_view> seen;
  for (const Member& person : batch.members) {
    for (const UploadIdentifier& identifier : person.identifiers) {
      if (!seen.insert(identifier.value).second) continue;
      if (!records.empty()) records += ',';
      records += identifier.value;
    }
  }
  return records;
}

HttpRequest request(const Context& context, std::string method, const std::string& path) {
  HttpRequest result;
  result.method = std::move(method);
  result.url = fmt::format("{}/ad_accounts/{}/{}", without_trailing_slash(setting(context, kBaseUrl)),
                           percent_encoded(setting(context, kAdAccountId)), path);
  result.headers = {{"Authorization", fmt::format("Bearer {}", refresh_token::bearer(context))}};
  return result;
}

void set_json(HttpRequest& to, std::string body) {
  to.headers.emplace_back("Content-Type", "application/json");
  to.body = std::move(body);
}

// Seconds until the rate's window is over; its name and unit are not confirmed, so a time of day is not read.
std::optional<Millis> until_reset(const HttpResponse& response) {
  if (const auto asked = retry_after(response)) return asked;
  const auto header = response.headers.get("x-ratelimit-reset");
  if (!header) return std::nullopt;
  const Value text = Value::of(std::string(*header));
  Value holder = Value::with(Value::Kind::object);
  holder.members.emplace_back("reset", text);
  const auto seconds = integer_member(&holder, "reset");
  if (!seconds || *seconds < 0 || *seconds > kDay.count / kSecond.count) return std::nullopt;
  return kSecond * *seconds;
}

Reply judge(const Batch& batch, const HttpResponse& response) {
  const auto answer = json_object(response);
  if (response.status >= 200 && response.status < 300) {
    // Counters and exceptions name no record and are not of this request alone.
    if (answer && !text_member(&*answer, "id").empty()) return accepted(batch);
    return retry(fmt::format("the answer cannot be read (HTTP {})", response.status), "unreadable");
  }
  const auto number = answer ? integer_member(&*answer, "code") : std::nullopt;
  const std::string code = number ? fmt::format("{}", *number) : fmt::format("HTTP {}", response.status);
  if (response.status == 429) return retry(fmt::format("throttled ({})", code), code, until_reset(response));
  // Nothing says which record it was; adding and removing are set operations, so it is found by halving.
  if (response.status == 400 && answer)
    return split(batch, fmt::format("a record is not accepted ({})", code), code);
  if (response.status == 403) return stop(fmt::format("the token lacks a permission ({})", code), code);
  return judge_status(batch, response);
}

Result<Value> read_object(const HttpResponse& response, std::string_view what) {
  auto answer = json_object(response);
  if (answer && response.status >= 200 && response.status < 300) return *std::move(answer);
  if (response.status == 400) return invalid(fmt::format("{}: the platform refuses it (HTTP 400)", what));
  return failed(what, judge(Batch{}, response));
}

}  // namespace

HttpRequest encode(const Batch& batch, const Context& context) {
  HttpRequest result =
      request(context, "PATCH", fmt::format("customer_lists/{}", percent_encoded(batch.audience_id)));
  std::string body =
      fmt::format(R"({{"operation_type":"{}","records":)", batch.kind == BatchKind::add ? "ADD" : "REMOVE");
  append_json_string(body, records_of(batch));
  set_json(result, body + "}");
  return result;
}

Reply decode(const Batch& batch, const HttpResponse& response) { return judge(batch, response); }

HttpRequest encode_find(const Context& context, const std::string& page) {
  std::string path = fmt::format("customer_lists?page_size={}", kListedMax);
  if (!page.empty()) path += "&bookmark=" + percent_encoded(page);
  return request(context, "GET", path);
}

Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config) {
  const Value answer = TRY(read_object(response, "looking for the customer list"));
  AudienceDestination::Found found;
  if (const Value* lists = member(&answer, "items"); lists != nullptr) {
    for (const Value& list : lists->list) {
      if (text_member(&list, "name") != config.audience_name) continue;
      found.audience_id = text_member(&list, "id");
      return found;
    }
  }
  found.next_page = text_member(&answer, "bookmark");
  return found;
}

HttpRequest encode_create(const Context& context) {
  const std::string list_type = setting(context, kListType);
  HttpRequest result = request(context, "POST", "customer_lists");
  Value body = Value::with(Value::Kind::object);
  body.members.emplace_back("name", Value::of(context.config.audience_name));
  body.members.emplace_back("list_type", Value::of(list_type));
  body.members.emplace_back("records",
                            Value::of(sha256_hex(list_type == "EMAIL" ? kNobodysEmail : kNobodysDevice)));
  set_json(result, to_json(body));
  return result;
}

Result<std::string> decode_create(const HttpResponse& response) {
  const Value answer = TRY(read_object(response, "creating the customer list"));
  const std::string_view id = text_member(&answer, "id");
  if (id.empty()) return fail(Error::Code::unavailable, "creating the customer list: the answer names no id");
  return std::string(id);
}

HttpRequest encode_measure(const std::string& audience_id, const Context& context) {
  const std::string targeting = setting(context, kTargetingAudienceId);
  if (!targeting.empty()) return request(context, "GET", "audiences/" + percent_encoded(targeting));
  return request(context, "GET", "customer_lists/" + percent_encoded(audience_id));
}

Result<Measurement> decode_measure(const HttpResponse& response) {
  Measurement result;
  result.gone = response.status == 404;
  if (result.gone) return result;
  const Value answer = TRY(read_object(response, "measuring the customer list"));
  result.name = text_member(&answer, "name");
  // Of a targeting audience only.
  const auto size = integer_member(&answer, "size");
  if (size && *size >= 0) result.size = *size;
  result.detail = code_word(text_member(&answer, "status"));
  return result;
}

}  // namespace tailrace::destinations::pinterest_codec
