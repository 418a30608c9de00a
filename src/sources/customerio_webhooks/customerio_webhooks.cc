// Customer.io's reporting webhooks: what became of each message. One request is one event:
//
//   {"event_id":..., "object_type":"email", "metric":"opened", "timestamp":SECONDS, "data":{...}}
//
// It becomes the event that message_event.h names, of the person in data.identifiers, known as one message by
// its event_id. A change of consent is a record of its own, so that no taxonomy can hold it back.
//
// Signed are the bytes of the body: X-CIO-Signature is the hex of
// HMAC-SHA256(signing key, "v0:" + X-CIO-Timestamp + ":" + body).
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "sources/json_object.h"
#include "sources/message_event.h"
#include "sources/source.h"

namespace tailrace::sources {
namespace {

constexpr std::string_view kAbout =
    R"(What became of each e-mail, SMS, push, in-app message, WhatsApp message, Slack message and webhook that Customer.io sent, as
events of the person it was sent to: `Email Delivered`, `Email Opened`, `Email Link Clicked`, `SMS Bounced`, ... All names and properties are in
[message engagement](../messages.md); `use: [messages]` in `taxonomy.yaml` declares them.

```yaml
# tailrace.yaml
sources:
  - name: customerio
    type: customerio_webhooks
    credentials:
      signing_key: {env: CUSTOMERIO_SIGNING_KEY}
```

In Customer.io, add a reporting webhook to `https://YOUR-HOST/sources/customerio`, choose the events, and put its signing key where `serve` finds it.
Choose *every* open and click rather than the first ones, if frequency matters to you.

**Who.** The `id` of `data.identifiers` is the person's user id; without one, their `email` names them, and without both their `cio_id`. An e-mail
that nobody has yet makes somebody known by it.

**Once.** An event's `event_id` is its message id: what Customer.io sends again counts once.

**Consent.** `unsubscribed` (of an e-mail, or of the customer) withdraws `consent.email` at the webhook's time, `spammed` too, and `subscribed` grants it;
`cio_subscription_preferences_changed` states each topic as a purpose of its own (`topic_7`). That holds whatever the taxonomy says of the event.

**Machine opens.** An open that was prefetched or made by a proxy or scanner is the event `Email Opened by Machine`, a click by a scanner `Email Link Clicked by
Machine`: `Email Opened` and `Email Link Clicked` are people's. Some mail services fetch images through a proxy when a person opens the mail; with
`proxied_opens: human` those count as people's.

**Answers.** `200`: on disk. `401`: no signature, a wrong one, or one older (or newer) than `tolerance_seconds`. `400`: no event that could be read. `413`: too large.
Customer.io waits four seconds and sends again what was not answered 2xx.
)";

const std::array kSettings{
    Setting{.name = "tolerance_seconds",
            .default_value = "300",
            .is_count = true,
            .about = "how far the time of a signature may be from ours, each way"},
    Setting{.name = "proxied_opens",
            .default_value = "machine",
            .choices = {"machine", "human"},
            .about = "whose an open is that came through a proxy and was not prefetched"},
    Setting{.name = "signing_key", .required = true, .secret = true, .about = "of the reporting webhook"},
    Setting{.name = "previous_signing_key",
            .secret = true,
            .about = "the key before it, while Customer.io changes over"},
};

bool is_signed_by(const std::string& key, const Request& request, std::string_view timestamp,
                  std::string_view signature) {
  if (key.empty()) return false;
  std::string text = "v0:";
  text.append(timestamp).append(":").append(request.http.body);
  const Sha256 digest = hmac_sha256(key, text);
  return same_secret(to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()}), signature);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// "email" and "opened"; older payloads say both in one word, email_opened or email.opened.
struct Subject {
  std::string channel;
  std::string metric;
};
Subject subject_of(const JsonObject& body) {
  Subject subject{body["object_type"].text(), body["metric"].text()};
  const std::string joined = body["event_type"].text();
  if (!subject.channel.empty() || joined.empty()) return subject;
  for (const std::string_view channel : kChannels) {
    if (joined.starts_with(channel) && joined.size() > channel.size() + 1 &&
        (joined[channel.size()] == '_' || joined[channel.size()] == '.'))
      return {std::string(channel), joined.substr(channel.size() + 1)};
  }
  return subject;
}

