#include "sandbox/customerio/customerio.h"

#include <algorithm>

#include "model/json.h"
#include "sandbox/segment/segment.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kBatchBytesMax = 500'000;
constexpr std::size_t kItemBytesMax = 32 * 1024;
constexpr std::size_t kIdsMax = 1000;
constexpr std::int64_t kInMilliseconds = 100'000'000'000;  // nobody means the year 5138

bool is_ulid(std::string_view text) {
  return text.size() == 26 && text[0] <= '7' && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') ||
                  (c >= 'A' && c <= 'Z' && c != 'I' && c != 'L' && c != 'O' && c != 'U');
         });
}

struct Problem {
  std::string field;
  std::string message;
};

std::optional<Problem> problem_of(const Value& item) {
  if (to_json(item).size() > kItemBytesMax) return Problem{"", "the item is larger than 32 KB"};
  if (text_at(item, "type") != "person") return Problem{"type", "only people are kept here"};
  const std::string action = text_at(item, "action");
  const bool event = action == "event" || action == "page" || action == "screen";
  if (!event && action != "identify") return Problem{"action", "is not known"};
  const Value* who = object_at(item, "identifiers");
  if (who == nullptr || who->members.size() != 1) return Problem{"identifiers", "exactly one is needed"};
  const auto& [kind, id] = who->members.front();
  const bool anonymous = kind == "anonymous_id" && event;
  if ((kind != "id" && kind != "email" && kind != "cio_id" && !anonymous) || !is_string(&id) ||
      id.string.empty())
    return Problem{"identifiers", "is not known"};
  if (event && text_at(item, "name").empty()) return Problem{"name", "is required"};
  if (const Value* ulid = item.find("id"); ulid != nullptr && (!is_string(ulid) || !is_ulid(ulid->string)))
    return Problem{"id", "must be a ULID"};
  if (const Value* at = item.find("timestamp")) {
    const auto seconds = at->kind == Value::Kind::number ? whole_number(*at) : std::nullopt;
    if (!seconds || *seconds < 0 || *seconds > kInMilliseconds)
      return Problem{"timestamp", "must be Unix seconds"};
  }
  if (item.find("attributes") != nullptr && object_at(item, "attributes") == nullptr)
    return Problem{"attributes", "must be an object"};
  return std::nullopt;
}

}  // namespace

HttpResponse Customerio::error(int status, const std::string& message) const {
  return json_response(status, object({{"errors", list_of({object({{"reason", Value::of("invalid")},
                                                                   {"message", Value::of(message)}})})}}));
}

HttpResponse Customerio::handle(const Call& call) {
  const std::vector<std::string>& path = call.segments;
  if (!path.empty() && path[0] == "cdp") return take_pipeline(call);
  if (path == std::vector<std::string>{"app", "v1", "segments"}) return create_segment(call);
  const auto who = basic(call.request.headers);
  if (!who || who->first.empty() || !is_token(who->second)) return error(401, "unauthorized");
  if (call.request.method != "POST") return error(405, "method not allowed");
  if (path == std::vector<std::string>{"api", "v2", "batch"}) return take_batch(call);
  if (path.size() == 5 && path[0] == "api" && path[1] == "v1" && path[2] == "segments")
    return change_segment(call);
  return error(404, "not found");
}

HttpResponse Customerio::take_batch(const Call& call) {
  if (call.request.body.size() > kBatchBytesMax) return error(413, "the batch is larger than 500 KB");
  const auto body = parse_json(call.request.body);
  const Value* batch = body ? list_at(*body, "batch") : nullptr;
  if (batch == nullptr || batch->list.empty()) return error(400, "batch is required");
  Value errors = list_of({});
  for (std::size_t i = 0; i < batch->list.size(); ++i) {
    if (const auto problem = problem_of(batch->list[i])) {
      errors.list.push_back(object({{"batch_index", whole(static_cast<std::int64_t>(i))},
                                    {"reason", Value::of("invalid")},
                                    {"field", Value::of(problem->field)},
                                    {"message", Value::of(problem->message)}}));
    } else {
      take(batch->list[i], call.now);
    }
  }
  if (errors.list.empty()) return json_response(200, object({}));
  const bool all = errors.list.size() == batch->list.size();
  return json_response(all ? 400 : 207, object({{"errors", std::move(errors)}}));
}

