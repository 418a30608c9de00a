#include "sandbox/tiktok/tiktok.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::int64_t kFirstAudience = 1'800'000'001;
constexpr std::int64_t kPeopleMin = 1000;
constexpr std::int64_t kRequestsPerSecond = 1000;
constexpr std::int64_t kIdentifiersMax = 10'000;
constexpr std::int64_t kListedMax = 100;
constexpr std::size_t kNameMax = 128;
constexpr std::size_t kEventsMax = 1000;
constexpr Millis kSameEvent = kHour * 48;
constexpr Millis kOldestEvent = kDay * 28;
constexpr Millis kAhead = kMinute * 10;

constexpr std::int64_t kNoPermission = 40001;
constexpr std::int64_t kParameter = 40002;
constexpr std::int64_t kTooMany = 40100;
constexpr std::int64_t kTokenRefused = 40105;
constexpr std::int64_t kSystemError = 50000;

struct IdType {
  std::string_view name;
  std::string_view kind;
  std::size_t digits;
};
constexpr std::array<IdType, 7> kIdTypes{{{"EMAIL_SHA256", "email", 64},
                                          {"PHONE_SHA256", "phone", 64},
                                          {"IDFA_SHA256", "mobile_id", 64},
                                          {"AAID_SHA256", "mobile_id", 64},
                                          {"GAID_SHA256", "mobile_id", 64},
                                          {"IDFA_MD5", "mobile_id", 32},
                                          {"AAID_MD5", "mobile_id", 32}}};

const IdType* find_type(std::string_view name) {
  const auto found = std::ranges::find(kIdTypes, name, &IdType::name);
  return found == kIdTypes.end() ? nullptr : &*found;
}

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::unexpected<TiktokError> wrong(std::string message) {
  return std::unexpected(TiktokError{kParameter, std::move(message)});
}

// An id as a text or as a number; "" otherwise.
std::string id_text(const Value* value) {
  if (is_string(value)) return is_digits(value->string) ? value->string : std::string();
  const auto number = value == nullptr ? std::nullopt : whole_number(*value);
  return number && *number > 0 ? std::to_string(*number) : std::string();
}

// A list of ids; empty when it is not one, or holds anything else.
std::vector<std::string> id_list(const Value* value) {
  std::vector<std::string> ids;
  if (value == nullptr || value->kind != Value::Kind::list) return ids;
  for (const Value& element : value->list) {
    std::string id = id_text(&element);
    if (id.empty()) return {};
    ids.push_back(std::move(id));
  }
  return ids;
}

// The segments after /open_api/v1.3, which may be left out.
std::vector<std::string> path_of(const Call& call) {
  std::vector<std::string> path = call.segments;
  if (!path.empty() && path.front() == "open_api") path.erase(path.begin());
  if (!path.empty() && path.front().starts_with("v1.")) path.erase(path.begin());
  return path;
}

// What is wrong with an event; "": nothing.
std::string event_problem(const Value& event, Time now) {
  const Value* name = event.find("event");
  if (!is_string(name) || name->string.empty()) return "event: Missing data for required field.";
  const Value* time = event.find("event_time");
  const auto seconds =
      time != nullptr && time->kind == Value::Kind::number ? whole_number(*time) : std::nullopt;
  if (!seconds || *seconds > (now + kAhead).ms / 1000 || *seconds < (now - kOldestEvent).ms / 1000)
    return "event_time: Not a time in seconds of the last days.";
  const Value* user = event.find("user");
  if (user == nullptr || user->kind != Value::Kind::object || user->members.empty())
    return "user: Missing data for required field.";
  for (const std::string_view key : {"email", "phone", "external_id"}) {
    const Value* hashes = user->find(key);
    if (hashes == nullptr) continue;
    const bool hashed =
        hashes->kind == Value::Kind::list && std::ranges::all_of(hashes->list, [](const Value& hash) {
          return is_string(&hash) && is_lower_hex_digest(hash.string);
        });
    if (!hashed) return fmt::format("user.{}: Not a list of hashes.", key);
  }
  for (const std::string_view key : {"ip", "ttclid", "user_agent"}) {
    const Value* plain = user->find(key);
    if (plain != nullptr && (!is_string(plain) || is_lower_hex_digest(plain->string)))
      return fmt::format("user.{}: Not the value itself.", key);
  }
  const Value* properties = event.find("properties");
  const bool purchase = name->string == "Purchase" || name->string == "CompletePayment";
  if (purchase && (properties == nullptr || properties->find("value") == nullptr ||
                   !is_string(properties->find("currency"))))
    return "properties: A purchase needs value and currency.";
  return "";
}

}  // namespace

