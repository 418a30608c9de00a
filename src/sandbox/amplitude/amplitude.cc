#include "sandbox/amplitude/amplitude.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kEventsMax = 2000;
constexpr std::size_t kHttpApiBytesMax = 1'000'000;
constexpr std::size_t kBatchBytesMax = 20'000'000;
constexpr int kDepthMax = 40;
constexpr std::size_t kCohortIdsMax = 100'000;
constexpr std::array<std::string_view, 9> kOperations{
    "$set", "$setOnce", "$add", "$append", "$prepend", "$unset", "$preInsert", "$postInsert", "$remove"};
constexpr std::string_view kIdentify = "$identify";

std::string id_of(const Value& event, const char* name, std::int64_t shortest) {
  const std::string id = text_at(event, name);
  return static_cast<std::int64_t>(id.size()) < shortest ? "" : id;
}

// Properties as they are, or operations on them, but not both.
bool are_operations(const Value& properties) {
  if (properties.kind != Value::Kind::object) return false;
  std::size_t operations = 0;
  for (const auto& [name, value] : properties.members) {
    if (!name.starts_with('$')) continue;
    if (std::ranges::find(kOperations, name) == kOperations.end() || value.kind != Value::Kind::object)
      return false;
    ++operations;
  }
  return operations == 0 || operations == properties.members.size();
}

// The field to blame, and whether it is missing rather than bad; "" where all is well.
std::pair<std::string, bool> problem_of(const Value& event, std::int64_t shortest) {
  if (event.kind != Value::Kind::object) return {"events", false};
  if (text_at(event, "event_type").empty()) return {"event_type", true};
  for (const char* name : {"user_id", "device_id"}) {
    const Value* id = event.find(name);
    if (id != nullptr && (!is_string(id) || is_nobodys_id(id->string))) return {name, false};
  }
  if (id_of(event, "user_id", shortest).empty() && id_of(event, "device_id", shortest).empty())
    return {"user_id", true};
  const Value* time = event.find("time");
  if (time != nullptr && (time->kind != Value::Kind::number || !whole_number(*time))) return {"time", false};
  const Value* insert_id = event.find("insert_id");
  if (insert_id != nullptr && !is_string(insert_id)) return {"insert_id", false};
  const Value* revenue = event.find("revenue");
  if (revenue != nullptr && revenue->kind != Value::Kind::number) return {"revenue", false};
  const Value* properties = event.find("event_properties");
  if (properties != nullptr && (properties->kind != Value::Kind::object || depth_of(*properties) > kDepthMax))
    return {"event_properties", false};
  const Value* user_properties = event.find("user_properties");
  if (user_properties != nullptr && !are_operations(*user_properties)) return {"user_properties", false};
  return {"", false};
}

void name_event(Value& fields, const std::string& field, std::size_t index) {
  for (auto& [name, list] : fields.members) {
    if (name == field) {
      list.list.push_back(whole(static_cast<std::int64_t>(index)));
      return;
    }
  }
  fields.members.emplace_back(field, list_of({whole(static_cast<std::int64_t>(index))}));
}

}  // namespace

HttpResponse Amplitude::error(int status, const std::string& message) const {
  return json_response(status, object({{"code", whole(status)}, {"error", Value::of(message)}}));
}

HttpResponse Amplitude::handle(const Call& call) {
  if (call.request.method != "POST") return error(405, "Method Not Allowed");
  const std::vector<std::string>& path = call.segments;
  if (path == std::vector<std::string>{"batch"} || path == std::vector<std::string>{"2", "httpapi"})
    return take(call);
  if (path.size() == 4 && path[0] == "api" && path[1] == "3" && path[2] == "cohorts") {
    const auto who = basic(call.request.headers);
    if (!who || who->first.empty() || !is_token(who->second)) return error(401, "Unauthorized");
    const auto body = parse_json(call.request.body);
    if (!body || body->kind != Value::Kind::object) return error(400, "The body must be JSON");
    if (path[3] == "upload") return upload_cohort(*body, call.now);
    if (path[3] == "membership") return change_cohort(*body, call.now);
  }
  return error(404, "Not Found");
}

