#include <array>

#include "destinations/checks.h"
#include "destinations/segment_api/events.h"

namespace tailrace::destinations {
namespace {

constexpr std::array<Setting, 6> kSettings{{
    {.name = segment_api::kBaseUrl,
     .default_value = "https://api.segment.io",
     .about = "Of workspaces in the EU `https://events.eu1.segmentapis.com`: what is posted to the other "
              "address is "
              "taken and lost. Of RudderStack the data plane's URL. For the sandbox: "
              "`http://127.0.0.1:9090/segment`."},
    {.name = segment_api::kStrict,
     .default_value = "false",
     .about = "`true` sends `X-Strict-Mode: 1`, by which some receivers say what they do not take."},
    segment_api::kMessageIdSuffixSetting,
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = segment_api::kWriteKey,
     .required = true,
     .secret = true,
     .about = "The write key of the source."},
}};

constexpr std::string_view kAbout =
    R"(Sends events on to Segment, or to who speaks its HTTP API (RudderStack): `POST /v1/batch`, `track` messages. Events go
by their own names, with properties and context.

**De-duplication.** By `messageId`, which Segment remembers for a day at least, across all sources of a workspace. A
message id of more than 100 characters is sent as its SHA-256.

**Order.** Events of a person go one after another.

**Times.** `timestamp` is the event's, `sentAt` the attempt's, from which Segment reckons how wrong a clock is.

**Errors.** Segment answers 200 to almost anything: a wrong write key, a message without ids. What it refuses (400), it
does not name: the batch is halved until the message stands alone, and is then a dead letter. 408, 410, 429, 460 and 5xx
are tried again.

**Limits.** 480 KiB and 2 500 messages in a request, 32 KB in a message; larger ones are not sent, and counted.
)";

class SegmentEvents final : public segment_api::SegmentApiEvents {
 public:
  std::string_view type() const override { return "segment_events"; }
  std::string_view platform() const override { return "segment"; }
  std::string_view title() const override { return "Segment events"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
};

}  // namespace

const Destination& segment_events() {
  static const SegmentEvents kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