class CustomerioWebhooks final : public HttpSource {
 public:
  std::string_view type() const override { return "customerio_webhooks"; }
  std::string_view title() const override { return "Customer.io reporting webhooks"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }

  Result<void> authenticate(const SourceConfig& config, const Request& request) const override {
    const auto timestamp = request.http.headers.get("X-CIO-Timestamp");
    const auto signature = request.http.headers.get("X-CIO-Signature");
    if (!timestamp || !signature) return invalid("no X-CIO-Signature and X-CIO-Timestamp");
    const std::string hex = lower(*signature);
    // Both are tried, whichever is right.
    const bool now = is_signed_by(config.secret("signing_key"), request, *timestamp, hex);
    const bool before = is_signed_by(config.secret("previous_signing_key"), request, *timestamp, hex);
    if (!now && !before) return invalid("the signature is not of this body and key");
    const auto sent = time_of_seconds(*timestamp);
    const auto tolerance = time_of_seconds(config.setting("tolerance_seconds"));
    if (!sent || !tolerance) return invalid("X-CIO-Timestamp is no time in seconds");
    const std::int64_t apart = (request.now - *sent).count;
    if (std::max(apart, -apart) > tolerance->ms) return invalid("the signature is too old, or of the future");
    return {};
  }

  Taken take(const SourceConfig& config, const Request& request) const override {
    if (request.http.method != "POST") return {{}, refusal(405, "use POST")};
    if (request.body.size() > kMessageBytesMax)
      return {{}, refusal(413, fmt::format("more than {} bytes", kMessageBytesMax))};
    const auto body = JsonObject::parse(request.body);
    if (!body) return {{}, refusal(400, body.error().message)};
    RecordList records(config.name, request.now, request.entropy);
    if (const auto read = read_event(config, request, *body, records); !read)
      return {{}, refusal(400, read.error().message)};
    return {records.take(), json_answer(200, R"({"success":true})")};
  }

 private:
  static Result<void> read_event(const SourceConfig& config, const Request& request, const JsonObject& body,
                                 RecordList& records) {
    const std::string id = body["event_id"].text();
    if (id.empty() || id.size() > kMessageIdBytesMax - 16) return invalid("no `event_id`");
    const Subject subject = subject_of(body);
    if (subject.channel.empty() || subject.metric.empty()) return invalid("no `object_type` and `metric`");
    const JsonObject data = JsonObject::of(body["data"]);
    if (!body["data"].is(JsonType::object)) return invalid("no `data`");
    RecordView record;
    record.time = request.now;
    if (const JsonMember& at = body["timestamp"]; at.present()) {
      const auto time = time_of_seconds(at.text());
      if (!time) return invalid("`timestamp` is no time in seconds since 1970");
      record.time = *time;
    }

    const Who who = recipient_of(data);
    who.name(record);
    const std::string context = who.context();
    record.context = context;
    record.message_id = id;
    record.kind = RecordKind::track;
    const bool machine = is_by_machine(subject.metric, data, config.setting("proxied_opens") == "human");
    const std::string name = message_event_name(subject.channel, subject.metric, machine);
    record.event = name;
    const std::string properties = message_properties(subject.channel, subject.metric, machine, data);
    record.payload = properties;
    if (who.is_nobody()) {
      records.reject(record, request.body,
                     "of nobody: `data` has no id, email or cio_id; was the person deleted at Customer.io?");
      return {};
    }
    TRY(who.check());
    TRY(who.make_known(record.time, records));
    if (const std::string consent = message_consent(subject.channel, subject.metric, data);
        !consent.empty()) {
      RecordView statement = record;
      const std::string statement_id = id + "/consent";
      statement.kind = RecordKind::identify;
      statement.message_id = statement_id;
      statement.event = {};
      const std::string traits = JsonText().raw("consent", consent).take();
      statement.payload = traits;
      TRY(records.add(statement));
    }
    return records.add(record);
  }
};

}  // namespace

const HttpSource& customerio_webhooks() {
  static const CustomerioWebhooks kSource;
  return kSource;
}

}  // namespace tailrace::sources