Tiktok::Tiktok(const Options& options, const Limits& limits)
    : options_(options), limits_(limits), store_(options, kFirstAudience) {}

std::vector<Platform::Limit> Tiktok::limits() const {
  return {{"tiktok_people_min", kPeopleMin},
          {"tiktok_requests_per_second", kRequestsPerSecond},
          {"tiktok_processing_ms", 0}};
}

bool Tiktok::is_authorised(const Call& call) const {
  const auto token = call.request.headers.get("Access-Token");
  return token && !token->empty() && (options_.token.empty() || *token == options_.token);
}

HttpResponse Tiktok::handle(const Call& call) {
  if (!is_authorised(call)) return refuse(Refusal::auth, 0, call);
  if (!second_.admit(call.now, limits_.of("tiktok_requests_per_second")))
    return refuse(Refusal::throttle, 0, call);
  const auto answered = answer(call);
  const std::int64_t code = answered ? 0 : answered.error().code;
  return json_response(
      200, object({{"code", whole(code)},
                   {"message", Value::of(answered ? std::string("OK") : printable(answered.error().message))},
                   {"request_id", Value::of(fmt::format("2026{:012}", ++requests_))},
                   {"data", answered ? *answered : Value::with(Value::Kind::object)}}));
}

HttpResponse Tiktok::refuse(Refusal refusal, int status, const Call&) {
  TiktokError error{kSystemError, "System error"};
  if (refusal == Refusal::auth) error = {kTokenRefused, "Access token is incorrect or has been revoked."};
  if (refusal == Refusal::throttle) error = {kTooMany, "Too many requests. Please retry in some time."};
  const bool failing = refusal == Refusal::fail;
  if (failing && status < 500) error = {kParameter, "Invalid parameter"};
  return json_response(failing ? status : 200,
                       object({{"code", whole(error.code)},
                               {"message", Value::of(error.message)},
                               {"request_id", Value::of(fmt::format("2026{:012}", ++requests_))},
                               {"data", Value::with(Value::Kind::object)}}));
}

TiktokResult<Value> Tiktok::answer(const Call& call) {
  const std::vector<std::string> path = path_of(call);
  const bool post = call.request.method == "POST";
  std::string route;
  for (const std::string& part : path) route += "/" + part;
  if (!post && route == "/dmp/custom_audience/get") return get(call);
  if (!post && route == "/dmp/custom_audience/list") return list(call);
  if (!post && route == "/user/info") return object({{"display_name", Value::of("Sandbox")}});
  const bool known = route == "/segment/audience" || route == "/segment/mapping" || route == "/event/track";
  if (!post || !known) return wrong("The path or method is not one of the sandbox");
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return wrong("The body is not a JSON object");
  if (route == "/event/track") return track(*body, call.now);
  return route == "/segment/audience" ? segment(*body, call.now) : map(*body, call.now);
}

TiktokResult<Value> Tiktok::segment(const Value& body, Time now) {
  const std::string advertiser = id_text(body.find("advertiser_id"));
  if (advertiser.empty()) return wrong("advertiser_id: Missing data for required field.");
  const Value* action = body.find("action");
  if (is_string(action) && action->string == "delete") {
    const std::string id = id_text(body.find("audience_id"));
    const StoredAudience* audience = store_.find(id);
    if (audience == nullptr || audience->account != advertiser) return wrong("audience_id: Not found.");
    store_.erase(id);
    return object({});
  }
  if (!is_string(action) || action->string != "create") return wrong("action: create or delete.");
  const Value* name = body.find("custom_audience_name");
  if (!is_string(name) || name->string.empty() || name->string.size() > kNameMax)
    return wrong("custom_audience_name: 1 to 128 characters.");
  const StoredAudience& audience = store_.create(name->string, advertiser, now);
  return object({{"audience_id", Value::of(audience.id)}});
}

