#include "sandbox/pinterest/pinterest.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::int64_t kFirstList = 643'000'001;
constexpr std::int64_t kPeopleMin = 100;
constexpr std::int64_t kRequestsPerSecond = 100;
constexpr std::size_t kRecordsMax = 10'000;
constexpr std::size_t kBodyBytesMax = 1'000'000;
constexpr Millis kTokenLifetime = kDay * 30;
constexpr std::size_t kEventsMax = 1000;
constexpr Millis kOldestEvent = kDay * 7;
constexpr Millis kAhead = kMinute * 10;
constexpr Millis kSameEvent = kDay;
constexpr std::array<std::string_view, 15> kEventNames{
    "add_payment_info",  "add_to_cart",  "add_to_wishlist", "app_install", "checkout", "custom",
    "initiate_checkout", "lead",         "page_visit",      "search",      "signup",   "subscribe",
    "view_category",     "view_content", "watch_video"};
constexpr std::array<std::string_view, 3> kListTypes{"EMAIL", "IDFA", "MAID"};

std::unexpected<PinterestError> wrong(std::string message) {
  return std::unexpected(PinterestError{400, 1, std::move(message)});
}
std::unexpected<PinterestError> missing() {
  return std::unexpected(PinterestError{404, 50, "The resource was not found."});
}

// The path after the version, which may be left out.
std::vector<std::string> path_of(const Call& call) {
  std::vector<std::string> path = call.segments;
  if (!path.empty() && path.front() == "v5") path.erase(path.begin());
  return path;
}

// SHA-256, SHA-1 or MD5 in lower-case hexadecimal.
bool is_hash(std::string_view text) {
  const bool length = text.size() == 64 || text.size() == 40 || text.size() == 32;
  return length &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// E-mails may be written out, in lower case; advertising ids may not.
bool is_record(std::string_view text, std::string_view list_type) {
  if (is_hash(text)) return true;
  const std::size_t sign = text.find('@');
  return list_type == "EMAIL" && sign != std::string_view::npos && sign > 0 && sign + 1 < text.size() &&
         std::ranges::none_of(text, [](char c) { return (c >= 'A' && c <= 'Z') || c == ' '; });
}

std::string text_of(const Value& body, std::string_view name) {
  const Value* value = body.find(name);
  return is_string(value) ? value->string : std::string();
}

PinterestResult<std::vector<MemberId>> read_records(const Value& body, std::string_view list_type) {
  const std::string text = text_of(body, "records");
  if (text.empty()) return wrong("records: one text with commas between the records is required");
  std::vector<MemberId> ids;
  std::string_view rest = text;
  while (true) {
    const std::string_view record = rest.substr(0, rest.find(','));
    if (!is_record(record, list_type)) return wrong("records: a record is not of the list's type");
    ids.push_back({list_type == "EMAIL" ? "email" : "mobile_id", std::string(record)});
    if (record.size() == rest.size()) break;
    rest.remove_prefix(record.size() + 1);
  }
  if (ids.size() > kRecordsMax) return wrong("records: too many");
  return ids;
}

std::string user_problem(const Value* user) {
  if (user == nullptr || user->kind != Value::Kind::object) return "user_data is required";
  for (const std::string_view key : {"em", "ph", "external_id", "hashed_maids"}) {
    const Value* list = user->find(key);
    if (list == nullptr) continue;
    const bool hashed = list->kind == Value::Kind::list && !list->list.empty() &&
                        std::ranges::all_of(list->list, [](const Value& hash) {
                          return is_string(&hash) && is_lower_hex_digest(hash.string);
                        });
    if (!hashed) return fmt::format("user_data.{} must be a list of SHA-256", key);
  }
  const bool device =
      !text_of(*user, "client_ip_address").empty() && !text_of(*user, "client_user_agent").empty();
  const bool known = user->find("em") != nullptr || user->find("hashed_maids") != nullptr || device;
  return known ? "" : "user_data needs em, hashed_maids, or client_ip_address with client_user_agent";
}

// What is wrong with an event; "": nothing.
std::string event_problem(const Value& event, Time now) {
  const std::string name = text_of(event, "event_name");
  if (std::ranges::find(kEventNames, name) == kEventNames.end()) return "event_name is not known";
  const std::string source = text_of(event, "action_source");
  if (source != "web" && source != "offline" && source != "app_android" && source != "app_ios")
    return "action_source is not known";
  if (text_of(event, "event_id").empty()) return "event_id is required";
  const Value* time = event.find("event_time");
  const auto seconds =
      time != nullptr && time->kind == Value::Kind::number ? whole_number(*time) : std::nullopt;
  if (!seconds || *seconds > (now + kAhead).ms / 1000 || *seconds < (now - kOldestEvent).ms / 1000)
    return "event_time is not a time in seconds of the last days";
  if (const Value* custom = event.find("custom_data"); custom != nullptr) {
    if (const Value* value = custom->find("value"); value != nullptr && !is_string(value))
      return "custom_data.value must be a string";
    if (const Value* count = custom->find("num_items"); count != nullptr && !whole_number(*count))
      return "custom_data.num_items must be an integer";
  }
  return user_problem(event.find("user_data"));
}

}  // namespace

