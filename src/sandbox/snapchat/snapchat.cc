#include "sandbox/snapchat/snapchat.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::int64_t kFirstSegment = 5'677'923'948'298'240;
constexpr std::int64_t kPeopleMin = 1000;
constexpr std::int64_t kRequestsPerMinute = 600;  // Snapchat tells no figure
constexpr std::size_t kIdentifiersMax = 100'000;
constexpr std::size_t kNameMax = 375;
constexpr std::int64_t kRetentionMax = 9999;
constexpr Millis kTokenLifetime = kMinute * 30;
constexpr std::size_t kEventsMax = 2000;
constexpr Millis kOldestEvent = kDay * 37;
constexpr Millis kAhead = kMinute * 10;
constexpr Millis kSameEvent = kHour * 48;

struct Schema {
  std::string_view name;
  std::string_view kind;
};
constexpr std::array<Schema, 3> kSchemas{
    {{"EMAIL_SHA256", "email"}, {"PHONE_SHA256", "phone"}, {"MOBILE_AD_ID_SHA256", "mobile_id"}}};

std::unexpected<SnapchatError> wrong(std::string message) {
  return std::unexpected(SnapchatError{400, "E1001", std::move(message)});
}
std::unexpected<SnapchatError> missing() {
  return std::unexpected(SnapchatError{404, "E1001", "The entity can not be found"});
}

// The segments after the version, which may be left out.
std::vector<std::string> path_of(const Call& call) {
  std::vector<std::string> path = call.segments;
  if (!path.empty() && path.front() == "v1") path.erase(path.begin());
  return path;
}

// The one element of body[name], or nullptr.
const Value* only_element(const Value& body, std::string_view name) {
  const Value* list = body.find(name);
  const bool one = list != nullptr && list->kind == Value::Kind::list && list->list.size() == 1 &&
                   list->list.front().kind == Value::Kind::object;
  return one ? &list->list.front() : nullptr;
}

Value entry(const char* name, Value what) {
  return object({{"sub_request_status", Value::of("SUCCESS")}, {name, std::move(what)}});
}

std::string text_of(const Value& body, std::string_view name) {
  const Value* value = body.find(name);
  return is_string(value) ? value->string : std::string();
}

bool is_list_of_hashes(const Value& list) {
  return list.kind == Value::Kind::list && !list.list.empty() &&
         std::ranges::all_of(list.list, [](const Value& hash) {
           return is_string(&hash) && is_lower_hex_digest(hash.string);
         });
}

// Seconds or milliseconds: which of them is not documented.
std::optional<Time> read_time(const Value* value) {
  constexpr std::int64_t kMillisecondsFrom = 100'000'000'000;
  const auto number = value == nullptr ? std::nullopt : whole_number(*value);
  if (!number || *number < 0) return std::nullopt;
  return Time{*number >= kMillisecondsFrom ? *number : *number * 1000};
}

std::string user_problem(const Value* user) {
  if (user == nullptr || user->kind != Value::Kind::object) return "missing required field: user_data";
  for (const std::string_view key : {"em", "ph", "external_id"}) {
    if (const Value* list = user->find(key); list != nullptr && !is_list_of_hashes(*list))
      return fmt::format("unhashed PII in {}", key);
  }
  if (is_lower_hex_digest(text_of(*user, "client_ip_address"))) return "hashed IP";
  const bool known =
      user->find("em") != nullptr || user->find("ph") != nullptr || !text_of(*user, "madid").empty() ||
      (!text_of(*user, "client_ip_address").empty() && !text_of(*user, "client_user_agent").empty());
  return known ? "" : "Insufficient PII";
}

