#include "sandbox/reddit/reddit.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "model/json.h"
#include "sandbox/audience_store.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kEventsMax = 1000;
constexpr Millis kEventAgeMax = kDay * 7;
constexpr Millis kEventAheadMax = kMinute * 5;
constexpr Millis kTokenLifetime = kDay;
constexpr std::array<std::string_view, 9> kTrackingTypes{"PAGE_VISIT",  "VIEW_CONTENT",    "SEARCH",
                                                         "ADD_TO_CART", "ADD_TO_WISHLIST", "PURCHASE",
                                                         "LEAD",        "SIGN_UP",         "CUSTOM"};
constexpr std::array<std::string_view, 4> kActionSources{"WEBSITE", "APP", "PHYSICAL_STORE", "OTHER"};
constexpr std::array<std::string_view, 6> kHashedUserKeys{"email",      "phone_number", "external_id",
                                                          "ip_address", "idfa",         "aaid"};

RedditError bad(const std::string& explanation) { return {.explanation = explanation}; }

RedditError unknown(const std::string& what) {
  return {.status = 404, .reason = "NOT_FOUND", .explanation = what + " does not exist"};
}

bool is_id(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

template <std::size_t size>
bool is_one_of(const Value* value, const std::array<std::string_view, size>& words) {
  return is_string(value) && std::find(words.begin(), words.end(), value->string) != words.end();
}

// --- Customer lists

std::optional<std::string> kind_of_column(const Value& name) {
  if (!is_string(&name)) return std::nullopt;
  if (name.string == "EMAIL_SHA256") return "email";
  if (name.string == "MAID_SHA256") return "mobile_id";
  return std::nullopt;
}

RedditResult<std::vector<std::string>> read_columns(const Value* columns) {
  if (columns == nullptr || columns->kind != Value::Kind::list || columns->list.empty())
    return std::unexpected(bad("column_order is required"));
  std::vector<std::string> kinds;
  for (const Value& column : columns->list) {
    auto kind = kind_of_column(column);
    if (!kind || std::find(kinds.begin(), kinds.end(), *kind) != kinds.end())
      return std::unexpected(bad("column_order must name EMAIL_SHA256 and MAID_SHA256, each once at most"));
    kinds.push_back(std::move(*kind));
  }
  return kinds;
}

RedditResult<std::vector<MemberId>> read_row(const Value& row, const std::vector<std::string>& kinds) {
  if (row.kind != Value::Kind::list || row.list.size() != kinds.size())
    return std::unexpected(bad("every row must have a cell per column"));
  std::vector<MemberId> ids;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const Value& cell = row.list[i];
    if (!is_string(&cell)) return std::unexpected(bad("a cell must be a text"));
    if (cell.string.empty()) continue;
    if (!is_lower_hex_digest(cell.string)) return std::unexpected(bad("a cell must be a SHA-256 digest"));
    ids.push_back({kinds[i], cell.string});
  }
  if (ids.empty()) return std::unexpected(bad("a row must have an identifier"));
  return ids;
}

// --- Conversions

// What is wrong with an event; "" when nothing is.
std::string problem_of_user(const Value* user) {
  if (user == nullptr) return "";
  if (user->kind != Value::Kind::object) return "user must be an object";
  for (const std::string_view name : kHashedUserKeys) {
    const Value* value = user->find(name);
    if (value != nullptr && (!is_string(value) || !is_lower_hex_digest(value->string)))
      return fmt::format("user.{} must be a SHA-256 digest", name);
  }
  return "";
}

std::string problem_of_event(const Value& event, Time now) {
  if (event.kind != Value::Kind::object) return "an event must be an object";
  const Value* at = event.find("event_at");
  const auto ms = at != nullptr && at->kind == Value::Kind::number ? whole_number(*at) : std::nullopt;
  if (!ms || *ms < 0 || *ms > kTimeMax.ms) return "event_at must be a number of milliseconds";
  if (Time{*ms} + kEventAgeMax < now) return "event_at is older than 7 days";
  if (Time{*ms} > now + kEventAheadMax) return "event_at is in the future";
  if (!is_one_of(event.find("action_source"), kActionSources)) return "action_source is not one of Reddit's";
  const bool website = event.find("action_source")->string == "WEBSITE";
  if (!website && event.find("event_source_url") != nullptr) return "event_source_url is for WEBSITE only";
  const Value* type = event.find("type");
  const Value* tracking = type == nullptr ? nullptr : type->find("tracking_type");
  if (!is_one_of(tracking, kTrackingTypes)) return "type.tracking_type is not one of Reddit's";
  if (tracking->string == "CUSTOM" && !is_string(type->find("custom_event_name")))
    return "type.custom_event_name is required with CUSTOM";
  if (std::string problem = problem_of_user(event.find("user")); !problem.empty()) return problem;
  const Value* metadata = event.find("metadata");
  const Value* value = metadata == nullptr ? nullptr : metadata->find("value");
  if (value != nullptr && value->kind != Value::Kind::number) return "metadata.value must be a number";
  return "";
}