HttpResponse Amplitude::take(const Call& call) {
  const bool batch = call.segments.size() == 1;
  if (call.request.body.size() > (batch ? kBatchBytesMax : kHttpApiBytesMax))
    return error(413, "Payload too large");
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return error(400, "Invalid request path or body");
  const std::string key = text_at(*body, "api_key");
  if (key.empty())
    return json_response(400, object({{"code", whole(400)},
                                      {"error", Value::of("Request missing required field")},
                                      {"missing_field", Value::of("api_key")}}));
  if (!is_token(key)) return error(400, "Invalid API key: " + printable(key));
  const Value* events = list_at(*body, "events");
  if (events == nullptr || events->list.empty())
    return json_response(400, object({{"code", whole(400)},
                                      {"error", Value::of("Request missing required field")},
                                      {"missing_field", Value::of("events")}}));
  if (events->list.size() > kEventsMax) return error(413, "Payload too large");
  std::int64_t shortest = 5;
  if (const Value* options = object_at(*body, "options")) {
    if (const Value* length = options->find("min_id_length"); length != nullptr)
      shortest = whole_number(*length).value_or(shortest);
  }
  Value invalid = Value::with(Value::Kind::object);
  Value missing = Value::with(Value::Kind::object);
  for (std::size_t i = 0; i < events->list.size(); ++i) {
    const auto [field, is_missing] = problem_of(events->list[i], shortest);
    if (!field.empty()) name_event(is_missing ? missing : invalid, field, i);
  }
  if (!invalid.members.empty() || !missing.members.empty())
    return json_response(400, object({{"code", whole(400)},
                                      {"error", Value::of("Invalid or missing fields")},
                                      {"events_with_invalid_fields", std::move(invalid)},
                                      {"events_with_missing_fields", std::move(missing)}}));
  if (const auto late = throttled(events->list, call.now); !late.empty()) {
    Value indices = list_of({});
    for (const std::size_t index : late) indices.list.push_back(whole(static_cast<std::int64_t>(index)));
    return json_response(429, object({{"code", whole(429)},
                                      {"error", Value::of("Too many requests for some devices and users")},
                                      {"throttled_events", std::move(indices)}}));
  }
  for (const Value& event : events->list) {
    identify(event, call.now);
    // It is no event.
    if (text_at(event, "event_type") == kIdentify) continue;
    const std::string insert_id = text_at(event, "insert_id");
    events_.add(insert_id.empty() ? "" : text_at(event, "device_id") + "\n" + insert_id, event, call.now);
  }
  return json_response(200,
                       object({{"code", whole(200)},
                               {"events_ingested", whole(static_cast<std::int64_t>(events->list.size()))}}));
}

void Amplitude::identify(const Value& event, Time now) {
  const std::string user = text_at(event, "user_id");
  const Value* properties = object_at(event, "user_properties");
  if (user.empty() || properties == nullptr) return;
  if (const Value* set = object_at(*properties, "$set")) {
    for (const auto& [name, value] : set->members) set_property(name, {"external_id", user}, value, now);
  }
  if (const Value* unset = object_at(*properties, "$unset")) {
    for (const auto& each : unset->members)
      set_property(each.first, {"external_id", user}, Value::of_null(), now);
  }
}

std::set<std::size_t> Amplitude::throttled(const std::vector<Value>& events, Time now) {
  const std::int64_t most = limits_.of("amplitude_user_events_per_second");
  if (const std::int64_t second = now.ms / kSecond.count; second != second_) {
    second_ = second;
    sent_.clear();
  }
  std::map<std::string, std::int64_t> here;
  for (const Value& event : events) {
    const std::string user = text_at(event, "user_id");
    ++here[user.empty() ? text_at(event, "device_id") : user];
  }
  std::set<std::size_t> late;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const std::string user = text_at(events[i], "user_id");
    const std::string& who = user.empty() ? text_at(events[i], "device_id") : user;
    if (sent_[who] + here[who] > most) late.insert(i);
  }
  // A request that is refused counts for nobody.
  if (late.empty()) {
    for (const auto& [who, count] : here) sent_[who] += count;
  }
  return late;
}

HttpResponse Amplitude::upload_cohort(const Value& body, Time now) {
  const std::string name = text_at(body, "name");
  const std::string id_type = text_at(body, "id_type");
  const Value* ids = list_at(body, "ids");
  const Value* app = body.find("app_id");
  if (name.empty() || text_at(body, "owner").empty()) return error(400, "name and owner are required");
  if (app == nullptr || app->kind != Value::Kind::number || !whole_number(*app))
    return error(400, "app_id must be a number");
  if (id_type != "BY_USER_ID" && id_type != "BY_AMP_ID") return error(400, "id_type is not known");
  if (ids == nullptr || ids->list.empty()) return error(400, "at least one valid id is needed");
  std::string id = text_at(body, "existing_cohort_id");
  if (id.empty()) id = fmt::format("cohort{}", ++cohorts_);
  audiences_.insert_or_assign(id, Members(KnownPeople(2, 0)));
  for (const Value& each : ids->list) set_member(id, {"external_id", each.string}, true, now);
  return json_response(200, object({{"cohort_id", Value::of(id)}}));
}

HttpResponse Amplitude::change_cohort(const Value& body, Time now) {
  const std::string id = text_at(body, "cohort_id");
  const Value* changes = list_at(body, "memberships");
  if (members(id) == nullptr) return error(404, "there is no such cohort");
  if (changes == nullptr || changes->list.empty()) return error(400, "memberships are required");
  for (const Value& change : changes->list) {
    const std::string operation = text_at(change, "operation");
    const std::string id_type = text_at(change, "id_type");
    const Value* ids = list_at(change, "ids");
    if (operation != "ADD" && operation != "REMOVE") return error(400, "operation must be ADD or REMOVE");
    if (id_type != "BY_ID" && id_type != "BY_NAME") return error(400, "id_type must be BY_ID or BY_NAME");
    if (ids == nullptr || ids->list.empty() || ids->list.size() > kCohortIdsMax)
      return error(400, "ids are required");
    for (const Value& each : ids->list) {
      if (!is_string(&each) || each.string.empty()) return error(400, "ids must be texts");
    }
  }
  for (const Value& change : changes->list) {
    for (const Value& each : change.find("ids")->list)
      set_member(id, {"external_id", each.string}, text_at(change, "operation") == "ADD", now);
  }
  return json_response(200, object({{"cohort_id", Value::of(id)}}));
}

std::unique_ptr<Platform> make_amplitude(const Options& options, const Limits& limits) {
  return std::make_unique<Amplitude>(options, limits);
}

}  // namespace tailrace::sandbox
