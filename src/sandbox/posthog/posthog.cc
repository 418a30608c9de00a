#include "sandbox/posthog/posthog.h"

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kBytesMax = 20'000'000;

std::string distinct_id(const Value& event) {
  std::string id = text_at(event, "distinct_id");
  const Value* properties = object_at(event, "properties");
  if (id.empty() && properties != nullptr) id = text_at(*properties, "distinct_id");
  return id;
}

bool is_event(const Value& event) {
  const Value* uuid = event.find("uuid");
  const Value* at = event.find("timestamp");
  return !text_at(event, "event").empty() && !distinct_id(event).empty() &&
         (uuid == nullptr || (is_string(uuid) && is_uuid(uuid->string))) &&
         (at == nullptr || (is_string(at) && parse_time(at->string)));
}

}  // namespace

HttpResponse Posthog::error(int status, const std::string& message) const {
  return json_response(status,
                       object({{"type", Value::of("validation_error")}, {"detail", Value::of(message)}}));
}

HttpResponse Posthog::handle(const Call& call) {
  if (call.segments != std::vector<std::string>{"batch"}) return error(404, "There is nothing here.");
  if (call.request.method != "POST") return error(405, "Only POST.");
  if (call.request.body.size() > kBytesMax) return error(413, "The body is too large.");
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return error(400, "The body is no JSON object.");
  std::string key = text_at(*body, "api_key");
  if (key.empty()) key = text_at(*body, "token");
  if (key.starts_with("phx_") || !is_token(key)) return error(401, "The project's API key is not valid.");
  const Value* batch = list_at(*body, "batch");
  if (batch == nullptr || batch->list.empty()) return error(400, "The batch is empty.");
  // One bad event is enough.
  for (const Value& event : batch->list) {
    if (!is_event(event)) return error(400, "An event is not valid.");
  }
  for (const Value& event : batch->list) {
    const Value* properties = object_at(event, "properties");
    if (const Value* set = properties == nullptr ? nullptr : object_at(*properties, "$set")) {
      for (const auto& [name, value] : set->members) {
        set_property(name, {"external_id", distinct_id(event)}, value, call.now);
      }
    }
    events_.add(text_at(event, "uuid"), event, call.now);
  }
  return json_response(200, object({{"status", whole(1)}}));
}

std::unique_ptr<Platform> make_posthog(const Options& options, const Limits&) {
  return std::make_unique<Posthog>(options);
}

}  // namespace tailrace::sandbox
