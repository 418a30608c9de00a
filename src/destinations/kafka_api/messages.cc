#include "destinations/kafka_api/messages.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::kafka_api {
namespace {

constexpr std::size_t kTopicBytesMax = 249;
constexpr std::array<std::string_view, 4> kProtocols{"sasl_ssl", "ssl", "sasl_plaintext", "plaintext"};
constexpr std::array<std::string_view, 3> kMechanisms{"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"};
constexpr std::array<std::string_view, 5> kCompressions{"lz4", "zstd", "snappy", "gzip", "none"};

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

// "a.example.com:9092,[::1]:9092"
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

// Whether every one of them is this machine.
bool are_here(std::string_view brokers) {
  return all_brokers(brokers, [](std::string_view host, std::string_view) {
    return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
  });
}

struct Meaning {
  std::string_view code;
  Reply::Verdict verdict;
  std::string_view says;
};
constexpr Reply::Verdict kRejected = Reply::Verdict::done;
constexpr std::string_view kNoRight =
    "the user may not write to the topic: grant it Write and IdempotentWrite";
constexpr std::string_view kLost = "a broker lost what it had taken; it goes again";
// What is not here passes: brokers move partitions, lose producers and learn new codes, and a message is
// given up only where its code speaks of the message.
constexpr std::array<Meaning, 26> kMeanings{{
    {"TOPIC_AUTHORIZATION_FAILED", Reply::Verdict::stop, kNoRight},
    {"CLUSTER_AUTHORIZATION_FAILED", Reply::Verdict::stop, kNoRight},
    {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Reply::Verdict::stop, kNoRight},
    {"SASL_AUTHENTICATION_FAILED", Reply::Verdict::stop,
     "the brokers do not accept the user name and password"},
    {"_AUTHENTICATION", Reply::Verdict::stop, "the brokers do not accept the user name and password"},
    {"_SSL", Reply::Verdict::stop, "a broker's certificate cannot be trusted"},
    {"_UNKNOWN_TOPIC", Reply::Verdict::stop, "there is no such topic: create it"},
    {"UNKNOWN_TOPIC_OR_PART", Reply::Verdict::stop, "there is no such topic: create it"},
    {"TOPIC_EXCEPTION", Reply::Verdict::stop, "the brokers do not accept the topic's name"},
    {"RECORD_LIST_TOO_LARGE", Reply::Verdict::stop,
     "the topic's segments are too small: raise segment.bytes"},
    {"_INVALID_ARG", kRejected, "the message has no key: the person has no id"},
    {"MSG_SIZE_TOO_LARGE", kRejected, "the message is larger than the topic takes"},
    {"INVALID_RECORD", kRejected, "the brokers do not accept the message"},
    {"INVALID_TIMESTAMP", kRejected, "the topic does not take messages of that time"},
    {"POLICY_VIOLATION", kRejected, "a policy of the brokers' forbids the message"},
    {"KAFKA_STORAGE_ERROR", Reply::Verdict::retry, "a broker has trouble with its disk"},
    {"NOT_ENOUGH_REPLICAS", Reply::Verdict::retry, "too few replicas are in sync"},
    {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", Reply::Verdict::retry, "too few replicas are in sync"},
    {"LEADER_NOT_AVAILABLE", Reply::Verdict::retry, "a partition has no leader now"},
    {"NOT_LEADER_FOR_PARTITION", Reply::Verdict::retry, "a partition has no leader now"},
    {"BROKER_NOT_AVAILABLE", Reply::Verdict::retry, "a broker is not there now"},
    {"REPLICA_NOT_AVAILABLE", Reply::Verdict::retry, "a broker is not there now"},
    {"REQUEST_TIMED_OUT", Reply::Verdict::retry, "a broker did not answer in time"},
    {"OUT_OF_ORDER_SEQUENCE_NUMBER", Reply::Verdict::retry, kLost},
    {"UNKNOWN_PRODUCER_ID", Reply::Verdict::retry, kLost},
    {"INVALID_PRODUCER_EPOCH", Reply::Verdict::retry, kLost},
}};

Meaning meaning_of(std::string_view code) {
  const auto found = std::ranges::find(kMeanings, code, &Meaning::code);
  if (found != kMeanings.end()) return *found;
  return {code, Reply::Verdict::retry, "a message was not acknowledged"};
}

}  // namespace

void check(const Config& config, std::string_view place, Problems& problems) {
  const std::string& brokers = setting(config, kBrokers);
  if (!brokers.empty() && !are_brokers(brokers))
    problems.emplace_back("brokers must be host:port, or several of them parted by commas");
  if (!topic_of(config, place, "x"))
    problems.push_back(
        fmt::format("topic must be made of letters, digits, . _ and -, and {} where wanted", place));
  check_choice(config, std::string(kSecurity), kProtocols, problems);
  check_choice(config, std::string(kMechanism), kMechanisms, problems);
  check_choice(config, std::string(kCompression), kCompressions, problems);
  const std::string& security = setting(config, kSecurity);
  if (security.ends_with("plaintext") && !brokers.empty() && !are_here(brokers))
    problems.emplace_back("security_protocol may be in the clear only where all brokers are on this machine");
  const bool names =
      config.secrets.contains(std::string(kUser)) && config.secrets.contains(std::string(kPassword));
  if (security.starts_with("sasl_") && !names)
    problems.emplace_back("credentials are missing: SASL needs username and password");
  if (secret(config, kUser).find(':') != std::string::npos)
    problems.emplace_back("username must not hold a colon");
}

std::optional<std::string> topic_of(const Config& config, std::string_view place, std::string_view word) {
  std::string topic = setting(config, kTopic);
  if (const std::size_t at = topic.find(place); at != std::string::npos)
    topic.replace(at, place.size(), word);
  const bool plain = std::ranges::all_of(topic, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (!plain || topic.empty() || topic.size() > kTopicBytesMax || topic == "." || topic == "..")
    return std::nullopt;
  return topic;
}

std::string encode_message(Message message) {
  const std::string type(message.type);
  Value headers = analytics::empty_object();
  analytics::add_text(headers, "message_id", message.id);
  analytics::add_text(headers, "type", type);
  analytics::add_text(headers, "schema_version", "1");
  analytics::add_text(headers, "content-type", "application/json");
  Value value = analytics::empty_object();
  value.members.emplace_back("schema_version", Value::of(Number::integer(1)));
  analytics::add_text(value, "type", type);
  analytics::add_text(value, "message_id", message.id);
  analytics::add_text(value, "timestamp", format_time(message.at));
  for (auto& each : message.value.members) value.members.push_back(std::move(each));
  Value whole = analytics::empty_object();
  analytics::add_text(whole, "topic", std::move(message.topic));
  whole.members.emplace_back("key", Value::of(std::move(message.key)));
  whole.members.emplace_back("timestamp", Value::of(Number::integer(message.at.ms)));
  whole.members.emplace_back("headers", std::move(headers));
  whole.members.emplace_back("value", std::move(value));
  return to_json(whole);
}

HttpRequest encode(std::span<const std::string> messages, const Config& config) {
  HttpRequest request{
      "PRODUCE", "kafka://" + setting(config, kBrokers), {{"Content-Type", "application/json"}}, ""};
  const std::string& security = setting(config, kSecurity);
  if (security.starts_with("sasl_"))
    request.headers.emplace_back(
        "Authorization", analytics::basic_authorization(secret(config, kUser), secret(config, kPassword)));
  request.headers.emplace_back("Kafka-Security", security);
  if (security.starts_with("sasl_"))
    request.headers.emplace_back("Kafka-Mechanism", setting(config, kMechanism));
  request.headers.emplace_back("Kafka-Compression", setting(config, kCompression));
  request.body = R"({"messages":[)" + analytics::joined(messages) + "]}";
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

}  // namespace tailrace::destinations::kafka_api
