#include "sources/message_event.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "model/json.h"

namespace tailrace::sources {
namespace {

using Words = std::pair<std::string_view, std::string_view>;

constexpr std::array<Words, 7> kChannelNames{{{"email", "Email"},
                                              {"push", "Push"},
                                              {"in_app", "In-App Message"},
                                              {"sms", "SMS"},
                                              {"whatsapp", "WhatsApp"},
                                              {"slack", "Slack"},
                                              {"webhook", "Webhook"}}};

// Names of their own; others are channel and metric.
constexpr std::array<std::pair<Words, std::string_view>, 5> kOwnNames{
    {{{"email", "spammed"}, "Email Marked as Spam"},
     {{"email", "unsubscribed"}, "Unsubscribed"},
     {{"customer", "subscribed"}, "Subscribed"},
     {{"customer", "unsubscribed"}, "Unsubscribed"},
     {{"customer", "cio_subscription_preferences_changed"}, "Subscription Preferences Changed"}}};

// "some_words" as "Some Words".
std::string title_case(std::string_view words) {
  std::string out;
  bool begins = true;
  for (const char c : words) {
    const bool gap = c == '_' || c == '.' || c == ' ';
    out += gap ? ' ' : begins && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    begins = gap;
  }
  return out;
}

// Of `data`, under the names we give them.
constexpr std::array<Words, 2> kRenamed{{{"href", "link_url"}, {"failure_message", "reason"}}};
// What is told otherwise, or is none of the event: the person, and what the message said.
constexpr std::array<std::string_view, 5> kLeftOut{"customer_id", "identifiers", "content", "headers",
                                                   "email_address"};

bool ends_with_id(std::string_view name) { return name == "id" || name.ends_with("_id"); }

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// {"topics":{"topic_7":true}}, or that as text.
std::string topics_in(const JsonMember& content) {
  std::string text;
  JsonObject object = JsonObject::of(content);
  if (content.is(JsonType::string)) {
    text = content.text();
    if (auto parsed = JsonObject::parse(text)) object = std::move(*parsed);
  }
  const JsonMember& topics = object["topics"];
  const JsonObject list = topics.is(JsonType::object) ? JsonObject::of(topics) : std::move(object);
  JsonText consent;
  for (const JsonMember& topic : list.members()) {
    if (topic.is(JsonType::boolean)) consent.raw(topic.name, topic.raw);
  }
  return consent.empty() ? std::string() : consent.take();
}

}  // namespace

std::string message_event_name(std::string_view channel, std::string_view metric, bool by_machine) {
  for (const auto& [words, name] : kOwnNames) {
    if (words.first == channel && words.second == metric) return std::string(name);
  }
  const auto known = std::ranges::find(kChannelNames, channel, &Words::first);
  std::string name = known == kChannelNames.end() ? title_case(channel) : std::string(known->second);
  name += ' ';
  name += metric == "clicked" ? (channel == "in_app" ? "Clicked" : "Link Clicked") : title_case(metric);
  if (by_machine) name += " by Machine";
  return name;
}

bool is_by_machine(std::string_view metric, const JsonObject& data, bool proxied_is_human) {
  if (metric == "clicked") return data["machine"].is_true();
  if (metric != "opened") return false;
  return data["prefetched"].is_true() || data["synthetic"].is_true() || data["machine"].is_true() ||
         (data["proxied"].is_true() && !proxied_is_human);
}

std::string message_properties(std::string_view channel, std::string_view metric, bool by_machine,
                               const JsonObject& data) {
  JsonText out;
  out.text("channel", channel).text("metric", metric);
  if (by_machine) out.raw("by_machine", "true");
  std::unordered_map<std::string_view, const JsonMember*> last;  // of equal names it counts
  for (const JsonMember& member : data.members()) last[member.name] = &member;
  for (const JsonMember& member : data.members()) {
    if (!member.present() || last[member.name] != &member ||
        std::ranges::find(kLeftOut, member.name) != kLeftOut.end())
      continue;
    if (member.name == "channel" || member.name == "metric" || member.name == "by_machine") continue;
    const auto renamed = std::ranges::find(kRenamed, member.name, &Words::first);
    const std::string_view name = renamed == kRenamed.end() ? std::string_view(member.name) : renamed->second;
    // Ids compare as text, whether the platform writes 7 or "7".
    if (ends_with_id(name) && member.is(JsonType::number)) {
      out.raw(name, quoted(member.text()));
    } else {
      out.value(name, member);
    }
  }
  return out.take();
}

std::string message_consent(std::string_view channel, std::string_view metric, const JsonObject& data) {
  if (channel != "email" && channel != "customer") return {};
  if (metric == "unsubscribed" || metric == "spammed") return R"({"email":false})";
  if (metric == "subscribed") return R"({"email":true})";
  if (metric == "cio_subscription_preferences_changed") return topics_in(data["content"]);
  return {};
}

Who recipient_of(const JsonObject& data) {
  const JsonObject identifiers = JsonObject::of(data["identifiers"]);
  for (const JsonMember* id : {&identifiers["id"], &data["customer_id"]}) {
    if (std::string user = id->text(); !user.empty()) return {.user_id = std::move(user)};
  }
  for (const JsonMember* email : {&identifiers["email"], &data["email_address"]}) {
    if (std::string address = email->text(); !address.empty()) return {.email = std::move(address)};
  }
  const std::string own = identifiers["cio_id"].text();
  return own.empty() ? Who{} : Who{.anonymous_id = "cio_" + own};
}

}  // namespace tailrace::sources
