#include "sim/stream_judge.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace tailrace::testing {
namespace {

// A clock that steps may be an hour slow or fast.
constexpr Millis kClocks = kHour + kMinute;
constexpr Millis kAgeMax = kDay * 7;  // at Meta and Reddit

std::string text_at(const Value& object, std::string_view name) {
  const Value* value = object.find(name);
  return value != nullptr && value->kind == Value::Kind::string ? value->string : std::string();
}

// As stories write conditions. Lists and other odd values: nobody minds.
enum class Wanted : unsigned char { no, perhaps, yes };
Wanted wanted(const workspace::StreamConfig& stream, std::string_view name, const Value& properties) {
  const auto found = std::ranges::find(stream.events, name, &workspace::StreamEvent::event);
  if (found == stream.events.end()) return Wanted::no;
  if (found->where.empty()) return Wanted::yes;
  const Value* currency = properties.find("currency");
  if (currency != nullptr && currency->kind == Value::Kind::list) return Wanted::perhaps;
  return text_at(properties, "currency") == "a" ? Wanted::yes : Wanted::no;
}

bool refuses_ads(const OraclePerson& person) {
  return std::ranges::any_of(person.consents, [](const OracleConsent& consent) {
    return consent.purpose == "ads" && !consent.granted;
  });
}

}  // namespace

std::vector<std::string> judge_stream(const StreamEnd& end, const Story& story,
                                      const std::vector<OraclePerson>& people, Time now) {
  const workspace::StreamConfig& stream = *end.stream;
  std::vector<std::string> problems;
  const auto complain = [&](std::string text) { problems.push_back(stream.name + ": " + std::move(text)); };

  std::map<std::string, const Input*> sent;  // by id
  for (const Input& input : story.inputs) {
    if (input.kind == Input::Kind::event) sent.emplace(event_id(input), &input);
  }
  for (const std::string& id : end.told.events) {
    const auto found = sent.find(id);
    if (found == sent.end()) {
      complain("the platform was told of " + id + ", which never happened");
    } else if (wanted(stream, found->second->name, found->second->value) == Wanted::no) {
      complain("the platform was told of " + id + ", which the sync does not want");
    }
  }
  if (end.unexplained > 0) complain(fmt::format("{} dead letters have no reason", end.unexplained));

  std::uint64_t absent = 0;
  std::string which;
  for (const OraclePerson& person : people) {
    for (const OracleEvent& event : person.events) {
      if (wanted(stream, event.event, event.properties) != Wanted::yes) continue;
      const std::string id = text_at(event.properties, "event_id");
      if (end.told.events.contains(id) || end.dead.contains(id)) continue;
      const Input& input = *sent.at(id);
      const bool any_age = stream.fields.contains("at");
      const bool fits_by_time =
          any_age || (event.time + kClocks <= input.received_at && now <= event.time + kAgeMax - kClocks);
      if (fits_by_time && !refuses_ads(person)) {
        complain(fmt::format("nobody was told of {} ({} at {}), and nothing says why", id, event.event,
                             format_time(event.time)));
      }
      ++absent;
      which += fmt::format("{} ({} at {}) ", id, event.event, format_time(event.time));
    }
  }
  if (absent > end.refused)
    complain(fmt::format("{} events were told to nobody, and {} were refused for a reason: {}; absent: {}",
                         absent, end.refused, end.reasons, which));
  return problems;
}

}  // namespace tailrace::testing