std::optional<HttpResponse> Pinterest::control(const Call& call) {
  const bool asked =
      call.request.method == "GET" && call.segments.size() == 1 && call.segments[0] == "events";
  return asked ? std::optional(events_.list()) : std::nullopt;
}

// Every event has an outcome: 200 where all are processed, else 422 with the same list in its details.
HttpResponse Pinterest::track(const Call& call, const std::string& account) {
  const auto body = parse_json(call.request.body);
  const Value* data = body ? body->find("data") : nullptr;
  if (data == nullptr || data->kind != Value::Kind::list || data->list.empty() ||
      data->list.size() > kEventsMax)
    return error_response({400, 4196, "data must be a list of 1 to 1000 events"});
  const std::string* test = find_param(call.query, "test");
  const bool records = test == nullptr || *test != "true";
  Value outcomes = Value::with(Value::Kind::list);
  std::int64_t processed = 0;
  for (const Value& event : data->list) {
    const std::string problem = event_problem(event, call.now);
    outcomes.list.push_back(object({{"status", Value::of(problem.empty() ? "processed" : "failed")},
                                    {"error_message", Value::of(problem)},
                                    {"warning_message", Value::of("")}}));
    if (!problem.empty()) continue;
    ++processed;
    if (!records) continue;
    const bool once = text_of(event, "action_source") != "offline";
    const std::string key =
        fmt::format("{}/{}/{}", account, text_of(event, "event_name"), text_of(event, "event_id"));
    events_.add(once ? key : "", event, call.now, kSameEvent);
  }
  const auto received = std::ssize(data->list);
  const Value summary = object({{"num_events_received", whole(received)},
                                {"num_events_processed", whole(processed)},
                                {"events", std::move(outcomes)}});
  if (processed == received) return json_response(200, summary);
  return json_response(422, object({{"code", whole(4170)},
                                    {"message", Value::of("Not all events were successfully processed.")},
                                    {"details", summary}}));
}

Pinterest::Pinterest(const Options& options, const Limits& limits)
    : options_(options), limits_(limits), store_(options, kFirstList) {}

std::vector<Platform::Limit> Pinterest::limits() const {
  return {{"pinterest_people_min", kPeopleMin},
          {"pinterest_requests_per_second", kRequestsPerSecond},
          {"pinterest_processing_ms", 0}};
}

bool Pinterest::is_token_call(const Call& call) const {
  const std::vector<std::string> path = path_of(call);
  return path.size() == 2 && path[0] == "oauth" && path[1] == "token";
}

bool Pinterest::plant(const std::string& id, const std::string& name, const std::string& account) {
  if (!store_.plant(id, name, account, AudienceStore::Account::digits)) return false;
  store_.find(id)->kind = "EMAIL";
  return true;
}

