#include "destinations/kafka_events/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::kafka_codec {
namespace {

constexpr std::size_t kTopicBytesMax = 249;
constexpr std::string_view kEventPlace = "{event}";

const std::string& setting(const Config& config, std::string_view name) {
  return config.setting(std::string(name));
}
const std::string& secret(const Config& config, std::string_view name) {
  return config.secret(std::string(name));
}

// Calls take(host, port) for each.
template <class Take>
bool all_brokers(std::string_view brokers, Take take) {
  while (true) {
    const std::size_t comma = std::min(brokers.find(','), brokers.size());
    const std::string_view one = brokers.substr(0, comma);
    const std::size_t colon = one.rfind(':');
    if (colon == std::string_view::npos || !take(one.substr(0, colon), one.substr(colon + 1))) return false;
    if (comma == brokers.size()) return true;
    brokers.remove_prefix(comma + 1);
  }
}

std::string topic_of(const Conversion& conversion, const Config& config) {
  std::string topic = setting(config, kTopic);
  if (const std::size_t at = topic.find(kEventPlace); at != std::string::npos)
    topic.replace(at, kEventPlace.size(), analytics::name_word(conversion.name));
  return topic;
}

struct Meaning {
  std::string_view code;
  Reply::Verdict verdict;
  std::string_view says;
};
constexpr Reply::Verdict kRejected = Reply::Verdict::done;
constexpr std::string_view kNoRight =
    "the user may not write to the topic: grant it Write and IdempotentWrite";
// What is not here and of the library's own making passes; what is not here and a broker's does not.
constexpr std::array<Meaning, 18> kMeanings{{
    {"TOPIC_AUTHORIZATION_FAILED", Reply::Verdict::stop, kNoRight},
    {"CLUSTER_AUTHORIZATION_FAILED", Reply::Verdict::stop, kNoRight},
    {"SASL_AUTHENTICATION_FAILED", Reply::Verdict::stop,
     "the brokers do not accept the user name and password"},
    {"_AUTHENTICATION", Reply::Verdict::stop, "the brokers do not accept the user name and password"},
    {"_SSL", Reply::Verdict::stop, "a broker's certificate cannot be trusted, or it does not speak TLS"},
    {"_UNKNOWN_TOPIC", Reply::Verdict::stop, "there is no such topic: create it"},
    {"UNKNOWN_TOPIC_OR_PART", Reply::Verdict::stop, "there is no such topic: create it"},
    {"TOPIC_EXCEPTION", Reply::Verdict::stop, "the brokers do not accept the topic's name"},
    {"_INVALID_ARG", kRejected, "the message is not accepted"},
    {"MSG_SIZE_TOO_LARGE", kRejected, "the message is larger than the topic takes"},
    {"INVALID_RECORD", kRejected, "the brokers do not accept the message"},
    {"POLICY_VIOLATION", kRejected, "a policy of the brokers' forbids the message"},
    {"KAFKA_STORAGE_ERROR", Reply::Verdict::retry, "a broker has trouble with its disk"},
    {"NOT_ENOUGH_REPLICAS", Reply::Verdict::retry, "too few replicas are in sync"},
    {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", Reply::Verdict::retry, "too few replicas are in sync"},
    {"LEADER_NOT_AVAILABLE", Reply::Verdict::retry, "a partition has no leader now"},
    {"REQUEST_TIMED_OUT", Reply::Verdict::retry, "a broker did not answer in time"},
    {"OUT_OF_ORDER_SEQUENCE_NUMBER", Reply::Verdict::retry, "a broker lost what it had taken; it goes again"},
}};

Meaning meaning_of(std::string_view code) {
  const auto found = std::ranges::find(kMeanings, code, &Meaning::code);
  if (found != kMeanings.end()) return *found;
  if (code.starts_with('_')) return {code, Reply::Verdict::retry, "a message was not acknowledged"};
  return {code, kRejected, "the brokers do not accept the message"};
}

}  // namespace

bool are_brokers(std::string_view brokers) {
  return all_brokers(brokers, [](std::string_view host, std::string_view port) {
    const bool digits =
        !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == port.npos;
    const bool plain = std::ranges::all_of(host, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
             c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    });
    return digits && !host.empty() && plain;
  });
}

