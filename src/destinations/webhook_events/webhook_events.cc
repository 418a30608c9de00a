#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/analytics/plain_event.h"
#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/standard_webhooks/signature.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kUrl = "url";
constexpr std::string_view kSecret = "secret";
// A receiver of ours may take more; the platform limits of the others do not apply.
constexpr std::uint32_t kBatchRecordsCeiling = 10'000;

constexpr std::array<Setting, 5> kSettings{{
    {.name = kUrl,
     .required = true,
     .about = "Where requests are posted: https, or http on this machine. For the sandbox: "
              "`http://127.0.0.1:9090/webhook`."},
    analytics::kContextSetting,
    {.name = kBatchRecordsMax.name, .default_value = "1", .about = "Events in a request, 1 to 10000."},
    kRequestsPerMinute,
    {.name = kSecret,
     .required = true,
     .secret = true,
     .about =
         "`whsec_` and the base64 of 24 to 64 random bytes. While it is being replaced: the old and the new "
         "one, parted by a blank; requests then carry both signatures."},
}};

constexpr std::string_view kAbout =
    R"(Posts events to a URL of yours, signed as [Standard Webhooks](https://www.standardwebhooks.com) describes
(HMAC-SHA256, `v1`), so that its libraries verify them. Changes of membership are posted by `webhook`.

```json
{"type": "event.order_completed",
 "timestamp": "2026-03-01T09:59:00.250Z",
 "data": {"event": "Order Completed", "message_id": "m-1", "person": "crm-1",
          "user_id": "crm-1", "email": "ada@example.com",
          "properties": {"order_id": "9001", "revenue": 30.5}}}
```

`type` is `event.` and the event's name in small letters, digits and underscores. Identifiers are the values as they
came, **not hashed**; leave them out with `fields: { email: '""' }`. With `batch_records_max` above 1 a request is a list:
`{"type": "events", "timestamp": ..., "data": {"events": [...]}}`, each as above.

**De-duplication.** `webhook-id` comes from the events' message ids and is the same in every resend: remember it. Of a
list the composition may change when the sender is restarted; remember each event's `message_id` instead.

**Order.** Events of a person go one after another.

**Errors.** 2xx is success. 429 and 5xx are tried again, after `Retry-After` where given. 400 and 422 make the event a
dead letter (a list is halved until it stands alone). 410 and every other answer stop the sync until somebody mends the
cause; redirects are not followed.
)";

class WebhookEvents final : public EventDestination {
 public:
  std::string_view type() const override { return "webhook_events"; }
  std::string_view platform() const override { return "webhook"; }
  std::string_view title() const override { return "Webhook for events"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return analytics::kPlainFieldsOfEvents; }
  Limits limits() const override { return {.batch_records_max = 1}; }
  std::span<const EventName> events() const override { return {}; }
  EventRules rules() const override { return {}; }
  bool takes_every_event() const override { return true; }
  bool keeps_order() const override { return true; }
  bool readers_know_copies() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(kUrl), Query::allowed, problems);
    check_boolean(config, std::string(analytics::kContextSetting.name), problems);
    check_limits(config, {.batch_records_max = kBatchRecordsCeiling}, problems);
    if (const std::string& secret = config.secret(std::string(kSecret)); !secret.empty()) {
      if (const auto keys = standard_webhooks::keys(secret); !keys) problems.push_back(keys.error().message);
    }
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    Value data = analytics::empty_object();
    analytics::add_text(data, "event", conversion.name);
    analytics::add_text(data, "message_id", conversion.message_id);
    analytics::add_text(data, "person", conversion.person);
    analytics::add_plain_event(data, *this, conversion, at.config);
    Value message = analytics::empty_object();
    message.members.emplace_back("type", Value::of("event." + analytics::name_word(conversion.name)));
    message.members.emplace_back("timestamp", Value::of(format_time(conversion.at)));
    message.members.emplace_back("data", std::move(data));
    return to_json(message);
  }

  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    const Config& config = context.config;
    const bool is_list = config.setting(std::string(kBatchRecordsMax.name)) != "1";
    std::string body = is_list ? list_of(events) : events.front();
    std::string id = standard_webhooks::message_id(body);
    return standard_webhooks::signed_post(config.setting(std::string(kUrl)), std::move(body), std::move(id),
                                          config.secret(std::string(kSecret)), context.now);
  }

  Reply decode(std::size_t events, const HttpResponse& response) const override {
    const int status = response.status;
    const std::string code = fmt::format("{}", status);
    if (status >= 200 && status < 300) return accepted(events);
    if (status == 400 || status == 422)
      return split(events, fmt::format("the receiver does not take it (HTTP {})", status), code);
    if (status == 401 || status == 403)
      return stop(fmt::format("the receiver does not accept the signature (HTTP {})", status), code);
    if (status == 410) return stop("the receiver has gone and wants no more (HTTP 410)", code);
    return judge_status(events, response);
  }

 private:
  // A list happened when the last of its events did. They hold their own times behind the first quotation.
  static std::string list_of(std::span<const std::string> events) {
    constexpr std::string_view kMark = R"(,"timestamp":")";
    std::string latest;
    for (const std::string& event : events) {
      const std::size_t begin = event.find(kMark) + kMark.size();
      latest = std::max(latest, event.substr(begin, event.find('"', begin) - begin));
    }
    return fmt::format(R"({{"type":"events","timestamp":"{}","data":{{"events":[{}]}}}})", latest,
                       analytics::joined(events));
  }
};

}  // namespace

const Destination& webhook_events() {
  static const WebhookEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
