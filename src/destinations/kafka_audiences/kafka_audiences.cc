#include <array>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/plain_event.h"
#include "destinations/audience_destination.h"
#include "destinations/identifiers/identifiers.h"
#include "destinations/kafka_api/messages.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kPlace = "{audience}";

constexpr std::array<Setting, 8> kSettings{{
    kafka_api::kBrokersSetting,
    {.name = kafka_api::kTopic,
     .scope = Setting::Scope::sync,
     .default_value = "tailrace.audiences",
     .about = "Where messages go; it exists. `{audience}` in it stands for the audience's name: "
              "`shop.{audience}` is "
              "`shop.vip`."},
    kafka_api::kSecuritySetting,
    kafka_api::kMechanismSetting,
    kafka_api::kCompressionSetting,
    kBatchRecordsMax,
    kafka_api::kUserSetting,
    kafka_api::kPasswordSetting,
}};

constexpr std::string_view kAbout =
    R"(Writes every change of membership to a topic of Apache Kafka, or of what speaks its protocol, one message each. Key, headers,
order, rights and errors are as of `kafka_events`; `type` is `membership`, and the timestamp is when the membership changed.

```json
{"schema_version": 1, "type": "membership", "message_id": "6b0f...", "timestamp": "2026-03-01T10:00:00.000Z",
 "audience": "Winback", "person_id": "crm-1", "member": true,
 "identifiers": {"email": ["ada@example.com"], "phone": ["+442079460018"]}}
```

`audience` is the sync's audience id, or its audience name where it has none. `member` is `false` of whoever has left. Identifiers
are the values as they came, trimmed, not normalised and **not hashed**; each kind is a list.

With `attributes` in the sync each member who is in has `"attributes": {"lifetime_value": 120.5, "plan": null}` too, and is told
of again whenever one of them changes.

**State.** The last message of a person is what is true, so a topic of one audience (`{audience}`) may be compacted. The key is
the person's id here, which is another one after profiles were merged; a person who has none is a dead letter. It holds for
syncs with `identifiers: [external_id]`. With other kinds, `member: false` may also say that the `identifiers` in it are no longer
a member's, who stays with those told before: read such a topic as a set of identifiers, and do not compact it.

**De-duplication.** A copy, after a broker's silence, says the same again, with the same `message_id`: it is made of what the
message says and of its time. After a crash an entry or an exit comes again with the same `message_id` too, unless the person's
identifiers changed meanwhile, and a change of attributes with another. Compare a message with the last one of its person, not with
all: an identifier that goes and comes back has its first `message_id` again.

**Topics.** In a topic's name a character that is no letter from a to z and no digit is `_`: the audiences `Größe` and `Grüße` share
the topic `gr__e`. `audience` in the value tells them apart; do not compact such a topic, as their messages have the same keys.
)";

class KafkaAudiences final : public AudienceDestination {
 public:
  std::string_view type() const override { return "kafka_audiences"; }
  std::string_view platform() const override { return "kafka"; }
  std::string_view title() const override { return "Apache Kafka memberships"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return analytics::kPlainIdentifiers; }
  std::span<const FieldRule> fields() const override { return analytics::kPlainFieldsOfMembers; }
  Limits limits() const override { return {.batch_records_max = 1'000, .batch_bytes_max = 8'000'000}; }
  bool takes_attributes() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    kafka_api::check(config, kPlace, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    const std::string& audience =
        batch.audience_id.empty() ? context.config.audience_name : batch.audience_id;
    const bool is_member = batch.kind == BatchKind::add;
    // A name that makes no topic is left to the brokers, who refuse it.
    const std::string topic = kafka_api::topic_of(context.config, kPlace, analytics::name_word(audience))
                                  .value_or(context.config.setting(std::string(kafka_api::kTopic)));
    std::vector<std::string> messages;
    for (const Member& member : batch.members) {
      Value value = analytics::empty_object();
      analytics::add_text(value, "audience", audience);
      analytics::add_text(value, "person_id", member.person);
      value.members.emplace_back("member", Value::of(is_member));
      value.members.emplace_back("identifiers", identifiers_of(member));
      if (!member.attributes.empty()) value.members.emplace_back("attributes", attributes_of(member));
      // Of all that the message says: a batch would be another one after a crash.
      std::string id = analytics::uuid_of(fmt::format("{}\n{}", member.changed_at.ms, to_json(value)));
      messages.push_back(kafka_api::encode_message({.topic = topic,
                                                    .key = member.person,
                                                    .at = member.changed_at,
                                                    .type = "membership",
                                                    .id = std::move(id),
                                                    .value = std::move(value)}));
    }
    return kafka_api::encode(messages, context.config);
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return kafka_api::decode(batch, response);
  }
};

}  // namespace

const Destination& kafka_audiences() {
  static const KafkaAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
