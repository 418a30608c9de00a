#include "sandbox/event_tool.h"

#include <algorithm>
#include <array>

#include "base/hash.h"

namespace tailrace::sandbox {

std::optional<HttpResponse> EventTool::control(const Call& call) {
  if (call.request.method != "GET" || call.segments != std::vector<std::string>{"events"})
    return std::nullopt;
  Value all = events_.describe();
  if (!dropped_.empty()) {
    Value dropped = Value::with(Value::Kind::object);
    for (const auto& [reason, count] : dropped_) dropped.members.emplace_back(reason, whole(count));
    all.members.emplace_back("dropped", std::move(dropped));
  }
  if (!profiles_.empty()) {
    Value profiles = Value::with(Value::Kind::object);
    for (const auto& [id, properties] : profiles_) {
      Value profile = Value::with(Value::Kind::object);
      for (const auto& [name, value] : properties) profile.members.emplace_back(name, value);
      profiles.members.emplace_back(id, std::move(profile));
    }
    all.members.emplace_back("profiles", std::move(profiles));
  }
  return json_response(200, all);
}

HttpResponse EventTool::refuse(Refusal kind, int status, const Call&) {
  switch (kind) {
    case Refusal::auth:
      return error(401, "The credentials are not accepted, as a fault of the sandbox asked for.");
    case Refusal::throttle: {
      HttpResponse response = error(429, "Too many requests, as a fault of the sandbox asked for.");
      response.headers.emplace_back("Retry-After", "5");
      return response;
    }
    case Refusal::fail:
      break;
  }
  return error(status, "Failed, as a fault of the sandbox asked for.");
}

std::vector<AudienceSummary> EventTool::audiences() const {
  std::vector<AudienceSummary> all;
  for (const auto& [id, members] : audiences_) all.push_back({id, id, "", &members});
  return all;
}

Members* EventTool::members(std::string_view audience) {
  const auto found = audiences_.find(std::string(audience));
  return found == audiences_.end() ? nullptr : &found->second;
}

bool EventTool::plant(const std::string& id, const std::string&, const std::string&) {
  return !id.empty() && audiences_.try_emplace(id, KnownPeople(2, 0)).second;
}

bool EventTool::is_token(std::string_view given) const {
  return options_.token.empty() ? !given.empty() : given == options_.token;
}

std::optional<std::pair<std::string, std::string>> EventTool::basic(const HttpHeaders& headers) {
  const auto header = headers.get("authorization");
  constexpr std::string_view kScheme = "Basic ";
  std::string text;
  if (!header || !header->starts_with(kScheme) || !from_base64(header->substr(kScheme.size()), text))
    return std::nullopt;
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  return std::pair(text.substr(0, colon), text.substr(colon + 1));
}

void EventTool::set_property(const std::string& name, const MemberId& id, const Value& value, Time now) {
  if (value.kind == Value::Kind::null) {
    profiles_[id.value].erase(name);
  } else {
    profiles_[id.value][name] = value;
  }
  if (value.kind == Value::Kind::boolean) set_member(name, id, value.boolean, now);
}

void EventTool::set_member(const std::string& audience, const MemberId& id, bool is_in, Time now) {
  // Whoever is told of somebody knows them.
  Members& members = audiences_.try_emplace(audience, KnownPeople(2, 0)).first->second;
  if (is_in) {
    members.add({&id, 1}, now);
  } else {
    members.remove({&id, 1});
  }
}

bool is_nobodys_id(std::string_view text) {
  static constexpr std::array<std::string_view, 17> kWords{"",
                                                           "anon",
                                                           "anonymous",
                                                           "nil",
                                                           "none",
                                                           "null",
                                                           "n/a",
                                                           "na",
                                                           "undefined",
                                                           "true",
                                                           "0",
                                                           "-1",
                                                           "false",
                                                           "[]",
                                                           "{}",
                                                           "unknown",
                                                           "00000000-0000-0000-0000-000000000000"};
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return std::ranges::find(kWords, lower) != kWords.end();
}

int depth_of(const Value& value) {
  int deepest = 0;
  for (const Value& each : value.list) deepest = std::max(deepest, depth_of(each) + 1);
  for (const auto& [name, each] : value.members) deepest = std::max(deepest, depth_of(each) + 1);
  return deepest;
}

const Value* list_at(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr && found->kind == Value::Kind::list ? found : nullptr;
}

const Value* object_at(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr && found->kind == Value::Kind::object ? found : nullptr;
}

std::string text_at(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return is_string(found) ? found->string : std::string();
}

}  // namespace tailrace::sandbox
