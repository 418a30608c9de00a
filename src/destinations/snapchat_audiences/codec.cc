#include "destinations/snapchat_audiences/codec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_set>

#include <fmt/format.h>

#include "destinations/answer.h"
#include "destinations/authentication/refresh_token.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::snapchat_codec {
namespace {

constexpr std::array<std::string_view, 3> kSchemas{"EMAIL_SHA256", "PHONE_SHA256", "MOBILE_AD_ID_SHA256"};
constexpr std::string_view kNoPermission = "E3002";
constexpr int kListedMax = 100;

std::string setting(const Context& context, std::string_view name) {
  return context.config.setting(std::string(name));
}

std::string_view schema_of(IdentifierKind kind) {
  if (kind == IdentifierKind::email) return kSchemas[0];
  return kind == IdentifierKind::phone ? kSchemas[1] : kSchemas[2];
}

// {"schema":["EMAIL_SHA256"],"data":[["<hash>"],...]}, or nothing where no member has such an identifier.
std::string list_json(const Batch& batch, std::string_view schema) {
  std::string data;
  std::unordered_set<std::string_view> seen;
  for (const Member& person : batch.members) {
    for (const UploadIdentifier& identifier : person.identifiers) {
      if (schema_of(identifier.kind) != schema || !seen.insert(identifier.value).second) continue;
      if (!data.empty()) data += ',';
      data += '[';
      append_json_string(data, identifier.value);
      data += ']';
    }
  }
  if (data.empty()) return data;
  return fmt::format(R"({{"schema":["{}"],"data":[{}]}})", schema, data);
}

// A batch is of one kind, and then there is one list.
std::string users_json(const Batch& batch) {
  std::string lists;
  for (const std::string_view schema : kSchemas) {
    const std::string list = list_json(batch, schema);
    if (!lists.empty() && !list.empty()) lists += ',';
    lists += list;
  }
  return R"({"users":[)" + lists + "]}";
}

HttpRequest request(const Context& context, std::string method, std::string_view path) {
  HttpRequest result;
  result.method = std::move(method);
  result.url = fmt::format("{}/{}", without_trailing_slash(setting(context, kBaseUrl)), path);
  result.headers = {{"Authorization", fmt::format("Bearer {}", refresh_token::bearer(context))}};
  return result;
}

void set_json(HttpRequest& to, std::string body) {
  to.headers.emplace_back("Content-Type", "application/json");
  to.body = std::move(body);
}

std::string segments_path(const Context& context) {
  return fmt::format("adaccounts/{}/segments", percent_encoded(setting(context, kAdAccountId)));
}

// The answers are written in either case.
bool is_success(std::string_view status) { return equal_ignoring_case(status, "success"); }

// The first of the entities of an answer: {"segments":[{"sub_request_status":"success","segment":{...}}]}.
const Value* first_entry(const Value& answer, std::string_view list) {
  const Value* entries = member(&answer, list);
  if (entries == nullptr || entries->kind != Value::Kind::list || entries->list.empty()) return nullptr;
  return &entries->list.front();
}

Reply judge(const Batch& batch, const HttpResponse& response) {
  const auto answer = json_object(response);
  if (!answer) return judge_status(batch, response);
  const std::string code = code_word(text_member(&*answer, "error_code"));
  if (code == kNoPermission) return stop("the token lacks a permission (E3002)", code);
  // Nothing says which record it was; adding and removing are set operations, so it is found by halving.
  const std::string which = code.empty() ? fmt::format("HTTP {}", response.status) : code;
  if (response.status == 400) return split(batch, fmt::format("a record is not accepted ({})", which), which);
  if (response.status < 200 || response.status >= 300) return judge_status(batch, response);
  const std::string_view status = text_member(&*answer, "request_status");
  if (status.empty()) return retry("the answer cannot be read: no request_status", "unreadable");
  for (const std::string_view list : {"users", "segments"}) {
    const Value* entry = first_entry(*answer, list);
    const std::string_view part = text_member(entry, "sub_request_status");
    if (!part.empty() && !is_success(part))
      return split(batch, fmt::format("a record is not accepted ({})", which), which);
  }
  if (!is_success(status)) return split(batch, fmt::format("a record is not accepted ({})", which), which);
  return accepted(batch);
}

// For exchanges without a batch.
Result<Value> read_object(const HttpResponse& response, std::string_view what) {
  const Reply reply = judge(Batch{}, response);
  if (reply.verdict == Reply::Verdict::done) return *json_object(response);
  const bool told = response.status == 400 || (response.status >= 200 && response.status < 300);
  if (told && reply.verdict == Reply::Verdict::stop)
    return invalid(fmt::format("{}: the platform refuses it ({})", what, reply.code));
  return failed(what, reply);
}

Value described(const Context& context, const std::string& id) {
  Value segment = Value::with(Value::Kind::object);
  if (!id.empty()) segment.members.emplace_back("id", Value::of(id));
  segment.members.emplace_back("name", Value::of(context.config.audience_name));
  segment.members.emplace_back("description", Value::of(context.config.audience_description));
  if (id.empty()) segment.members.emplace_back("source_type", Value::of("FIRST_PARTY"));
  segment.members.emplace_back("retention_in_days",
                               Value::of(Number::integer(retention_days(context.config))));
  segment.members.emplace_back("ad_account_id", Value::of(setting(context, kAdAccountId)));
  Value list = Value::with(Value::Kind::list);
  list.list.push_back(std::move(segment));
  Value body = Value::with(Value::Kind::object);
  body.members.emplace_back("segments", std::move(list));
  return body;
}

// The cursor in "https://adsapi.snapchat.com/v1/...?cursor=abc&limit=100"; as it stands there it is encoded.
std::string cursor_of(std::string_view link) {
  constexpr std::string_view kCursor = "cursor=";
  for (std::size_t at = link.find(kCursor); at != std::string_view::npos; at = link.find(kCursor, at + 1)) {
    if (at == 0 || (link[at - 1] != '?' && link[at - 1] != '&')) continue;
    std::string_view cursor = link.substr(at + kCursor.size());
    return std::string(cursor.substr(0, cursor.find_first_of("&#")));
  }
  return "";
}

bool is_query_safe(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '%' || c == '=';
  });
}

}  // namespace

