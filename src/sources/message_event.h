// What became of a message, in our words: which event it is, with which properties, of whom. Shared by the
// sources that hear of messages; docs/messages.md and the built-in taxonomy `messages` say the same.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "sources/json_object.h"
#include "sources/who.h"

namespace tailrace::sources {

// Those that Customer.io knows.
inline constexpr std::array<std::string_view, 8> kChannels{"customer", "email",    "push",  "in_app",
                                                           "sms",      "whatsapp", "slack", "webhook"};

// "Email Opened", "SMS Link Clicked", "Unsubscribed". A channel or metric that nobody knows yet becomes a
// name of its own words: a platform that learns a new one loses nothing.
std::string message_event_name(std::string_view channel, std::string_view metric, bool by_machine);

// Opens that are prefetched, synthetic or proxied, and clicks of scanners.
bool is_by_machine(std::string_view metric, const JsonObject& data, bool proxied_is_human);

// JSON: channel, metric, delivery_id, campaign, link and the rest of `data`, ids as text; never the content
// of the message.
std::string message_properties(std::string_view channel, std::string_view metric, bool by_machine,
                               const JsonObject& data);

// JSON: {"email":false}; empty where nothing is said of consent.
std::string message_consent(std::string_view channel, std::string_view metric, const JsonObject& data);

// Whom a message went to: by user id, else by e-mail, else by the sender's own id.
Who recipient_of(const JsonObject& data);

}  // namespace tailrace::sources