std::string key_of_event(const Value& event) {
  const Value* metadata = event.find("metadata");
  const Value* id = metadata == nullptr ? nullptr : metadata->find("conversion_id");
  if (!is_string(id) || id->string.empty()) return "";
  return event.find("type")->find("tracking_type")->string + "/" + id->string;
}

}  // namespace

Reddit::Reddit(const Options& options, const tailrace::sandbox::Limits& limits)
    : options_(options),
      limits_(limits),
      known_(options.known_share, options.seed),
      events_(kEventAgeMax),
      test_events_(kEventAgeMax) {}

std::vector<Platform::Limit> Reddit::limits() const {
  return {{"reddit_requests_per_minute", 5000},
          {"reddit_rows_max", 2500},
          {"reddit_people_min", 1000},
          // 0: one bad event fails its request; 1: the others are taken and it is listed by its index; 2:
          // without it.
          {"reddit_invalid_events", 0}};
}

std::optional<HttpResponse> Reddit::control(const Call& call) {
  if (call.request.method != "GET") return std::nullopt;
  if (call.segments == std::vector<std::string>{"events"}) return json_response(200, events_.describe());
  if (call.segments == std::vector<std::string>{"test_events"})
    return json_response(200, test_events_.describe());
  return std::nullopt;
}

bool Reddit::is_token_call(const Call& call) const {
  return !call.segments.empty() &&
         (call.segments.back() == "token" || call.segments.back() == "access_token");
}

HttpResponse Reddit::error_response(const RedditError& error) {
  return json_response(error.status,
                       object({{"error", object({{"reason", Value::of(error.reason)},
                                                 {"explanation", Value::of(error.explanation)}})}}));
}

HttpResponse Reddit::handle(const Call& call) {
  if (is_token_call(call)) return refresh_answer(call, options_, ClientShown::by_basic, kTokenLifetime);
  if (!has_bearer(call, options_)) return refuse(Refusal::auth, 0, call);
  if (!calls_.admit(call.now, limits_.of("reddit_requests_per_minute")))
    return refuse(Refusal::throttle, 0, call);
  std::vector<std::string> path = call.segments;
  if (path.size() >= 2 && path[0] == "api") path.erase(path.begin());
  if (!path.empty() && path[0] == "v2.0")
    return error_response({.status = 410, .reason = "GONE", .explanation = "This version was removed"});
  if (!path.empty() && path[0] == "v3") path.erase(path.begin());
  const auto answered = answer(call, path);
  return answered ? json_response(200, object({{"data", *answered}})) : error_response(answered.error());
}

HttpResponse Reddit::refuse(Refusal refusal, int status, const Call& call) {
  switch (refusal) {
    case Refusal::auth:
      if (is_token_call(call)) return refresh_refused();
      return error_response(
          {.status = 401, .reason = "UNAUTHORIZED", .explanation = "Authorization Required"});
    case Refusal::throttle: {
      HttpResponse response = json_response(429, object({{"message", Value::of("Too Many Requests")}}));
      response.headers.emplace_back("X-RateLimit-Remaining", "0");
      const std::int64_t left = kMinute.count - call.now.ms % kMinute.count;
      response.headers.emplace_back("X-RateLimit-Reset", fmt::format("{}", (left + 999) / 1000));
      return response;
    }
    case Refusal::fail:
      break;
  }
  return error_response({.status = status, .reason = "INTERNAL", .explanation = "A fault of the sandbox"});
}

RedditResult<Value> Reddit::answer(const Call& call, const std::vector<std::string>& path) {
  const std::string& method = call.request.method;
  if (path.size() == 2 && path[0] == "ad_accounts" && method == "GET")
    return object({{"id", Value::of(path[1])}});
  if (path.size() == 2 && path[0] == "custom_audiences" && method == "GET") {
    const auto found = audiences_.find(path[1]);
    if (found == audiences_.end()) return std::unexpected(unknown("the audience"));
    return describe(path[1], found->second);
  }
  const auto body = parse_json(call.request.body);
  const Value* data = body ? body->find("data") : nullptr;
  if (data == nullptr || data->kind != Value::Kind::object) {
    return std::unexpected(method == "GET" ? unknown("the resource")
                                           : bad("The body must be {\"data\": {...}}"));
  }
  if (path.size() == 3 && path[0] == "ad_accounts" && path[2] == "custom_audiences" && method == "POST")
    return create(*data, path[1]);
  if (path.size() == 3 && path[0] == "custom_audiences" && path[2] == "users" && method == "PATCH") {
    const auto found = audiences_.find(path[1]);
    if (found == audiences_.end()) return std::unexpected(unknown("the audience"));
    return update_users(*data, found->second, call.now);
  }
  if (path.size() == 3 && path[0] == "pixels" && path[2] == "conversion_events" && method == "POST" &&
      is_id(path[1]))
    return convert(*data, call.now);
  return std::unexpected(unknown("the resource"));
}