// All or nothing: a row that is not accepted leaves every audience as it was.
TiktokResult<Value> Tiktok::map(const Value& body, Time now) {
  const std::vector<std::string> advertisers = id_list(body.find("advertiser_ids"));
  if (advertisers.empty()) return wrong("advertiser_ids: Missing data for required field.");
  const Value* action = body.find("action");
  const bool adds = is_string(action) && action->string == "add";
  if (!adds && !(is_string(action) && action->string == "delete")) return wrong("action: add or delete.");
  auto rows = read_rows(body, advertisers);
  if (!rows) return std::unexpected(rows.error());
  for (const Row& row : *rows) {
    std::map<std::string, std::vector<MemberId>> by_audience;
    for (const Entry& entry : row) {
      for (const std::string& audience : entry.audiences) by_audience[audience].push_back(entry.id);
    }
    for (const auto& [id, identifiers] : by_audience) {
      StoredAudience& audience = *store_.find(id);
      AudienceStore::begin_upload(audience, now, lag());
      if (adds) {
        audience.members.add(identifiers, now);
      } else {
        audience.members.remove(identifiers);
      }
    }
  }
  return object({});
}

TiktokResult<std::vector<Tiktok::Row>> Tiktok::read_rows(const Value& body,
                                                         const std::vector<std::string>& advertisers) {
  const Value* schema = body.find("id_schema");
  if (schema == nullptr || schema->kind != Value::Kind::list || schema->list.empty())
    return wrong("id_schema: Missing data for required field.");
  std::vector<std::string> names;
  for (const Value& name : schema->list) {
    if (!is_string(&name) || find_type(name.string) == nullptr) return wrong("id_schema: Unknown type.");
    if (std::ranges::find(names, name.string) != names.end())
      return wrong("id_schema: A type is there twice.");
    names.push_back(name.string);
  }
  const Value* data = body.find("batch_data");
  if (data == nullptr || data->kind != Value::Kind::list || data->list.empty())
    return wrong("batch_data: Missing data for required field.");
  std::vector<Row> rows;
  std::int64_t identifiers = 0;
  for (const Value& each : data->list) {
    auto row = read_row(each, names, rows.size(), advertisers);
    if (!row) return std::unexpected(row.error());
    identifiers += std::ssize(*row);
    rows.push_back(std::move(*row));
  }
  if (identifiers > kIdentifiersMax)
    return wrong(fmt::format("The request holds {} identifiers, at most {}", identifiers, kIdentifiersMax));
  return rows;
}

TiktokResult<Tiktok::Row> Tiktok::read_row(const Value& row, const std::vector<std::string>& schema,
                                           std::size_t number, const std::vector<std::string>& advertisers) {
  if (row.kind != Value::Kind::list || row.list.size() != schema.size())
    return wrong(fmt::format("batch_data.{}: One entry per type of id_schema.", number));
  Row read;
  for (std::size_t i = 0; i < schema.size(); ++i) {
    const Value& entry = row.list[i];
    const std::string where = fmt::format("batch_data.{}.{}", number, i);
    if (entry.kind != Value::Kind::object) return wrong(where + ": Not an object.");
    if (entry.members.empty()) continue;
    const IdType& type = *find_type(schema[i]);
    const Value* id = entry.find("id");
    if (!is_string(id) || !is_hex(id->string, type.digits))
      return wrong(where + ".id: Not a hash in lower-case hexadecimal.");
    const std::vector<std::string> audiences = id_list(entry.find("audience_ids"));
    if (audiences.empty()) return wrong(where + ".audience_ids: Missing data for required field.");
    for (const std::string& audience : audiences) {
      const StoredAudience* found = store_.find(audience);
      if (found == nullptr) return wrong("audience_ids: Not found.");
      if (std::ranges::find(advertisers, found->account) == advertisers.end())
        return std::unexpected(TiktokError{kNoPermission, "No permission to operate the audience."});
    }
    read.push_back({{std::string(type.kind), id->string}, audiences});
  }
  if (read.empty()) return wrong(fmt::format("batch_data.{}: Nothing in it.", number));
  return read;
}

std::optional<HttpResponse> Tiktok::control(const Call& call) {
  const bool asked =
      call.request.method == "GET" && call.segments.size() == 1 && call.segments[0] == "events";
  return asked ? std::optional(events_.list()) : std::nullopt;
}

