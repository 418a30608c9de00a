#include <array>

#include "destinations/checks.h"
#include "destinations/segment_api/batch.h"

namespace tailrace::destinations {
namespace {

constexpr std::array<std::string_view, 2> kYesNo{"true", "false"};

constexpr std::array<Setting, 6> kSettings{{
    {.name = segment_api::kBaseUrl,
     .default_value = "https://cdp.customer.io",
     .about = "Of accounts in the EU `https://cdp-eu.customer.io`. For the sandbox: "
              "`http://127.0.0.1:9090/customerio/cdp`."},
    {.name = segment_api::kStrict,
     .default_value = "true",
     .about = "`true` sends `X-Strict-Mode: 1`: Customer.io then says what it does not take, instead of "
              "answering 200."},
    segment_api::kMessageIdSuffixSetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = segment_api::kWriteKey, .required = true, .secret = true, .about = "The API key of the source."},
}};

constexpr std::array kFields{
    FieldRule{Field::external_id, "userId", &opaque},
    FieldRule{Field::anonymous_id, "anonymousId", &opaque},
};

constexpr std::array kUser{Field::external_id};
constexpr std::array kDevice{Field::anonymous_id};
constexpr std::array<std::span<const Field>, 2> kIdentifiedBy{kUser, kDevice};

constexpr std::string_view kAbout =
    R"(Sends events to Customer.io's Pipelines API, which Customer.io recommends for new integrations: `POST /v1/batch`,
`track` messages. Events go by their own names, with properties and context. For workspaces that know people by e-mail,
see `customerio_events`, which speaks the Track API.

**De-duplication.** By `messageId`. A message id of more than 100 characters is sent as its SHA-256.

**Order.** Events of a person go one after another.

**Errors.** With `strict` Customer.io says what it does not take. A request is refused whole (400): the batch is halved
until the message stands alone, and is then a dead letter. 401 stops the sync; 429 and 5xx are tried again.

**Limits.** 480 KiB and 2 500 messages in a request, 32 KB in a message; 3 000 requests in 3 seconds are allowed.
)";

class CustomerioPipelines final : public EventDestination {
 public:
  std::string_view type() const override { return "customerio_pipelines"; }
  std::string_view platform() const override { return "customerio"; }
  std::string_view title() const override { return "Customer.io Pipelines"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override {
    return {.batch_records_max = 2'500,
            .batch_bytes_max = segment_api::kBatchBytesMax,
            .requests_per_minute = 60'000};
  }
  std::span<const EventName> events() const override { return {}; }
  EventRules rules() const override { return {.identified_by = kIdentifiedBy}; }
  bool takes_every_event() const override { return true; }
  bool keeps_order() const override { return true; }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(segment_api::kBaseUrl), Query::refused, problems);
    check_choice(config, std::string(segment_api::kStrict), kYesNo, problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const override {
    return segment_api::encode_event(*this, conversion, at.config);
  }
  HttpRequest encode(std::span<const std::string> events, const Context& context) const override {
    return segment_api::encode(events, context.config, context.now);
  }
  Reply decode(std::size_t events, const HttpResponse& response) const override {
    return segment_api::decode(events, response);
  }
};

}  // namespace

const Destination& customerio_pipelines() {
  static const CustomerioPipelines kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
