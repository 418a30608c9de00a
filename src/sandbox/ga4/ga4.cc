#include "sandbox/ga4/ga4.h"

#include <algorithm>
#include <array>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kEventsMax = 25;
constexpr std::size_t kParamsMax = 25;
constexpr std::size_t kNameBytesMax = 40;
constexpr std::size_t kBodyBytesMax = 130'000;
constexpr std::size_t kValueBytesMax = 500;  // 100 characters, of four bytes and a few
constexpr std::size_t kAddressBytesMax = 4'000;
constexpr std::array<std::string_view, 8> kReserved{"ad_click",    "app_remove",     "error",
                                                    "first_open",  "first_visit",    "session_start",
                                                    "screen_view", "user_engagement"};

struct Problem {
  std::string path;
  std::string code;
};

bool is_name(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && text.size() <= kNameBytesMax && is_letter(text[0]) &&
         std::ranges::all_of(text,
                             [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

bool begins_with_one(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return text.starts_with(prefix); });
}

std::optional<Problem> problem_of_param(const std::string& name, const Value& value) {
  if (!is_name(name)) return Problem{"events.params", "NAME_INVALID"};
  if (begins_with_one(name, {"google_", "ga_", "firebase_"}))
    return Problem{"events.params", "NAME_RESERVED"};
  if (name == "items" && value.kind == Value::Kind::list) return std::nullopt;
  if (value.kind == Value::Kind::number || value.kind == Value::Kind::boolean) return std::nullopt;
  if (!is_string(&value)) return Problem{"events.params." + name, "VALUE_INVALID"};
  const bool is_address = name.starts_with("page_");
  if (value.string.size() > (is_address ? kAddressBytesMax : kValueBytesMax))
    return Problem{"events.params." + name, "VALUE_OUT_OF_BOUNDS"};
  return std::nullopt;
}

std::optional<Problem> problem_of_event(const Value& event, Time now) {
  const std::string name = text_at(event, "name");
  if (!is_name(name)) return Problem{"events.name", "NAME_INVALID"};
  if (std::ranges::find(kReserved, name) != kReserved.end() ||
      begins_with_one(name, {"firebase_", "ga_", "google_", "gtag."}))
    return Problem{"events.name", "NAME_RESERVED"};
  if (const Value* micros = event.find("timestamp_micros")) {
    const auto at = whole_number(is_string(micros) ? micros->string : to_json(*micros));
    if (!at || Time{*at / 1000} + kHour * 72 < now)
      return Problem{"events.timestamp_micros", "VALUE_OUT_OF_BOUNDS"};
  }
  const Value* params = object_at(event, "params");
  if (params == nullptr) return std::nullopt;
  if (params->members.size() > kParamsMax) return Problem{"events.params", "EXCEEDED_MAX_ENTITIES"};
  for (const auto& [param, value] : params->members) {
    if (auto problem = problem_of_param(param, value)) return problem;
  }
  const bool sold = name == "purchase" || name == "refund";
  if (sold && text_at(*params, "transaction_id").empty()) return Problem{"events.params", "VALUE_REQUIRED"};
  if (params->find("value") != nullptr && sold && text_at(*params, "currency").empty())
    return Problem{"events.params.currency", "VALUE_REQUIRED"};
  return std::nullopt;
}

// Of the request, or of the first event that has one.
std::vector<Problem> problems_of(const Value& body, Time now) {
  if (text_at(body, "client_id").empty()) return {{"client_id", "VALUE_REQUIRED"}};
  const Value* events = list_at(body, "events");
  if (events == nullptr || events->list.empty()) return {{"events", "VALUE_REQUIRED"}};
  if (events->list.size() > kEventsMax) return {{"events", "EXCEEDED_MAX_ENTITIES"}};
  std::vector<Problem> problems;
  for (const Value& event : events->list) {
    if (auto problem = problem_of_event(event, now)) problems.push_back(std::move(*problem));
  }
  return problems;
}

}  // namespace

HttpResponse Ga4::error(int status, const std::string&) const { return {status, {}, ""}; }

HttpResponse Ga4::handle(const Call& call) {
  const std::vector<std::string>& path = call.segments;
  const bool validates = path == std::vector<std::string>{"debug", "mp", "collect"};
  if (!validates && path != std::vector<std::string>{"mp", "collect"}) return error(404, "");
  if (call.request.method != "POST") return error(405, "");
  if (call.request.body.size() > kBodyBytesMax) return error(413, "");
  const auto parsed = parse_json(call.request.body);
  const Value body = parsed ? *parsed : Value{};
  const std::vector<Problem> problems = problems_of(body, call.now);
  if (validates) {
    // It knows no secrets and counts nothing.
    Value messages = list_of({});
    for (const Problem& problem : problems)
      messages.list.push_back(object({{"fieldPath", Value::of(problem.path)},
                                      {"description", Value::of("It is not as it must be.")},
                                      {"validationCode", Value::of(problem.code)}}));
    return json_response(200, object({{"validationMessages", std::move(messages)}}));
  }
  const std::string* stream = find_param(call.query, "measurement_id");
  const std::string* secret = find_param(call.query, "api_secret");
  if (stream == nullptr || !stream->starts_with("G-") || secret == nullptr || !is_token(*secret)) {
    ++dropped_["secret or measurement id"];
    return error(204, "");
  }
  // What it minds of the request drops all of it, what it minds of an event that event.
  const Value* events = list_at(body, "events");
  if (text_at(body, "client_id").empty() || events == nullptr || events->list.size() > kEventsMax) {
    ++dropped_[problems.empty() ? "events" : problems.front().code];
    return error(204, "");
  }
  for (const Value& event : events->list) {
    if (const auto problem = problem_of_event(event, call.now)) {
      ++dropped_[problem->code];
      continue;
    }
    const bool purchase = text_at(event, "name") == "purchase";
    const std::string transaction = purchase ? text_at(*event.find("params"), "transaction_id") : "";
    Value kept = event;
    kept.members.emplace_back("client_id", *body.find("client_id"));
    events_.add(transaction, std::move(kept), call.now);
  }
  return error(204, "");
}

std::unique_ptr<Platform> make_ga4(const Options& options, const Limits&) {
  return std::make_unique<Ga4>(options);
}

}  // namespace tailrace::sandbox
