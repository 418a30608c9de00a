#include "sandbox/klaviyo/klaviyo.h"

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kBytesMax = 5'000'000;
constexpr std::size_t kEventsMax = 1000;
constexpr std::size_t kProfilesMax = 10'000;
constexpr std::size_t kPropertiesMax = 400;
constexpr std::size_t kMetricBytesMax = 127;

// The attributes of {"data": {"type": TYPE, "attributes": {...}}} at a name; nullptr where it is not that.
const Value* attributes_at(const Value& object, std::string_view name, std::string_view type) {
  const Value* outer = object_at(object, name);
  const Value* data = outer == nullptr ? nullptr : object_at(*outer, "data");
  if (data == nullptr || text_at(*data, "type") != type) return nullptr;
  return object_at(*data, "attributes");
}

const Value* data_at(const Value& object, std::string_view name) {
  const Value* outer = object_at(object, name);
  return outer == nullptr ? nullptr : list_at(*outer, "data");
}

bool names_somebody(const Value& profile) {
  for (const char* name : {"external_id", "email", "phone_number", "anonymous_id", "id"}) {
    if (!text_at(profile, name).empty()) return true;
  }
  return false;
}

std::string profile_key(const Value& profile) {
  for (const char* name : {"external_id", "email", "phone_number", "anonymous_id"}) {
    if (std::string id = text_at(profile, name); !id.empty()) return id;
  }
  return "";
}

// The last part of the pointer to what is not as it must be; "" where all is well.
std::string problem_of_event(const Value& event, Time now) {
  const auto at = parse_time(text_at(event, "time"));
  if (!at || *at > now + kDay * 366) return "time";
  if (const Value* properties = event.find("properties"); properties == nullptr ||
                                                          properties->kind != Value::Kind::object ||
                                                          properties->members.size() > kPropertiesMax)
    return "properties";
  const Value* metric = attributes_at(event, "metric", "metric");
  if (metric == nullptr) return "metric";
  const std::string name = text_at(*metric, "name");
  if (name.empty() || name.size() > kMetricBytesMax) return "metric";
  const Value* value = event.find("value");
  if (value != nullptr && value->kind != Value::Kind::number) return "value";
  return "";
}

}  // namespace

HttpResponse Klaviyo::error(int status, const std::string& message) const {
  return json_response(
      status, object({{"errors",
                       list_of({object({{"id", Value::of("1")},
                                        {"code", Value::of(status == 401 ? "not_authenticated" : "invalid")},
                                        {"title", Value::of(message)},
                                        {"detail", Value::of(message)}})})}}));
}

HttpResponse Klaviyo::points_at(const std::string& pointer) const {
  return json_response(
      400, object({{"errors", list_of({object({{"id", Value::of("1")},
                                               {"code", Value::of("invalid")},
                                               {"title", Value::of("Invalid input.")},
                                               {"source", object({{"pointer", Value::of(pointer)}})}})})}}));
}

HttpResponse Klaviyo::handle(const Call& call) {
  const auto key = call.request.headers.get("authorization");
  constexpr std::string_view kScheme = "Klaviyo-API-Key ";
  if (!key || !key->starts_with(kScheme) || !is_token(key->substr(kScheme.size())))
    return error(401, "Authentication credentials were not provided or are not valid.");
  const auto revision = call.request.headers.get("revision");
  if (!revision || !parse_time(*revision)) return error(400, "A revision is required.");
  if (call.request.headers.get("content-type") != "application/vnd.api+json")
    return error(415, "The content type must be application/vnd.api+json.");
  if (call.request.method != "POST") return error(405, "method not allowed");
  if (call.request.body.size() > kBytesMax) return error(413, "The payload is larger than 5 MB.");
  const auto body = parse_json(call.request.body);
  const Value* data = body ? object_at(*body, "data") : nullptr;
  if (data == nullptr) return points_at("/data");
  if (call.segments == std::vector<std::string>{"api", "event-bulk-create-jobs"})
    return take_events(*data, call.now);
  if (call.segments == std::vector<std::string>{"api", "profile-bulk-import-jobs"})
    return take_profiles(*data, call.now);
  return error(404, "not found");
}