// Why an event is INVALID; "": it is not.
std::string event_problem(const Value& event, Time now) {
  const std::string name = text_of(event, "event_name");
  if (name.empty()) return "missing required field: event_name";
  const std::string source = text_of(event, "action_source");
  if (source.empty()) return "missing required field: action_source";
  if ((source == "WEB" || source == "website") && text_of(event, "event_source_url").empty())
    return "missing required field: event_source_url";
  const auto time = read_time(event.find("event_time"));
  if (!time || *time > now + kAhead || *time < now - kOldestEvent) return "timestamp out of range";
  const Value* custom = event.find("custom_data");
  if (name == "PURCHASE" &&
      (custom == nullptr || custom->find("value") == nullptr || text_of(*custom, "currency").empty()))
    return "missing price or currency on purchase";
  return user_problem(event.find("user_data"));
}

HttpResponse conversions_answer(int status, const char* word, const std::string& reason) {
  return json_response(status,
                       object({{"status", Value::of(word)}, {"reason", Value::of(printable(reason))}}));
}

}  // namespace

std::optional<HttpResponse> Snapchat::control(const Call& call) {
  const bool asked =
      call.request.method == "GET" && call.segments.size() == 1 && call.segments[0] == "events";
  return asked ? std::optional(events_.list()) : std::nullopt;
}

// /v3/{asset}/events and /v3/{asset}/events/validate; the token is in the query. All or nothing.
HttpResponse Snapchat::track(const Call& call) {
  const std::vector<std::string>& path = call.segments;
  const bool validates = path.size() == 4 && path[3] == "validate";
  if ((path.size() != 3 && !validates) || path[2] != "events" || call.request.method != "POST")
    return conversions_answer(404, "INVALID", "no such path");
  const std::string* token = find_param(call.query, "access_token");
  if (token == nullptr || token->empty() || (!options_.token.empty() && *token != options_.token))
    return conversions_answer(401, "INVALID", "the access token is not valid");
  if (!minute_.admit(call.now, limits_.of("snapchat_requests_per_minute")))
    return conversions_answer(429, "FAILED", "too many requests");
  const auto body = parse_json(call.request.body);
  const Value* data = body ? body->find("data") : nullptr;
  if (data == nullptr || data->kind != Value::Kind::list || data->list.empty())
    return conversions_answer(400, "INVALID", "missing required field: data");
  if (data->list.size() > kEventsMax) return conversions_answer(400, "INVALID", "too many events");
  for (const Value& event : data->list) {
    const std::string problem = event_problem(event, call.now);
    if (!problem.empty()) return conversions_answer(400, "INVALID", problem);
  }
  if (!validates) {
    for (const Value& event : data->list) {
      const std::string id = text_of(event, "event_id");
      events_.add(id.empty() ? "" : path[1] + "/" + id, event, call.now, kSameEvent);
    }
  }
  return conversions_answer(200, "VALID", "");
}

Snapchat::Snapchat(const Options& options, const Limits& limits)
    : options_(options), limits_(limits), store_(options, kFirstSegment) {}

std::vector<Platform::Limit> Snapchat::limits() const {
  return {{"snapchat_people_min", kPeopleMin},
          {"snapchat_requests_per_minute", kRequestsPerMinute},
          {"snapchat_processing_ms", 0}};
}

bool Snapchat::is_token_call(const Call& call) const {
  return !call.segments.empty() && (call.segments[0] == "token" || call.segments[0] == "login");
}

HttpResponse Snapchat::handle(const Call& call) {
  if (!call.segments.empty() && call.segments[0] == "v3") return track(call);
  if (is_token_call(call)) return refresh_answer(call, options_, ClientShown::in_form, kTokenLifetime);
  if (!has_bearer(call, options_)) return refuse(Refusal::auth, 0, call);
  if (!minute_.admit(call.now, limits_.of("snapchat_requests_per_minute")))
    return refuse(Refusal::throttle, 0, call);
  auto answered = answer(call);
  if (!answered) return error_response(answered.error());
  Value body = object({{"request_status", Value::of("SUCCESS")},
                       {"request_id", Value::of(fmt::format("{:016x}", ++requests_))}});
  for (auto& member : answered->members) body.members.push_back(std::move(member));
  return json_response(200, body);
}