HttpResponse Pinterest::handle(const Call& call) {
  if (is_token_call(call)) return refresh_answer(call, options_, ClientShown::by_basic, kTokenLifetime);
  if (!has_bearer(call, options_)) return refuse(Refusal::auth, 0, call);
  if (!second_.admit(call.now, limits_.of("pinterest_requests_per_second")))
    return refuse(Refusal::throttle, 0, call);
  const std::vector<std::string> path = path_of(call);
  const bool tracks = call.request.method == "POST" && path.size() == 3 && path[0] == "ad_accounts" &&
                      is_digits(path[1]) && path[2] == "events";
  if (tracks) return track(call, path[1]);
  const auto answered = answer(call);
  return answered ? json_response(200, *answered) : error_response(answered.error());
}

HttpResponse Pinterest::error_response(const PinterestError& error) const {
  return json_response(
      error.status, object({{"code", whole(error.code)}, {"message", Value::of(printable(error.message))}}));
}

HttpResponse Pinterest::refuse(Refusal refusal, int status, const Call& call) {
  if (refusal == Refusal::auth && is_token_call(call)) return refresh_refused();
  if (refusal == Refusal::auth) return error_response({401, 2, "Authentication failed."});
  if (refusal == Refusal::fail) return error_response({status, status >= 500 ? 4197 : 4196, "Failed."});
  HttpResponse response = error_response({429, 8, "You have exceeded your rate limit."});
  response.headers.emplace_back("x-ratelimit-limit",
                                std::to_string(limits_.of("pinterest_requests_per_second")));
  response.headers.emplace_back("x-ratelimit-remaining", "0");
  response.headers.emplace_back("x-ratelimit-reset", "1");
  return response;
}

PinterestResult<Value> Pinterest::answer(const Call& call) {
  const std::vector<std::string> path = path_of(call);
  const bool reads = call.request.method == "GET";
  if (reads && path.size() == 1 && path[0] == "user_account")
    return object({{"username", Value::of("sandbox")}});
  if (path.size() < 2 || path[0] != "ad_accounts" || !is_digits(path[1])) return missing();
  if (reads && path.size() == 2) return object({{"id", Value::of(path[1])}});
  if (path.size() >= 3 && path[2] == "customer_lists") return answer_lists(call, path[1], path);
  if (path.size() >= 3 && path[2] == "audiences") return answer_audiences(call, path[1], path);
  return missing();
}

PinterestResult<Value> Pinterest::answer_lists(const Call& call, const std::string& account,
                                               const std::vector<std::string>& path) {
  const std::string& method = call.request.method;
  if (path.size() == 3 && method == "POST") return create(call, account);
  if (path.size() == 3 && method == "GET") {
    Value items = Value::with(Value::Kind::list);
    for (const auto& [id, list] : store_.all()) {
      if (list.account == account) items.list.push_back(describe(list, call.now));
    }
    return object({{"items", std::move(items)}, {"bookmark", Value::of_null()}});
  }
  StoredAudience* const list = path.size() == 4 ? store_.find(path[3]) : nullptr;
  if (list == nullptr || list->account != account) return missing();
  if (method == "GET") return describe(*list, call.now);
  if (method == "PATCH") return change(call, *list);
  return missing();
}

PinterestResult<Value> Pinterest::create(const Call& call, const std::string& account) {
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return wrong("The body is not a JSON object");
  const std::string name = text_of(*body, "name");
  if (name.empty()) return wrong("name: required");
  const std::string type = body->find("list_type") == nullptr ? "EMAIL" : text_of(*body, "list_type");
  if (std::ranges::find(kListTypes, type) == kListTypes.end()) return wrong("list_type: EMAIL, IDFA or MAID");
  const auto ids = read_records(*body, type);
  if (!ids) return std::unexpected(ids.error());
  StoredAudience& list = store_.create(name, account, call.now);
  list.kind = type;
  apply(list, *ids, true, call.now);
  return describe(list, call.now);
}

