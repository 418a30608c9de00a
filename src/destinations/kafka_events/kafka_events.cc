#include <array>

#include "destinations/checks.h"
#include "destinations/kafka_events/codec.h"

namespace tailrace::destinations {
namespace {

namespace codec = kafka_codec;

constexpr std::array<std::string_view, 4> kProtocols{"sasl_ssl", "ssl", "sasl_plaintext", "plaintext"};
constexpr std::array<std::string_view, 3> kMechanisms{"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"};
constexpr std::array<std::string_view, 5> kCompressions{"lz4", "zstd", "snappy", "gzip", "none"};

constexpr std::array<Setting, 9> kSettings{{
    {.name = codec::kBrokers,
     .required = true,
     .example = "kafka-1.example.com:9092,kafka-2.example.com:9092",
     .about = "Some of the cluster's brokers, `host:port`, parted by commas; they name the others."},
    {.name = codec::kTopic,
     .scope = Setting::Scope::sync,
     .default_value = "tailrace.events",
     .about = "Where messages go; it exists. `{event}` in it stands for the event's name: `shop.{event}` is "
              "`shop.order_completed`."},
    {.name = codec::kSecurity,
     .default_value = "sasl_ssl",
     .about =
         "`sasl_ssl`, `ssl`; in the clear `sasl_plaintext`, `plaintext`, to brokers on this machine only."},
    {.name = codec::kMechanism,
     .default_value = "SCRAM-SHA-512",
     .about = "`SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`, where the protocol is `sasl_...`."},
    {.name = codec::kCompression,
     .default_value = "lz4",
     .about = "`lz4`, `zstd`, `snappy`, `gzip` or `none`."},
    {.name = codec::kContext,
     .scope = Setting::Scope::sync,
     .default_value = "false",
     .about = "Whether the event's context (page, address, device) goes along: `true` or `false`."},
    kBatchRecordsMax,
    {.name = codec::kUser, .secret = true, .example = "secret-user", .about = "Of SASL: who writes."},
    {.name = codec::kPassword,
     .secret = true,
     .example = "secret-password",
     .about = "Of SASL: the user's password."},
}};

constexpr std::array kFields{
    FieldRule{Field::external_id, "user_id", &opaque},
    FieldRule{Field::anonymous_id, "anonymous_id", &opaque},
    FieldRule{Field::email, "email", &opaque},
    FieldRule{Field::phone, "phone", &opaque},
};

constexpr std::string_view kAbout =
    R"(Writes events to a topic of Apache Kafka, or of what speaks its protocol. Events go by their own names, one message each:

| part | |
|---|---|
| key | the person, so that a person's events are in one partition (chosen as Java's producers do, by murmur2) |
| headers | `message_id`, `type`, `schema_version`, `content-type` |
| timestamp | when it happened |
| value | JSON, as below |

```json
{"schema_version": 1, "type": "track", "message_id": "m-1", "event": "Order Completed", "person_id": "crm-1",
 "user_id": "crm-1", "email": "ada@example.com", "timestamp": "2026-03-01T09:59:00.250Z",
 "properties": {"order_id": "9001", "revenue": 30.5}}
```

Identifiers are the values as they came, **not hashed**; leave them out with `fields: { email: '""' }`.

**Order.** Events of a person go one after another, to one partition. Adding partitions moves people to others.

**De-duplication.** The producer is idempotent and waits for every replica that is in sync (`acks=all`), and an event is done
when its message is acknowledged. What was not is sent again: a copy may then be there, after a broker's silence or a crash of
this machine, with the same `message_id` in its headers. Remember that.

**Errors.** A message that is too large or that a policy forbids is a dead letter; the others of its request are written. A
missing topic, right or trust stops the sync until somebody mends the cause. Brokers in trouble are waited for: a request in
which one message was not acknowledged goes again whole, in its order.

**Rights**: `Write` and `Describe` on the topic, and `IdempotentWrite` on the cluster where it is older than Kafka 3.0.

**Preview.** A request is shown as `PRODUCE kafka://brokers` with the messages as its body.
)";

class KafkaEvents final : public EventDestination {
 public:
  std::string_view type() const override { return "kafka_events"; }
  std::string_view platform() const override { return "kafka"; }
  std::string_view title() const override { return "Apache Kafka"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override { return {.batch_records_max = 1'000, .batch_bytes_max = 8'000'000}; }
  std::span<const EventName> events() const override { return {}; }
  EventRules rules() const override { return {}; }
  bool takes_every_event() const override { return true; }
  bool keeps_order() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    const std::string& brokers = config.setting(std::string(codec::kBrokers));
    if (!brokers.empty() && !codec::are_brokers(brokers))
      problems.emplace_back("brokers must be host:port, or several of them parted by commas");
    if (!codec::is_topic(config.setting(std::string(codec::kTopic))))
      problems.emplace_back("topic must be made of letters, digits, . _ and -, and {event} where wanted");
    check_choice(config, std::string(codec::kSecurity), kProtocols, problems);
    check_choice(config, std::string(codec::kMechanism), kMechanisms, problems);
    check_choice(config, std::string(codec::kCompression), kCompressions, problems);
    check_boolean(config, std::string(codec::kContext), problems);
    check_limits(config, limits(), problems);
    const std::string& security = config.setting(std::string(codec::kSecurity));
    if (security.ends_with("plaintext") && !brokers.empty() && !codec::are_here(brokers))
      problems.emplace_back(
          "security_protocol may be in the clear only where all brokers are on this machine");
    const bool names = config.secrets.contains(std::string(codec::kUser)) &&
                       config.secrets.contains(std::string(codec::kPassword));
    if (security.starts_with("sasl_") && !names)
      problems.emplace_back("credentials are missing: SASL needs username and password");
    if (config.secret(std::string(codec::kUser)).find(':') != std::string::npos)
      problems.emplace_back("username must not hold a colon");
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    return codec::encode_event(*this, conversion, at.config);
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return codec::encode_batch(events, context.config);
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return codec::decode(events, response);
  }
};

}  // namespace

const Destination& kafka_events() {
  static const KafkaEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