HttpResponse Snapchat::error_response(const SnapchatError& error) {
  return json_response(error.status,
                       object({{"request_status", Value::of("ERROR")},
                               {"request_id", Value::of(fmt::format("{:016x}", ++requests_))},
                               {"debug_message", Value::of(printable(error.message))},
                               {"display_message", Value::of("We're sorry, but the request was refused")},
                               {"error_code", Value::of(error.code)}}));
}

HttpResponse Snapchat::refuse(Refusal refusal, int status, const Call& call) {
  if (refusal == Refusal::auth && is_token_call(call)) return refresh_refused();
  if (refusal == Refusal::auth) return error_response({401, "E2002", "The access token is not valid"});
  if (refusal == Refusal::throttle) return error_response({429, "E1009", "Rate limit exceeded"});
  return error_response({status, "E1000", "Failed"});
}

SnapchatResult<Value> Snapchat::answer(const Call& call) {
  const std::vector<std::string> path = path_of(call);
  if (path.size() == 1 && path[0] == "me" && call.request.method == "GET")
    return object({{"me", object({{"id", Value::of("sandbox")}})}});
  if (path.size() >= 2 && path[0] == "adaccounts") return answer_account(call, path[1]);
  if (path.size() >= 2 && path[0] == "segments") {
    StoredAudience* const segment = store_.find(path[1]);
    return segment == nullptr ? missing() : answer_segment(call, *segment);
  }
  return missing();
}

SnapchatResult<Value> Snapchat::answer_account(const Call& call, const std::string& account) {
  const std::vector<std::string> path = path_of(call);
  const std::string& method = call.request.method;
  if (path.size() == 2 && method == "GET")
    return object({{"adaccounts", list_of({entry("adaccount", object({{"id", Value::of(account)}}))})}});
  if (path.size() != 3 || path[2] != "segments") return missing();
  if (method == "POST") return write(call, account, true);
  if (method == "PUT") return write(call, account, false);
  if (method != "GET") return missing();
  Value all = Value::with(Value::Kind::list);
  for (const auto& [id, segment] : store_.all()) {
    if (segment.account == account) all.list.push_back(entry("segment", describe(segment, call.now)));
  }
  return object({{"paging", object({})}, {"segments", std::move(all)}});
}

SnapchatResult<Value> Snapchat::write(const Call& call, const std::string& account, bool fresh) {
  const auto body = parse_json(call.request.body);
  const Value* given = body ? only_element(*body, "segments") : nullptr;
  if (given == nullptr) return wrong("segments must be a list of one segment");
  const Value* owner = given->find("ad_account_id");
  if (!is_string(owner) || owner->string != account) return wrong("ad_account_id is not that of the path");
  const Value* name = given->find("name");
  if (!is_string(name) || name->string.empty() || name->string.size() > kNameMax)
    return wrong("name must have 1 to 375 characters");
  const Value* days = given->find("retention_in_days");
  const auto retention = days == nullptr ? std::nullopt : whole_number(*days);
  if (!retention || *retention < 1 || *retention > kRetentionMax)
    return wrong("retention_in_days is required, 1 to 9999");
  const Value* source = given->find("source_type");
  if (fresh && (!is_string(source) || source->string != "FIRST_PARTY"))
    return wrong("source_type must be FIRST_PARTY");
  const Value* id = given->find("id");
  StoredAudience* segment = fresh ? &store_.create(name->string, account, call.now)
                                  : store_.find(is_string(id) ? id->string : std::string());
  if (segment == nullptr || segment->account != account) return missing();
  segment->name = name->string;
  segment->retention_days = *retention;
  if (const Value* description = given->find("description"); is_string(description))
    segment->description = description->string;
  return object({{"segments", list_of({entry("segment", describe(*segment, call.now))})}});
}

