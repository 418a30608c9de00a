#include <array>

#include "destinations/checks.h"
#include "destinations/segment_api/events.h"

namespace tailrace::destinations {
namespace {

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

class CustomerioPipelines final : public segment_api::SegmentApiEvents {
 public:
  std::string_view type() const override { return "customerio_pipelines"; }
  std::string_view platform() const override { return "customerio"; }
  std::string_view title() const override { return "Customer.io Pipelines"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
};

}  // namespace

const Destination& customerio_pipelines() {
  static const CustomerioPipelines kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
