#include <algorithm>
#include <array>

#include "base/hash.h"
#include "destinations/analytics/event_json.h"
#include "destinations/analytics/flag_audience.h"
#include "destinations/checks.h"
#include "destinations/segment_api/batch.h"
#include "model/json.h"

namespace tailrace::destinations {
namespace {

constexpr std::array<Setting, 5> kSettings{{
    {.name = segment_api::kBaseUrl,
     .default_value = "https://api.segment.io",
     .about = "Of workspaces in the EU `https://events.eu1.segmentapis.com`. Of RudderStack the data plane's "
              "URL, of "
              "Customer.io's pipelines `https://cdp.customer.io`. For the sandbox: "
              "`http://127.0.0.1:9090/segment`."},
    {.name = segment_api::kStrict,
     .default_value = "false",
     .about = "`true` sends `X-Strict-Mode: 1`, by which some receivers say what they do not take."},
    kBatchRecordsMax,
    kRequestsPerMinute,
    {.name = segment_api::kWriteKey,
     .required = true,
     .secret = true,
     .about = "The write key of the source."},
}};

constexpr std::array kIdentifiers{IdentifierKind::external_id};
constexpr std::array kFields{FieldRule{Field::external_id, "userId", &opaque}};

constexpr std::string_view kAbout =
    R"(Tells Segment, or who speaks its HTTP API (RudderStack, Customer.io's pipelines), who is in a segment, as a trait:
`identify` messages with `{"VIP": true}`, as Segment's own audiences do it.

The trait's name is the sync's audience id, or else its audience name. It is `true` for who is in and `false` for who has
left; who never was in does not have it.

With `attributes` in the sync those are properties beside it, and are told again whenever one changes; what somebody has no
more is `null`.

**Who.** `userId` is the external id.

**De-duplication.** By a `messageId` that a request has again when it is sent again; after a crash a change may come in another request, with
another `messageId`.

**Errors.** As of `segment_events`.

**Limits.** 1 000 people, and 480 KiB, in a request.
)";

class SegmentAudiences final : public analytics::FlagAudience {
 public:
  std::string_view type() const override { return "segment_audiences"; }
  std::string_view platform() const override { return "segment"; }
  std::string_view title() const override { return "Segment traits"; }
  std::string_view about() const override { return kAbout; }
  std::span<const Setting> settings() const override { return kSettings; }
  std::span<const IdentifierKind> identifiers() const override { return kIdentifiers; }
  std::span<const FieldRule> fields() const override { return kFields; }
  Limits limits() const override {
    return {.batch_records_max = 1'000,
            .batch_bytes_max = segment_api::kBatchBytesMax,
            .requests_per_minute = 60'000};
  }

  std::vector<std::string> check(const Config& config) const override {
    Problems problems;
    check_url(config, std::string(segment_api::kBaseUrl), Query::refused, problems);
    check_boolean(config, std::string(segment_api::kStrict), problems);
    check_limits(config, limits(), problems);
    return problems;
  }

  HttpRequest encode(const Batch& batch, const Context& context) const override {
    const auto messages = analytics::encode_people(batch, [&](const analytics::FlaggedPerson& person) {
      Value traits = analytics::empty_object();
      analytics::add_properties(traits, batch, context.config, person);
      Value message = analytics::empty_object();
      analytics::add_text(message, "type", "identify");
      analytics::add_text(message, "messageId", sha256_hex(analytics::change_id(batch, person)));
      analytics::add_text(message, "userId", person.identifier->value);
      analytics::add_text(message, "timestamp", format_time(person.member->changed_at));
      message.members.emplace_back("traits", std::move(traits));
      return to_json(message);
    });
    // A resend is the same bytes, so the request is as old as its latest change.
    Time sent_at = kTimeMin;
    for (const Member& member : batch.members) sent_at = std::max(sent_at, member.changed_at);
    return segment_api::encode(messages, context.config, sent_at);
  }
  Reply decode(const Batch& batch, const HttpResponse& response) const override {
    return segment_api::decode(batch, response);
  }
};

}  // namespace

const Destination& segment_audiences() {
  static const SegmentAudiences kDestination;
  return kDestination;
}

}  // namespace tailrace::destinations