void Customerio::take(const Value& item, Time now) {
  const auto& [kind, id] = item.find("identifiers")->members.front();
  if (text_at(item, "action") != "identify") {
    events_.add(text_at(item, "id"), item, now);
    return;
  }
  const Value* attributes = object_at(item, "attributes");
  if (attributes == nullptr) return;
  for (const auto& [name, value] : attributes->members) {
    if (!name.starts_with('_'))
      set_property(name, {kind == "id" ? "external_id" : kind, id.string}, value, now);
  }
}

HttpResponse Customerio::create_segment(const Call& call) {
  if (call.request.method != "POST") return error(405, "method not allowed");
  const auto token = bearer_token(call.request.headers);
  if (!token || !is_token(*token)) return error(401, "unauthorized");
  const auto body = parse_json(call.request.body);
  const Value* segment = body ? object_at(*body, "segment") : nullptr;
  if (segment == nullptr || text_at(*segment, "name").empty()) return error(400, "name is required");
  plant(std::to_string(++segments_), "", "");
  return json_response(200, object({{"segment", object({{"id", whole(segments_)},
                                                        {"name", *segment->find("name")},
                                                        {"type", Value::of("manual")}})}}));
}

// Whoever is not known is passed over; here everybody is.
HttpResponse Customerio::change_segment(const Call& call) {
  const std::string& segment = call.segments[3];
  const std::string& verb = call.segments[4];
  if (verb != "add_customers" && verb != "remove_customers") return error(404, "not found");
  if (members(segment) == nullptr) return error(404, "there is no such manual segment");
  const auto body = parse_json(call.request.body);
  const Value* ids = body ? list_at(*body, "ids") : nullptr;
  if (ids == nullptr || ids->list.empty() || ids->list.size() > kIdsMax)
    return error(400, "1 to 1000 ids are needed");
  const std::string* id_type = find_param(call.query, "id_type");
  const std::string kind = id_type == nullptr ? "id" : *id_type;
  if (kind != "id" && kind != "email" && kind != "cio_id") return error(400, "id_type is not known");
  for (const Value& id : ids->list) {
    if (!is_string(&id) || id.string.empty()) return error(400, "ids must be texts");
  }
  for (const Value& id : ids->list)
    set_member(segment, {kind == "id" ? "external_id" : kind, id.string}, verb == "add_customers", call.now);
  return json_response(200, object({}));
}

HttpResponse Customerio::take_pipeline(const Call& call) {
  if (call.segments != std::vector<std::string>{"cdp", "v1", "batch"}) return error(404, "not found");
  if (call.request.method != "POST") return error(405, "method not allowed");
  const bool strict = call.request.headers.get("x-strict-mode") == "1";
  const auto who = basic(call.request.headers);
  const HttpResponse yes = json_response(200, object({{"success", Value::of(true)}}));
  if (!who || !is_token(who->first)) return strict ? error(401, "unauthorized") : yes;
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return error(400, "malformed JSON");
  std::string problem = problem_of_segment_batch(*body, call.request.body.size());
  if (!problem.empty()) return error(400, problem);
  const std::vector<Value>& messages = list_at(*body, "batch")->list;
  for (const Value& message : messages) {
    problem = problem_of_segment_message(message);
    if (!problem.empty() && strict) return error(400, problem);
  }
  for (const Value& message : messages) {
    if (problem_of_segment_message(message).empty()) {
      events_.add(text_at(message, "messageId"), message, call.now);
    } else {
      ++dropped_["message"];
    }
  }
  return yes;
}

std::unique_ptr<Platform> make_customerio(const Options& options, const Limits&) {
  return std::make_unique<Customerio>(options);
}

}  // namespace tailrace::sandbox