SnapchatResult<Value> Snapchat::answer_segment(const Call& call, StoredAudience& segment) {
  const std::vector<std::string> path = path_of(call);
  const std::string& method = call.request.method;
  if (path.size() == 2 && method == "GET")
    return object({{"segments", list_of({entry("segment", describe(segment, call.now))})}});
  if (path.size() == 2 && method == "DELETE") {
    store_.erase(path[1]);
    return object({});
  }
  if (path.size() == 3 && path[2] == "users" && method == "POST") return upload(call, segment, true);
  if (path.size() == 3 && path[2] == "users" && method == "DELETE") return upload(call, segment, false);
  if (path.size() == 3 && path[2] == "all_users" && method == "DELETE") {
    AudienceStore::begin_upload(segment, call.now, lag());
    segment.members.remove_added_before(kNever);
    return object({});
  }
  return missing();
}

// All or nothing, and one schema in a request.
SnapchatResult<Value> Snapchat::upload(const Call& call, StoredAudience& segment, bool adds) {
  const auto body = parse_json(call.request.body);
  const Value* users = body ? only_element(*body, "users") : nullptr;
  if (users == nullptr) return wrong("users must be a list of one list of users");
  if (const Value* id = users->find("id"); id != nullptr && (!is_string(id) || id->string != segment.id))
    return wrong("users.id is not the segment of the path");
  const Value* names = users->find("schema");
  const bool one = names != nullptr && names->kind == Value::Kind::list && names->list.size() == 1;
  const auto schema =
      one ? std::ranges::find(kSchemas, names->list[0].string, &Schema::name) : kSchemas.end();
  if (schema == kSchemas.end()) return wrong("schema must be one of the known keys");
  const Value* data = users->find("data");
  if (data == nullptr || data->kind != Value::Kind::list || data->list.empty())
    return wrong("data must be a list of at least one row");
  if (data->list.size() > kIdentifiersMax) return wrong("at most 100000 identifiers in one request");
  std::set<std::string_view> seen;
  for (const Value& row : data->list) {
    const bool shaped = row.kind == Value::Kind::list && row.list.size() == 1 && is_string(&row.list[0]);
    if (!shaped || !is_lower_hex_digest(row.list[0].string)) return wrong("an identifier is not hashed");
    if (!seen.insert(row.list[0].string).second) return wrong("an identifier is there twice");
  }
  AudienceStore::begin_upload(segment, call.now, lag());
  for (const Value& row : data->list) {
    const MemberId id{std::string(schema->kind), row.list[0].string};
    if (adds) {
      segment.members.add({&id, 1}, call.now);
    } else {
      segment.members.remove({&id, 1});
    }
  }
  const Value count = object({{"number_uploaded_users", whole(std::ssize(data->list))}});
  return object({{"users", list_of({entry("user", count)})}});
}

Value Snapchat::describe(const StoredAudience& segment, Time now) const {
  const std::int64_t matched = AudienceStore::matched(segment, now, lag());
  const bool uploaded = segment.updated.ms > 0;
  const bool processing = AudienceStore::is_processing(segment, now, lag());
  const char* upload = !uploaded ? "NO_UPLOAD" : (processing ? "PROCESSING" : "COMPLETE");
  const char* targetable = !uploaded || processing                       ? "NOT_READY"
                           : matched < limits_.of("snapchat_people_min") ? "TOO_FEW_USERS"
                                                                         : "READY";
  return object({{"id", Value::of(segment.id)},
                 {"name", Value::of(segment.name)},
                 {"description", Value::of(segment.description)},
                 {"ad_account_id", Value::of(segment.account)},
                 {"status", Value::of(uploaded ? "ACTIVE" : "PENDING")},
                 {"upload_status", Value::of(upload)},
                 {"targetable_status", Value::of(targetable)},
                 {"retention_in_days", whole(segment.retention_days)},
                 {"source_type", Value::of("FIRST_PARTY")},
                 {"approximate_number_users", whole(blurred_down(matched))}});
}

std::unique_ptr<Platform> make_snapchat(const Options& options, const Limits& limits) {
  return std::make_unique<Snapchat>(options, limits);
}

}  // namespace tailrace::sandbox
