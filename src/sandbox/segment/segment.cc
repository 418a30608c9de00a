#include "sandbox/segment/segment.h"

#include <array>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kBatchBytesMax = 500'000;
constexpr std::size_t kMessageBytesMax = 32 * 1024;
constexpr std::size_t kMessagesMax = 2500;
constexpr std::size_t kMessageIdBytesMax = 100;

}  // namespace

std::string problem_of_segment_batch(const Value& body, std::size_t bytes) {
  if (bytes > kBatchBytesMax) return "the batch is larger than 500 KB";
  const Value* batch = list_at(body, "batch");
  if (batch == nullptr || batch->list.empty()) return "batch is required";
  if (batch->list.size() > kMessagesMax) return "more than 2500 messages";
  if (!parse_time(text_at(body, "sentAt"))) return "sentAt must be ISO 8601";
  for (const Value& message : batch->list) {
    if (to_json(message).size() > kMessageBytesMax) return "a message is larger than 32 KB";
  }
  return "";
}

std::string problem_of_segment_message(const Value& message) {
  const std::string type = text_at(message, "type");
  if (type != "track" && type != "identify" && type != "page" && type != "screen") return "type is not known";
  if (type == "track" && text_at(message, "event").empty()) return "event is required";
  if (text_at(message, "userId").empty() && text_at(message, "anonymousId").empty())
    return "userId or anonymousId is required";
  if (text_at(message, "messageId").size() > kMessageIdBytesMax)
    return "messageId is longer than 100 characters";
  if (!parse_time(text_at(message, "timestamp"))) return "timestamp must be ISO 8601";
  return "";
}

HttpResponse Segment::error(int status, const std::string& message) const {
  return json_response(status, object({{"success", Value::of(false)}, {"message", Value::of(message)}}));
}

HttpResponse Segment::handle(const Call& call) {
  if (call.segments != std::vector<std::string>{"v1", "batch"}) return error(404, "not found");
  if (call.request.method != "POST") return error(405, "only POST");
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::object) return error(400, "malformed JSON");
  if (const std::string problem = problem_of_segment_batch(*body, call.request.body.size()); !problem.empty())
    return error(400, problem);
  const HttpResponse yes = json_response(200, object({{"success", Value::of(true)}}));
  const auto who = basic(call.request.headers);
  // Who is not known is told yes all the same.
  if (!who || !is_token(who->first) || !who->second.empty()) {
    ++dropped_["write key"];
    return yes;
  }
  for (const Value& message : list_at(*body, "batch")->list) {
    if (!problem_of_segment_message(message).empty()) {
      ++dropped_["message"];
      continue;
    }
    if (!events_.add(text_at(message, "messageId"), message, call.now)) continue;
    const Value* traits = object_at(message, "traits");
    if (text_at(message, "type") != "identify" || traits == nullptr) continue;
    for (const auto& [name, value] : traits->members) {
      set_property(name, {"external_id", text_at(message, "userId")}, value, call.now);
    }
  }
  return yes;
}

std::unique_ptr<Platform> make_segment(const Options& options, const Limits&) {
  return std::make_unique<Segment>(options);
}

}  // namespace tailrace::sandbox