bool are_here(std::string_view brokers) {
  return all_brokers(brokers, [](std::string_view host, std::string_view) {
    return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
  });
}

bool is_topic(std::string_view topic) {
  std::string name(topic);
  if (const std::size_t at = name.find(kEventPlace); at != std::string::npos)
    name.replace(at, kEventPlace.size(), "x");
  return !name.empty() && name.size() <= kTopicBytesMax && name != "." && name != ".." &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
         });
}

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config) {
  const std::string topic = topic_of(conversion, config);
  if (!is_topic(topic)) return std::unexpected(Refused{"event", "its name makes no name of a topic"});
  Value headers = analytics::empty_object();
  analytics::add_text(headers, "message_id", conversion.message_id);
  analytics::add_text(headers, "type", "track");
  analytics::add_text(headers, "schema_version", "1");
  analytics::add_text(headers, "content-type", "application/json");
  Value value = analytics::empty_object();
  value.members.emplace_back("schema_version", Value::of(Number::integer(1)));
  analytics::add_text(value, "type", "track");
  analytics::add_text(value, "message_id", conversion.message_id);
  analytics::add_text(value, "event", conversion.name);
  analytics::add_text(value, "person_id", conversion.person);
  analytics::add_missing(
      value, user_object(destination, conversion, config, [](const FieldRule&) { return false; }));
  analytics::add_text(value, "timestamp", format_time(conversion.at));
  value.members.emplace_back("properties", conversion.properties.kind == Value::Kind::object
                                               ? conversion.properties
                                               : analytics::empty_object());
  if (setting(config, kContext) == "true") value.members.emplace_back("context", conversion.context);
  Value message = analytics::empty_object();
  analytics::add_text(message, "topic", topic);
  message.members.emplace_back("key", Value::of(conversion.person));
  message.members.emplace_back("timestamp", Value::of(Number::integer(conversion.at.ms)));
  message.members.emplace_back("headers", std::move(headers));
  message.members.emplace_back("value", std::move(value));
  return to_json(message);
}

HttpRequest encode_batch(std::span<const std::string> events, const Config& config) {
  HttpRequest request{"PRODUCE", "kafka://" + setting(config, kBrokers), {}, ""};
  const std::string& security = setting(config, kSecurity);
  if (security.starts_with("sasl_"))
    request.headers.emplace_back(
        "Authorization", analytics::basic_authorization(secret(config, kUser), secret(config, kPassword)));
  request.headers.emplace_back("Kafka-Security", security);
  if (security.starts_with("sasl_"))
    request.headers.emplace_back("Kafka-Mechanism", setting(config, kMechanism));
  request.headers.emplace_back("Kafka-Compression", setting(config, kCompression));
  request.body = R"({"messages":[)" + analytics::joined(events) + "]}";
  return request;
}

Reply decode(Records records, const HttpResponse& response) {
  if (response.status != 200) return judge_status(records, response);
  const auto body = json_object(response);
  const Value* outcomes = member(body ? &*body : nullptr, "outcomes");
  if (outcomes == nullptr || outcomes->kind != Value::Kind::list || outcomes->list.size() != records.count)
    return retry("what became of the messages cannot be read", "");
  Reply reply = accepted(records);
  for (std::size_t i = 0; i < records.count; ++i) {
    const Value& outcome = outcomes->list[i];
    if (outcome.kind == Value::Kind::string && outcome.string.empty()) continue;
    const std::string code = code_word(outcome.string);
    const Meaning meaning = meaning_of(code.empty() ? "_UNKNOWN" : std::string_view(code));
    // One that has to go again takes the others along: its place in the order of its key is before theirs.
    if (meaning.verdict == Reply::Verdict::stop) return stop(std::string(meaning.says), code);
    if (meaning.verdict == Reply::Verdict::retry) {
      if (reply.verdict == kRejected) reply = retry(std::string(meaning.says), code);
      continue;
    }
    if (reply.verdict == kRejected)
      reply.outcomes[i] = {Outcome::Kind::rejected, fmt::format("{} ({})", meaning.says, code)};
  }
  return reply;
}

}  // namespace tailrace::destinations::kafka_codec
