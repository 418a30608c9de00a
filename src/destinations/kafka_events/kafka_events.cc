#include <array>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/plain_event.h"
#include "destinations/event_destination.h"
#include "destinations/kafka_api/messages.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kPlace = "{event}";

constexpr std::array<Setting, 9> kSettings{{
    kafka_api::kBrokersSetting,
    {.name = kafka_api::kTopic,
     .scope = Setting::Scope::sync,
     .default_value = "tailrace.events",
     .about = "Where messages go; it exists. `{event}` in it stands for the event's name: `shop.{event}` is "
              "`shop.order_completed`."},
    kafka_api::kSecuritySetting,
    kafka_api::kMechanismSetting,
    kafka_api::kCompressionSetting,
    analytics::kContextSetting,
    kBatchRecordsMax,
    kafka_api::kUserSetting,
    kafka_api::kPasswordSetting,
}};

constexpr std::string_view kAbout =
    R"(Writes events to a topic of Apache Kafka, or of what speaks its protocol. Events go by their own names, one message each:

| part | |
|---|---|
| key | the person, so that a person's events are in one partition (chosen as Java's producers do, by murmur2) |
| headers | `message_id`, `type`, `schema_version`, `content-type` |
| timestamp | when it happened |
| value | JSON, as below |

```json
{"schema_version": 1, "type": "track", "message_id": "m-1", "timestamp": "2026-03-01T09:59:00.250Z",
 "event": "Order Completed", "person_id": "crm-1", "user_id": "crm-1", "email": "ada@example.com",
 "properties": {"order_id": "9001", "revenue": 30.5}}
```

Identifiers are the values as they came, **not hashed**; leave them out with `fields: { email: '""' }`.

**Topics.** In a topic's name a character that is no letter from a to z and no digit is `_`: the events `Größe` and `Grüße` share the
topic `gr__e`. `event` in the value tells them apart.

**Order.** Events of a person go one after another, to one partition. Adding partitions moves people to others, and so does a merge of
profiles, after which a person has another id. An event of nobody with an id is not sent.

**De-duplication.** The producer is idempotent and waits for every replica that is in sync (`acks=all`), and an event is done
when its message is acknowledged. What was not is sent again: a copy may then be there, after a broker's silence or a crash of
this machine, with the same `message_id` in its headers. Remember that.

**Errors.** A message that is too large, too old for the topic, or that a policy forbids is a dead letter; the others of its request
are written. A missing topic, right or trust stops the sync until somebody mends the cause. Brokers in trouble, and whatever else
they say, are waited for: a request in which one message was not acknowledged goes again whole, in its order.

**In the clear** nothing goes to an address that is not this machine's, whatever the cluster names.

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
  std::span<const FieldRule> fields() const override { return analytics::kPlainFieldsOfEvents; }
  Limits limits() const override { return {.batch_records_max = 1'000, .batch_bytes_max = 8'000'000}; }
  std::span<const EventName> events() const override { return {}; }
  EventRules rules() const override { return {}; }
  bool takes_every_event() const override { return true; }
  bool keeps_order() const override { return true; }
  bool readers_know_copies() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    kafka_api::check(config, kPlace, problems);
    check_boolean(config, std::string(analytics::kContextSetting.name), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    const auto topic = kafka_api::topic_of(at.config, kPlace, analytics::name_word(conversion.name));
    if (!topic) return std::unexpected(Refused{"event", "its name makes no name of a topic"});
    if (conversion.person.empty())
      return std::unexpected(Refused{"person", "has no id to be the message's key"});
    Value value = analytics::empty_object();
    analytics::add_text(value, "event", conversion.name);
    analytics::add_text(value, "person_id", conversion.person);
    analytics::add_plain_event(value, *this, conversion, at.config);
    return kafka_api::encode_message({.topic = *topic,
                                      .key = conversion.person,
                                      .at = conversion.at,
                                      .type = "track",
                                      .id = conversion.message_id,
                                      .value = std::move(value)});
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return kafka_api::encode(events, context.config);
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return kafka_api::decode(events, response);
  }
};

}  // namespace

const Destination& kafka_events() {
  static const KafkaEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
