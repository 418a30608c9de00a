#include "destinations/segment_api/events.h"

#include <array>

#include "destinations/checks.h"

namespace tailrace::destinations::segment_api {
namespace {

constexpr std::array kFields{
    FieldRule{Field::external_id, "userId", &opaque},
    FieldRule{Field::anonymous_id, "anonymousId", &opaque},
};

constexpr std::array kUser{Field::external_id};
constexpr std::array kDevice{Field::anonymous_id};
constexpr std::array<std::span<const Field>, 2> kIdentifiedBy{kUser, kDevice};

}  // namespace

std::span<const FieldRule> SegmentApiEvents::fields() const { return kFields; }
Limits SegmentApiEvents::limits() const {
  return {.batch_records_max = 2'500, .batch_bytes_max = kBatchBytesMax, .requests_per_minute = 60'000};
}
EventRules SegmentApiEvents::rules() const { return {.identified_by = kIdentifiedBy}; }

std::vector<std::string> SegmentApiEvents::check(const Config& config) const {
  Problems problems;
  check_url(config, std::string(kBaseUrl), Query::refused, problems);
  check_boolean(config, std::string(kStrict), problems);
  check_limits(config, limits(), problems);
  return problems;
}

std::expected<std::string, Refused> SegmentApiEvents::encode_event(const Conversion& conversion,
                                                                   At at) const {
  return segment_api::encode_event(*this, conversion, at.config);
}
HttpRequest SegmentApiEvents::encode(std::span<const std::string> events, const Context& context) const {
  return segment_api::encode(events, context.config, context.now);
}
Reply SegmentApiEvents::decode(std::size_t events, const HttpResponse& response) const {
  return segment_api::decode(events, response);
}

}  // namespace tailrace::destinations::segment_api
