// Requests and answers of Meta's Conversions API (Graph API). Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/event_destination.h"
#include "destinations/probe.h"

namespace tailrace::destinations::meta_conversions_codec {

inline constexpr std::string_view kDatasetId = "dataset_id";
inline constexpr std::string_view kTestEventCode = "test_event_code";
inline constexpr std::string_view kLimitedDataUse = "limited_data_use";

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
HttpRequest encode(std::span<const std::string> events, const Context& context);
Reply decode(std::size_t events, const HttpResponse& response);

// Whether the dataset is there for this token.
HttpRequest encode_probe(const Context& context);
Result<Standing> decode_probe(const HttpResponse& response);

}  // namespace tailrace::destinations::meta_conversions_codec
