// Messages of Kafka topics, and what became of them (server/carrier.h says how both look): what every
// destination there shares. Pure.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/checks.h"

namespace tailrace::destinations::kafka_api {

inline constexpr std::string_view kBrokers = "brokers";
inline constexpr std::string_view kTopic = "topic";
inline constexpr std::string_view kSecurity = "security_protocol";
inline constexpr std::string_view kMechanism = "sasl_mechanism";
inline constexpr std::string_view kCompression = "compression";
inline constexpr std::string_view kUser = "username";
inline constexpr std::string_view kPassword = "password";

inline constexpr Setting kBrokersSetting{
    .name = kBrokers,
    .required = true,
    .example = "kafka-1.example.com:9092,kafka-2.example.com:9092",
    .about = "Some of the cluster's brokers, `host:port`, parted by commas; they name the others."};
inline constexpr Setting kSecuritySetting{
    .name = kSecurity,
    .default_value = "sasl_ssl",
    .about =
        "`sasl_ssl`, `ssl`; in the clear `sasl_plaintext`, `plaintext`, to brokers on this machine only."};
inline constexpr Setting kMechanismSetting{
    .name = kMechanism,
    .default_value = "SCRAM-SHA-512",
    .about = "`SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`, where the protocol is `sasl_...`."};
inline constexpr Setting kCompressionSetting{
    .name = kCompression, .default_value = "lz4", .about = "`lz4`, `zstd`, `snappy`, `gzip` or `none`."};
inline constexpr Setting kUserSetting{
    .name = kUser, .secret = true, .example = "secret-user", .about = "Of SASL: who writes."};
inline constexpr Setting kPasswordSetting{.name = kPassword,
                                          .secret = true,
                                          .example = "secret-password",
                                          .about = "Of SASL: the user's password."};

// place: what stands in a topic for what it is about: "{event}".
void check(const Config& config, std::string_view place, Problems& problems);

// The topic of the settings, with `word` in the place; missing: that makes no name of a topic (letters,
// digits, . _ -, at most 249 bytes).
std::optional<std::string> topic_of(const Config& config, std::string_view place, std::string_view word);

// One message as it stands in a request.
struct Message {
  std::string topic;
  std::string key;
  Time at;
  std::string_view type;  // "track"
  std::string id;         // by it whoever reads knows a second copy
  Value value;            // what the envelope has beside type, id and time
};
std::string encode_message(Message message);

HttpRequest encode(std::span<const std::string> messages, const Config& config);
Reply decode(Records records, const HttpResponse& response);

}  // namespace tailrace::destinations::kafka_api
