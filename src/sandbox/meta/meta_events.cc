#include "sandbox/meta/meta_events.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kEventsMax = 1000;
constexpr Millis kAgeMax = kDay * 7;
constexpr Millis kStoreAgeMax = kDay * 62;
constexpr Millis kAheadMax = kMinute;
constexpr Millis kSameEvent = kHour * 48;
constexpr int kTooOld = 2804003;

constexpr std::array<std::string_view, 9> kSources{"website",
                                                   "app",
                                                   "email",
                                                   "phone_call",
                                                   "chat",
                                                   "physical_store",
                                                   "system_generated",
                                                   "business_messaging",
                                                   "other"};
constexpr std::array<std::string_view, 10> kHashed{"em", "ph", "fn", "ln", "ge",
                                                   "db", "ct", "st", "zp", "country"};
constexpr std::array<std::string_view, 12> kPlain{
    "external_id", "client_ip_address", "client_user_agent", "fbc",     "fbp",     "subscription_id",
    "fb_login_id", "lead_id",           "ctwa_clid",         "page_id", "anon_id", "madid"};
// Too many people have the same of these: alone or together they match nobody.
constexpr std::array<std::string_view, 7> kWeak{"ge", "db", "ct", "st", "zp", "country", "client_user_agent"};

MetaError wrong(const std::string& message, int subcode = MetaEvents::kParameter) {
  return {.code = 100, .subcode = subcode, .message = "(#100) Invalid parameter: " + message};
}

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// Every text of a value that is one or a list of them; false: it is neither, or empty.
template <class Judge>
bool all_texts(const Value& value, const Judge& judge) {
  if (value.kind == Value::Kind::string) return !value.string.empty() && judge(value.string);
  return value.kind == Value::Kind::list && !value.list.empty() &&
         std::ranges::all_of(value.list, [&](const Value& each) {
           return is_string(&each) && !each.string.empty() && judge(each.string);
         });
}

// "": nothing is wrong.
std::string problem_of_user(const Value* user) {
  if (user == nullptr || user->kind != Value::Kind::object || user->members.empty())
    return "user_data is required";
  bool is_strong = false;
  for (const auto& [key, value] : user->members) {
    const bool hashed = is_one_of(kHashed, key);
    if (!hashed && !is_one_of(kPlain, key)) return "user_data has an unknown key: " + printable(key);
    const bool fits = all_texts(value, [&](const std::string& text) {
      // An external id may be hashed or not.
      return key == "external_id" || hashed == is_lower_hex_digest(text);
    });
    if (!fits) return fmt::format("user_data.{} must be {}", key, hashed ? "hashed" : "the value itself");
    is_strong = is_strong || !is_one_of(kWeak, key);
  }
  return is_strong ? "" : "user_data has nothing that could match a person";
}

std::string text_of(const Value& event, std::string_view name) {
  const Value* value = event.find(name);
  return is_string(value) ? value->string : std::string();
}

std::optional<MetaError> problem_of(const Value& event, Time now) {
  if (event.kind != Value::Kind::object) return wrong("an event must be an object");
  const std::string name = text_of(event, "event_name");
  if (name.empty()) return wrong("event_name is required");
  const std::string source = text_of(event, "action_source");
  if (!is_one_of(kSources, source)) return wrong("action_source is required");
  const Value* at = event.find("event_time");
  const auto seconds = at != nullptr && at->kind == Value::Kind::number ? whole_number(*at) : std::nullopt;
  if (!seconds) return wrong("event_time must be a Unix time in seconds");
  const Millis age_max = source == "physical_store" ? kStoreAgeMax : kAgeMax;
  if (*seconds < (now - age_max).ms / 1000) return wrong("event_time is too old", kTooOld);
  if (*seconds > (now + kAheadMax).ms / 1000) return wrong("event_time is in the future", kTooOld);
  const Value* user = event.find("user_data");
  if (const std::string problem = problem_of_user(user); !problem.empty()) return wrong(problem);
  if (source == "website") {
    if (text_of(event, "event_source_url").empty()) return wrong("event_source_url is required");
    if (user->find("client_user_agent") == nullptr) return wrong("client_user_agent is required");
  }
  const Value* custom = event.find("custom_data");
  const bool has_value =
      custom != nullptr && custom->find("value") != nullptr && text_of(*custom, "currency").size() == 3;
  if (name == "Purchase" && !has_value) return wrong("a Purchase needs value and currency");
  return std::nullopt;
}

}  // namespace

MetaResult<Value> MetaEvents::receive(const std::string& dataset, const Value& params, Time now) {
  const Value* data = params.find("data");
  if (data == nullptr || data->kind != Value::Kind::list || data->list.empty())
    return std::unexpected(wrong("data is required"));
  if (data->list.size() > kEventsMax) return std::unexpected(wrong("data has more than 1000 events"));
  for (const Value& event : data->list) {
    if (auto problem = problem_of(event, now)) return std::unexpected(*std::move(problem));
  }
  EventStore& kept = params.find("test_event_code") == nullptr ? events_ : test_events_;
  for (const Value& event : data->list) {
    const std::string id = text_of(event, "event_id");
    const std::string key = id.empty() ? "" : dataset + "/" + text_of(event, "event_name") + "/" + id;
    kept.add(key, event, now, kSameEvent);
  }
  return object({{"events_received", whole(std::ssize(data->list))},
                 {"messages", Value::with(Value::Kind::list)},
                 {"fbtrace_id", Value::of(fmt::format("A{:022x}", ++traces_))}});
}

std::optional<HttpResponse> MetaEvents::control(const Call& call) const {
  if (call.request.method != "GET" || call.segments.size() != 1) return std::nullopt;
  if (call.segments[0] == "events") return events_.list();
  if (call.segments[0] == "test_events") return test_events_.list();
  return std::nullopt;
}

}  // namespace tailrace::sandbox