PinterestResult<Value> Pinterest::change(const Call& call, StoredAudience& list) {
  if (call.request.body.size() > kBodyBytesMax) return wrong("The body is too large");
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return wrong("The body is not a JSON object");
  const std::string operation = text_of(*body, "operation_type");
  if (operation != "ADD" && operation != "REMOVE") return wrong("operation_type: ADD or REMOVE");
  const auto ids = read_records(*body, list.kind);
  if (!ids) return std::unexpected(ids.error());
  apply(list, *ids, operation == "ADD", call.now);
  return describe(list, call.now);
}

// The counters are of records sent, whether they were there before or not.
void Pinterest::apply(StoredAudience& list, const std::vector<MemberId>& ids, bool adds, Time now) {
  AudienceStore::begin_upload(list, now, lag());
  for (const MemberId& id : ids) {
    if (adds) {
      list.members.add({&id, 1}, now);
    } else {
      list.members.remove({&id, 1});
    }
  }
  (adds ? list.received : list.removed) += std::ssize(ids);
}

Value Pinterest::describe(const StoredAudience& list, Time now) const {
  const bool enough = AudienceStore::matched(list, now, lag()) >= limits_.of("pinterest_people_min");
  const char* status = AudienceStore::is_processing(list, now, lag()) ? "PROCESSING"
                       : enough                                       ? "READY"
                                                                      : "TOO_SMALL";
  return object({{"id", Value::of(list.id)},
                 {"ad_account_id", Value::of(list.account)},
                 {"name", Value::of(list.name)},
                 {"status", Value::of(status)},
                 {"num_uploaded_user_records", whole(list.received)},
                 {"num_removed_user_records", whole(list.removed)},
                 {"exceptions", object({})}});
}

// What can be targeted is an audience made of a list.
PinterestResult<Value> Pinterest::answer_audiences(const Call& call, const std::string& account,
                                                   const std::vector<std::string>& path) {
  const std::string& method = call.request.method;
  if (path.size() == 4 && method == "GET") {
    const auto found = targeting_.find(path[3]);
    const StoredAudience* list = found == targeting_.end() ? nullptr : store_.find(found->second.list);
    if (list == nullptr || list->account != account) return missing();
    return describe_audience(path[3], *list, call.now);
  }
  if (path.size() != 3 || method != "POST") return missing();
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return wrong("The body is not a JSON object");
  if (text_of(*body, "audience_type") != "CUSTOMER_LIST") return wrong("audience_type: CUSTOMER_LIST");
  const Value* rule = body->find("rule");
  const std::string list_id = rule == nullptr ? "" : text_of(*rule, "customer_list_id");
  const StoredAudience* list = store_.find(list_id);
  if (list == nullptr || list->account != account) return missing();
  const std::string name = text_of(*body, "name");
  if (name.empty()) return wrong("name: required");
  const std::string id = std::to_string(next_targeting_++);
  targeting_[id] = {name, list_id};
  return describe_audience(id, *list, call.now);
}

Value Pinterest::describe_audience(const std::string& id, const StoredAudience& list, Time now) const {
  const std::int64_t matched = AudienceStore::matched(list, now, lag());
  const char* status = AudienceStore::is_processing(list, now, lag())  ? "INITIALIZING"
                       : matched >= limits_.of("pinterest_people_min") ? "READY"
                                                                       : "TOO_SMALL";
  return object({{"id", Value::of(id)},
                 {"name", Value::of(targeting_.at(id).name)},
                 {"audience_type", Value::of("CUSTOMER_LIST")},
                 {"size", whole(blurred_down(matched))},
                 {"status", Value::of(status)}});
}

std::unique_ptr<Platform> make_pinterest(const Options& options, const Limits& limits) {
  return std::make_unique<Pinterest>(options, limits);
}

}  // namespace tailrace::sandbox
