// Messages of Kafka topics, and what became of them (server/carrier.h says how both look). Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/event_destination.h"

namespace tailrace::destinations::kafka_codec {

inline constexpr std::string_view kBrokers = "brokers";
inline constexpr std::string_view kTopic = "topic";
inline constexpr std::string_view kSecurity = "security_protocol";
inline constexpr std::string_view kMechanism = "sasl_mechanism";
inline constexpr std::string_view kCompression = "compression";
inline constexpr std::string_view kContext = "context";
inline constexpr std::string_view kUser = "username";
inline constexpr std::string_view kPassword = "password";

// "a.example.com:9092,[::1]:9092"
bool are_brokers(std::string_view brokers);
// Whether every one of them is this machine.
bool are_here(std::string_view brokers);
// Letters, digits, . _ -, at most 249; {event} in it stands for the event's name as a word.
bool is_topic(std::string_view topic);

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode_batch(std::span<const std::string> events, const Config& config);
Reply decode(Records records, const HttpResponse& response);

}  // namespace tailrace::destinations::kafka_codec
