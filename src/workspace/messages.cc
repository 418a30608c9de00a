#include "workspace/messages.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "sources/message_event.h"

namespace tailrace::workspace {

namespace {

using language::Type;

struct Channel {
  std::string_view channel;
  std::string_view what;  // for descriptions
  std::vector<std::string_view> metrics;
};

const std::vector<Channel>& channels() {
  static const std::vector<Channel> kChannels{
      {"email",
       "An e-mail",
       {"drafted", "attempted", "sent", "delivered", "opened", "clicked", "converted", "unsubscribed",
        "bounced", "dropped", "spammed", "deferred", "failed", "undeliverable"}},
      {"push",
       "A push message",
       {"drafted", "attempted", "sent", "delivered", "opened", "clicked", "converted", "bounced", "dropped",
        "failed", "undeliverable"}},
      {"sms",
       "An SMS",
       {"drafted", "attempted", "sent", "delivered", "clicked", "converted", "bounced", "failed",
        "undeliverable", "replied"}},
      {"whatsapp",
       "A WhatsApp message",
       {"drafted", "attempted", "sent", "delivered", "opened", "clicked", "converted", "bounced", "dropped",
        "failed", "undeliverable", "replied"}},
      {"in_app",
       "An in-app message",
       {"drafted", "attempted", "sent", "opened", "clicked", "converted", "failed", "undeliverable"}},
      {"slack", "A Slack message", {"drafted", "attempted", "sent", "clicked", "failed", "undeliverable"}},
      {"webhook", "A webhook", {"drafted", "attempted", "sent", "clicked", "failed", "undeliverable"}},
      {"customer", "A customer", {"subscribed", "unsubscribed", "cio_subscription_preferences_changed"}}};
  return kChannels;
}

std::vector<PropertyRule> properties() {
  std::vector<PropertyRule> rules;
  for (const char* name :
       {"channel", "metric", "delivery_id", "campaign_id", "action_id", "parent_action_id", "journey_id",
        "newsletter_id", "content_id", "broadcast_id", "trigger_id", "trigger_event_id",
        "transactional_message_id", "subject", "recipient", "link_url", "link_id", "reason"})
    rules.push_back({.name = name, .type = Type::string});
  rules.push_back({.name = "by_machine", .type = Type::boolean});
  rules.push_back({.name = "recipients", .type = Type::list});
  rules.push_back({.name = "holdout", .type = Type::any});
  return rules;
}

// Names that other senders give the same.
std::vector<std::string> aliases_of(std::string_view name) {
  if (name == "Email Link Clicked") return {"Email Clicked"};
  if (name == "Email Marked as Spam") return {"Email Spammed"};
  if (name == "SMS Link Clicked") return {"SMS Clicked"};
  if (name == "Push Link Clicked") return {"Push Clicked"};
  return {};
}

std::vector<PropertyRule> device_properties() {
  return {{.name = "token", .type = Type::string}, {.name = "platform", .type = Type::string}};
}

}  // namespace

std::vector<EventRule> message_events() {
  std::vector<EventRule> events;
  const auto add = [&](std::string name, std::string description) {
    // An e-mail's and a customer's unsubscription are one event.
    for (const EventRule& known : events) {
      if (known.name == name) return;
    }
    EventRule rule;
    rule.aliases = aliases_of(name);
    rule.name = std::move(name);
    rule.description = std::move(description);
    rule.properties = properties();
    events.push_back(std::move(rule));
  };
  for (const Channel& each : channels()) {
    for (const std::string_view metric : each.metrics) {
      std::string words(metric);
      std::ranges::replace(words, '_', ' ');
      add(sources::message_event_name(each.channel, metric, false), fmt::format("{}: {}", each.what, words));
      if (each.channel == "email" && (metric == "opened" || metric == "clicked")) {
        add(sources::message_event_name(each.channel, metric, true),
            fmt::format("{}: {} by a scanner, proxy or prefetch", each.what, words));
      }
    }
  }
  events.push_back(
      {"Device Created or Updated", {}, "", "A device takes push messages", device_properties()});
  events.push_back(
      {"Device Deleted", {}, "", "A device takes no push messages any more", device_properties()});
  return events;
}

}  // namespace tailrace::workspace