// All or nothing, as the code is of the whole request. Events of a test are not counted.
TiktokResult<Value> Tiktok::track(const Value& body, Time now) {
  const Value* source = body.find("event_source");
  constexpr std::array<std::string_view, 4> kSources{"web", "app", "offline", "crm"};
  if (!is_string(source) || std::ranges::find(kSources, source->string) == kSources.end())
    return wrong("event_source: web, app, offline or crm.");
  const Value* source_id = body.find("event_source_id");
  if (!is_string(source_id) || source_id->string.empty())
    return wrong("event_source_id: Missing data for required field.");
  const Value* data = body.find("data");
  if (data == nullptr || data->kind != Value::Kind::list || data->list.empty())
    return wrong("data: Missing data for required field.");
  if (data->list.size() > kEventsMax) return wrong("data: Longer than maximum length 1000.");
  for (std::size_t i = 0; i < data->list.size(); ++i) {
    const std::string problem = event_problem(data->list[i], now);
    if (!problem.empty()) return wrong(fmt::format("data.{}.{}", i, problem));
  }
  if (const Value* test = body.find("test_event_code"); is_string(test)) return object({});
  for (const Value& event : data->list) {
    const Value* id = event.find("event_id");
    const std::string key =
        is_string(id) ? source_id->string + "/" + event.find("event")->string + "/" + id->string : "";
    events_.add(key, event, now, kSameEvent);
  }
  return object({});
}

Value Tiktok::describe(const StoredAudience& audience, Time now) const {
  const std::int64_t matched = AudienceStore::matched(audience, now, lag());
  return object({{"audience_id", Value::of(audience.id)},
                 {"name", Value::of(audience.name)},
                 {"cover_num", whole(blurred_down(matched))},
                 {"is_valid", Value::of(matched >= limits_.of("tiktok_people_min"))},
                 {"create_time", Value::of(format_time(audience.created))}});
}

TiktokResult<Value> Tiktok::get(const Call& call) {
  const std::string* advertiser = find_param(call.query, "advertiser_id");
  const std::string* asked = find_param(call.query, "custom_audience_ids");
  const auto parsed = parse_json(asked == nullptr ? "" : *asked);
  const std::vector<std::string> ids = parsed ? id_list(&*parsed) : std::vector<std::string>();
  if (advertiser == nullptr || ids.empty() || std::ssize(ids) > kListedMax)
    return wrong("advertiser_id and custom_audience_ids (1 to 100) are required.");
  Value found = Value::with(Value::Kind::list);
  for (const std::string& id : ids) {
    const StoredAudience* audience = store_.find(id);
    if (audience == nullptr || audience->account != *advertiser) continue;
    found.list.push_back(object({{"audience_details", describe(*audience, call.now)}}));
  }
  return object({{"list", std::move(found)}});
}

TiktokResult<Value> Tiktok::list(const Call& call) const {
  const std::string* advertiser = find_param(call.query, "advertiser_id");
  if (advertiser == nullptr) return wrong("advertiser_id: Missing data for required field.");
  const auto number = [&](std::string_view name, std::int64_t otherwise) {
    const std::string* text = find_param(call.query, name);
    return text == nullptr ? otherwise : whole_number(*text).value_or(0);
  };
  const std::int64_t page = number("page", 1);
  const std::int64_t size = number("page_size", 10);
  if (page < 1 || page > kListedMax * kListedMax || size < 1 || size > kListedMax)
    return wrong("page: from 1 on; page_size: 1 to 100.");
  std::int64_t total = 0;
  Value shown = Value::with(Value::Kind::list);
  for (const auto& [id, audience] : store_.all()) {
    if (audience.account != *advertiser) continue;
    const bool on_page = total >= (page - 1) * size && total < page * size;
    ++total;
    if (on_page) shown.list.push_back(describe(audience, call.now));
  }
  return object({{"list", std::move(shown)},
                 {"page_info", object({{"page", whole(page)},
                                       {"page_size", whole(size)},
                                       {"total_number", whole(total)},
                                       {"total_page", whole((total + size - 1) / size)}})}});
}

std::unique_ptr<Platform> make_tiktok(const Options& options, const Limits& limits) {
  return std::make_unique<Tiktok>(options, limits);
}

}  // namespace tailrace::sandbox
