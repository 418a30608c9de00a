#include "sandbox/mixpanel/mixpanel.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kRecordsMax = 2000;
constexpr std::size_t kBytesMax = 10'000'000;
constexpr std::size_t kRecordBytesMax = 1'000'000;
constexpr std::size_t kPropertiesMax = 254;
constexpr std::int64_t kYear1971 = 31'536'000;  // seconds
constexpr std::size_t kInsertIdBytesMax = 36;

bool is_insert_id(std::string_view text) {
  return text.size() <= kInsertIdBytesMax && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
         });
}

// The field that is not as it must be, "" where all is well.
std::string problem_of(const Value& event, Time now) {
  if (text_at(event, "event").empty()) return "event";
  const Value* properties = object_at(event, "properties");
  if (properties == nullptr) return "properties";
  const Value* time = properties->find("time");
  const auto at = time == nullptr || time->kind != Value::Kind::number ? std::nullopt : whole_number(*time);
  // Seconds or milliseconds: what would be the year 5138 in seconds is meant in milliseconds.
  const std::int64_t ms = !at ? 0 : *at >= 100'000'000'000 ? *at : *at * 1000;
  if (ms < kYear1971 * 1000 || ms > (now + kHour).ms) return "properties.time";
  const Value* distinct = properties->find("distinct_id");
  if (!is_string(distinct) || (!distinct->string.empty() && is_nobodys_id(distinct->string)))
    return "properties.distinct_id";
  const std::string insert_id = text_at(*properties, "$insert_id");
  if (is_nobodys_id(insert_id) || !is_insert_id(insert_id)) return "properties.$insert_id";
  if (properties->members.size() > kPropertiesMax || depth_of(*properties) > 4) return "properties";
  return "";
}

}  // namespace

HttpResponse Mixpanel::error(int status, const std::string& message) const {
  return json_response(
      status, object({{"code", whole(status)}, {"error", Value::of(message)}, {"status", whole(0)}}));
}

HttpResponse Mixpanel::handle(const Call& call) {
  if (call.request.method != "POST") return error(405, "method not allowed");
  if (call.segments == std::vector<std::string>{"import"}) return import(call);
  if (call.segments == std::vector<std::string>{"engage"}) return engage(call);
  return error(404, "not found");
}

HttpResponse Mixpanel::import(const Call& call) {
  const auto who = basic(call.request.headers);
  const bool by_token = who && who->second.empty() && is_token(who->first);
  const std::string* project = find_param(call.query, "project_id");
  const bool by_account = who && is_token(who->second) && project != nullptr && is_digits(*project);
  if (!by_token && !by_account) return error(401, "Invalid credentials");
  if (call.request.body.size() > kBytesMax) return error(413, "request exceeds max limit of 10MB");
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::list) return error(400, "the body must be a JSON array of events");
  if (body->list.size() > kRecordsMax) return error(400, "more than 2000 events");
  const std::string* strict = find_param(call.query, "strict");
  Value failed = list_of({});
  std::int64_t imported = 0;
  for (std::size_t i = 0; i < body->list.size(); ++i) {
    const Value& event = body->list[i];
    const std::string field = to_json(event).size() > kRecordBytesMax ? "event" : problem_of(event, call.now);
    if (!field.empty()) {
      failed.list.push_back(object({{"index", whole(static_cast<std::int64_t>(i))},
                                    {"field", Value::of(field)},
                                    {"message", Value::of(fmt::format("'{}' is invalid", field))}}));
      continue;
    }
    const Value& properties = *event.find("properties");
    events_.add(fmt::format("{}\n{}\n{}\n{}", event.find("event")->string, to_json(*properties.find("time")),
                            properties.find("distinct_id")->string, properties.find("$insert_id")->string),
                event, call.now);
    ++imported;
  }
  const bool tells = strict != nullptr && *strict == "1" && !failed.list.empty();
  if (!tells) {
    dropped_["invalid"] += static_cast<std::int64_t>(failed.list.size());
    if (failed.list.empty()) dropped_.erase("invalid");
    return json_response(200, object({{"code", whole(200)},
                                      {"num_records_imported", whole(imported)},
                                      {"status", Value::of("OK")}}));
  }
  return json_response(400, object({{"code", whole(400)},
                                    {"error", Value::of("some data points in the request failed validation")},
                                    {"num_records_imported", whole(imported)},
                                    {"failed_records", std::move(failed)},
                                    {"status", Value::of("Bad Request")}}));
}

// Says 200 whatever it thinks; what it thinks stands in the body.
HttpResponse Mixpanel::engage(const Call& call) {
  const auto said = [](const std::string& problem) {
    return json_response(200, object({{"status", whole(problem.empty() ? 1 : 0)},
                                      {"error", problem.empty() ? Value::of_null() : Value::of(problem)}}));
  };
  const auto body = parse_json(call.request.body);
  if (!body || body->kind != Value::Kind::list) return said("data, missing or empty");
  if (body->list.size() > kRecordsMax) return error(413, "more than 2000 updates");
  for (const Value& update : body->list) {
    if (!is_token(text_at(update, "$token"))) return said("token, missing or invalid");
    if (is_nobodys_id(text_at(update, "$distinct_id"))) return said("$distinct_id, missing or invalid");
    if (object_at(update, "$set") == nullptr && list_at(update, "$unset") == nullptr)
      return said("no operation that is known");
  }
  for (const Value& update : body->list) {
    const MemberId id{"external_id", text_at(update, "$distinct_id")};
    if (const Value* set = object_at(update, "$set")) {
      for (const auto& [name, value] : set->members) {
        set_property(name, id, value, call.now);
      }
    }
    if (const Value* unset = list_at(update, "$unset")) {
      for (const Value& name : unset->list) set_member(name.string, id, false, call.now);
    }
  }
  return said("");
}

std::unique_ptr<Platform> make_mixpanel(const Options& options, const Limits&) {
  return std::make_unique<Mixpanel>(options);
}

}  // namespace tailrace::sandbox