HttpResponse Klaviyo::take_events(const Value& data, Time now) {
  const Value* attributes = object_at(data, "attributes");
  const Value* list = attributes == nullptr ? nullptr : data_at(*attributes, "events-bulk-create");
  if (text_at(data, "type") != "event-bulk-create-job" || list == nullptr || list->list.empty())
    return points_at("/data");
  std::size_t count = 0;
  for (std::size_t i = 0; i < list->list.size(); ++i) {
    const Value& entry = list->list[i];
    const std::string here = fmt::format("/data/attributes/events-bulk-create/data/{}/attributes", i);
    const Value* inner =
        text_at(entry, "type") == "event-bulk-create" ? object_at(entry, "attributes") : nullptr;
    if (inner == nullptr) return points_at(here);
    const Value* profile = attributes_at(*inner, "profile", "profile");
    if (profile == nullptr || !names_somebody(*profile)) return points_at(here + "/profile");
    const Value* events = data_at(*inner, "events");
    if (events == nullptr || events->list.empty()) return points_at(here + "/events");
    for (std::size_t j = 0; j < events->list.size(); ++j) {
      const Value* event = object_at(events->list[j], "attributes");
      const std::string problem = event == nullptr ? "attributes" : problem_of_event(*event, now);
      if (!problem.empty())
        return points_at(fmt::format("{}/events/data/{}/attributes/{}", here, j, problem));
      ++count;
    }
  }
  if (count > kEventsMax) return points_at("/data/attributes/events-bulk-create");
  for (const Value& entry : list->list) {
    const Value& inner = *object_at(entry, "attributes");
    const Value& profile = *attributes_at(inner, "profile", "profile");
    for (const Value& each : data_at(inner, "events")->list) {
      Value event = *object_at(each, "attributes");
      const std::string unique = text_at(event, "unique_id");
      const std::string metric = text_at(*attributes_at(event, "metric", "metric"), "name");
      // Without one, two events in a second are the same.
      const std::string key = unique.empty() ? text_at(event, "time").substr(0, 19) : unique;
      event.members.emplace_back("profile", profile);
      events_.add(fmt::format("{}\n{}\n{}", profile_key(profile), metric, key), std::move(event), now);
    }
  }
  return json_response(202, object({}));
}

HttpResponse Klaviyo::take_profiles(const Value& data, Time now) {
  const Value* attributes = object_at(data, "attributes");
  const Value* list = attributes == nullptr ? nullptr : data_at(*attributes, "profiles");
  if (text_at(data, "type") != "profile-bulk-import-job" || list == nullptr || list->list.empty() ||
      list->list.size() > kProfilesMax)
    return points_at("/data/attributes/profiles");
  for (std::size_t i = 0; i < list->list.size(); ++i) {
    const Value* profile = object_at(list->list[i], "attributes");
    if (text_at(list->list[i], "type") != "profile" || profile == nullptr || !names_somebody(*profile))
      return points_at(fmt::format("/data/attributes/profiles/data/{}/attributes", i));
  }
  for (const Value& each : list->list) {
    const Value& profile = *object_at(each, "attributes");
    const std::string id = text_at(profile, "external_id");
    const MemberId who =
        id.empty() ? MemberId{"email", text_at(profile, "email")} : MemberId{"external_id", id};
    const Value* properties = object_at(profile, "properties");
    if (properties == nullptr) continue;
    for (const auto& [name, value] : properties->members) {
      set_property(name, who, value, now);
    }
  }
  return json_response(202, object({{"data", object({{"type", Value::of("profile-bulk-import-job")},
                                                     {"id", Value::of("job1")}})}}));
}

std::unique_ptr<Platform> make_klaviyo(const Options& options, const Limits&) {
  return std::make_unique<Klaviyo>(options);
}

}  // namespace tailrace::sandbox
