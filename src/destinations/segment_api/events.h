// Events to whoever speaks Segment's HTTP API: what is the same for all of them. A destination adds its
// names, settings and documentation.
#pragma once

#include "destinations/segment_api/batch.h"

namespace tailrace::destinations::segment_api {

class SegmentApiEvents : public EventDestination {
 public:
  std::span<const FieldRule> fields() const final;
  Limits limits() const final;
  std::span<const EventName> events() const final { return {}; }
  EventRules rules() const final;
  bool takes_every_event() const final { return true; }
  bool keeps_order() const final { return true; }
  std::vector<std::string> check(const Config& config) const final;

  std::expected<std::string, Refused> encode_event(const Conversion& conversion, At at) const final;
  HttpRequest encode(std::span<const std::string> events, const Context& context) const final;
  Reply decode(std::size_t events, const HttpResponse& response) const final;
};

}  // namespace tailrace::destinations::segment_api