RedditResult<Value> Reddit::create(const Value& data, const std::string& account) {
  const Value* name = data.find("name");
  const Value* type = data.find("type");
  if (!is_string(name) || name->string.empty()) return std::unexpected(bad("name is required"));
  if (!is_string(type) || type->string != "CUSTOMER_LIST")
    return std::unexpected(bad("type must be CUSTOMER_LIST"));
  const std::string id = fmt::format("r{:04}", ++created_);
  if (!plant(id, name->string, account)) return std::unexpected(unknown("the account"));
  return describe(id, audiences_.at(id));
}

Value Reddit::describe(const std::string& id, const Audience& audience) const {
  const std::int64_t matched = audience.members.matched();
  const bool small = matched < limits_.of("reddit_people_min");
  Value all = object({{"id", Value::of(id)},
                      {"name", Value::of(audience.name)},
                      {"type", Value::of("CUSTOMER_LIST")},
                      {"ad_account_id", Value::of(audience.account)},
                      {"status", Value::of(small ? "TOO_SMALL" : "VALID")}});
  if (!small) {
    all.members.emplace_back("size_range_lower", whole(blurred_down(matched)));
    all.members.emplace_back("size_range_upper", whole(blurred_up(matched)));
  }
  return all;
}

RedditResult<Value> Reddit::update_users(const Value& data, Audience& audience, Time now) {
  const Value* action = data.find("action_type");
  const bool adds = is_string(action) && action->string == "ADD";
  if (!adds && !(is_string(action) && action->string == "REMOVE"))
    return std::unexpected(bad("action_type must be ADD or REMOVE"));
  const auto kinds = read_columns(data.find("column_order"));
  if (!kinds) return std::unexpected(kinds.error());
  const Value* rows = data.find("user_data");
  if (rows == nullptr || rows->kind != Value::Kind::list || rows->list.empty())
    return std::unexpected(bad("user_data is required"));
  if (static_cast<std::int64_t>(rows->list.size()) > limits_.of("reddit_rows_max"))
    return std::unexpected(bad("user_data has too many rows"));
  std::vector<std::vector<MemberId>> read;
  for (const Value& row : rows->list) {
    auto ids = read_row(row, *kinds);
    if (!ids) return std::unexpected(ids.error());
    read.push_back(std::move(*ids));
  }
  for (const auto& ids : read) {
    if (adds) {
      audience.members.add(ids, now);
    } else {
      audience.members.remove(ids);
    }
  }
  return object({});
}

RedditResult<Value> Reddit::convert(const Value& data, Time now) {
  const Value* events = data.find("events");
  if (events == nullptr || events->kind != Value::Kind::list || events->list.empty())
    return std::unexpected(bad("events is required"));
  if (events->list.size() > kEventsMax) return std::unexpected(bad("there may be 1000 events at most"));
  const std::int64_t reading = limits_.of("reddit_invalid_events");
  Value invalid_events = list_of({});
  std::vector<const Value*> good;
  for (std::size_t i = 0; i < events->list.size(); ++i) {
    const std::string problem = problem_of_event(events->list[i], now);
    if (problem.empty()) {
      good.push_back(&events->list[i]);
      continue;
    }
    if (reading == 0) return std::unexpected(bad(problem));
    Value entry = object({{"error_message", Value::of(problem)}});
    if (reading == 1) entry.members.emplace_back("index", whole(static_cast<std::int64_t>(i)));
    invalid_events.list.push_back(std::move(entry));
  }
  ReceivedEvents& kept = is_string(data.find("test_id")) ? test_events_ : events_;
  for (const Value* event : good) kept.add(key_of_event(*event), *event, now);
  Value answer =
      object({{"message", Value::of(fmt::format("Successfully processed {} events", good.size()))}});
  if (!invalid_events.list.empty()) answer.members.emplace_back("invalid_events", std::move(invalid_events));
  return answer;
}

std::vector<AudienceSummary> Reddit::audiences() const {
  std::vector<AudienceSummary> all;
  for (const auto& [id, audience] : audiences_)
    all.push_back({id, audience.name, audience.account, &audience.members});
  return all;
}

Members* Reddit::members(std::string_view audience) {
  const auto found = audiences_.find(std::string(audience));
  return found == audiences_.end() ? nullptr : &found->second.members;
}

bool Reddit::plant(const std::string& id, const std::string& name, const std::string& account) {
  if (!is_id(id) || !is_id(account)) return false;
  return audiences_.emplace(id, Audience{.name = name, .account = account, .members = Members(known_)})
      .second;
}

std::unique_ptr<Platform> make_reddit(const Options& options, const Limits& limits) {
  return std::make_unique<Reddit>(options, limits);
}

}  // namespace tailrace::sandbox