std::int64_t retention_days(const Config& config) {
  const std::string& text = config.setting(std::string(kRetentionInDays));
  std::int64_t days = 0;
  std::from_chars(text.data(), text.data() + text.size(), days);
  return days;
}

HttpRequest encode(const Batch& batch, const Context& context) {
  HttpRequest result = request(context, batch.kind == BatchKind::add ? "POST" : "DELETE",
                               fmt::format("segments/{}/users", percent_encoded(batch.audience_id)));
  set_json(result, users_json(batch));
  return result;
}

Reply decode(const Batch& batch, const HttpResponse& response) { return judge(batch, response); }

HttpRequest encode_find(const Context& context, const std::string& page) {
  std::string query = fmt::format("limit={}", kListedMax);
  if (!page.empty()) query += "&cursor=" + page;
  return request(context, "GET", fmt::format("{}?{}", segments_path(context), query));
}

Result<AudienceDestination::Found> decode_find(const HttpResponse& response, const Config& config) {
  const Value answer = TRY(read_object(response, "looking for the segment"));
  AudienceDestination::Found found;
  if (const Value* entries = member(&answer, "segments"); entries != nullptr) {
    for (const Value& entry : entries->list) {
      const Value* segment = member(&entry, "segment");
      if (text_member(segment, "name") != config.audience_name) continue;
      found.audience_id = text_member(segment, "id");
      return found;
    }
  }
  const std::string cursor = cursor_of(text_member(member(&answer, "paging"), "next_link"));
  if (is_query_safe(cursor)) found.next_page = cursor;
  return found;
}

HttpRequest encode_create(const Context& context) {
  HttpRequest result = request(context, "POST", segments_path(context));
  set_json(result, to_json(described(context, "")));
  return result;
}

Result<std::string> decode_create(const HttpResponse& response) {
  const Value answer = TRY(read_object(response, "creating the segment"));
  const std::string_view id = text_member(member(first_entry(answer, "segments"), "segment"), "id");
  if (id.empty()) return fail(Error::Code::unavailable, "creating the segment: the answer names no id");
  return std::string(id);
}

HttpRequest encode_update(const std::string& audience_id, const Context& context) {
  HttpRequest result = request(context, "PUT", segments_path(context));
  set_json(result, to_json(described(context, audience_id)));
  return result;
}

Result<void> decode_update(const HttpResponse& response) {
  TRY(read_object(response, "renaming the segment"));
  return {};
}

HttpRequest encode_measure(const std::string& audience_id, const Context& context) {
  return request(context, "GET", fmt::format("segments/{}", percent_encoded(audience_id)));
}

Result<Measurement> decode_measure(const HttpResponse& response) {
  Measurement result;
  result.gone = response.status == 404;
  if (result.gone) return result;
  const Value answer = TRY(read_object(response, "measuring the segment"));
  const Value* segment = member(first_entry(answer, "segments"), "segment");
  result.name = text_member(segment, "name");
  result.description = text_member(segment, "description");
  result.retention_days = integer_member(segment, "retention_in_days");
  const auto size = integer_member(segment, "approximate_number_users");
  if (size && *size >= 0) result.size = *size;
  result.detail = code_word(text_member(segment, "targetable_status"));
  return result;
}

}  // namespace tailrace::destinations::snapchat_codec
