#include <array>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/checks.h"
#include "destinations/event_destination.h"
#include "destinations/slack/template.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::string_view kText = "text";
constexpr std::string_view kUrl = "url";
constexpr std::size_t kLineCharactersMax = 3'000;

constexpr std::array<Setting, 4> kSettings{{
    {.name = kText,
     .scope = Setting::Scope::sync,
     .default_value = "{event}: {person}",
     .about =
         "The message. In braces stand expressions over the event: `New order {properties.order_id}: {value} "
         "{currency}`. Beside what a sync's `fields` may name there are `person`, `name`, `at`, `value`, "
         "`currency` and `order_id`. What is missing is a dash."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = kUrl,
     .required = true,
     .secret = true,
     .about = "The incoming webhook, `https://hooks.slack.com/services/...`: whoever knows it may post. Of "
              "the sandbox "
              "`http://127.0.0.1:9090/slack/services/T0/B0/x`."},
}};

constexpr std::string_view kAbout =
    R"(Posts a line for each event to a channel, through an incoming webhook of Slack, or of who takes the same
(Mattermost, Rocket.Chat, Discord at `/slack`): `{"text": "..."}`. Name the events in the sync: without that, every one
is posted.

Lines that are due at the same time go in one message, twenty at most. `&`, `<` and `>` of values are escaped, so that no
value makes a link or calls everybody.

**De-duplication.** There is none. What was sent and never answered is held back as a dead letter unless the sync says
`no_answer: resend`.

**Errors.** 400 makes the line a dead letter; 403, 404 and 410 (the webhook or its channel is gone) stop the sync until
somebody mends the cause. 429 is followed by `Retry-After`; 5xx are tried again.

**Limits.** A message a second. A line is cut at 3 000 characters.
)";

class Slack final : public EventDestination {
 public:
  std::string_view type() const override { return "slack"; }
  std::string_view platform() const override { return "slack"; }
  std::string_view title() const override { return "Slack message"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return {}; }
  Limits limits() const override { return {.batch_records_max = 20, .requests_per_minute = 60}; }
  std::span<const EventName> events() const override { return {}; }
  EventRules rules() const override { return {}; }
  bool counts_once() const override { return false; }
  bool takes_every_event() const override { return true; }
  bool keeps_order() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    if (const auto text = slack_template::check(config.setting(std::string(kText))); !text)
      problems.push_back(fmt::format("text: {}", text.error().message));
    // Of the same form as a URL among settings, but a secret: nothing of it is shown.
    Config shown;
    shown.settings[std::string(kUrl)] = config.secret(std::string(kUrl));
    check_url(shown, std::string(kUrl), Query::allowed, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    const std::string line = slack_template::render(at.config.setting(std::string(kText)), conversion);
    if (line.empty()) return std::unexpected(Refused{"text", "the message is empty"});
    return to_json(Value::of(std::string(analytics::cut(line, kLineCharactersMax))));
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    // Each is a JSON text: the lines between one pair of quotation marks.
    std::string body = R"({"text":")";
    for (const std::string& line : events) {
      if (&line != events.data()) body += "\\n";
      body.append(line, 1, line.size() - 2);
    }
    body += "\"}";
    return analytics::post_json(context.config.secret(std::string(kUrl)), std::move(body));
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    const int status = response.status;
    if (status >= 200 && status < 300) return accepted(events);
    if (status == 400) return split(events, "the message is not accepted (HTTP 400)", "400");
    if (status == 401 || status == 403 || status == 404 || status == 410)
      return stop(
          fmt::format("the webhook or its channel is gone, or may not be posted to (HTTP {})", status),
          fmt::format("{}", status));
    return judge_status(events, response);
  }
};

}  // namespace

const Destination& slack() {
  static const Slack kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
