// Requests and answers of Segment's HTTP API, POST /v1/batch, and of those who speak it too: RudderStack,
// Customer.io's pipelines. Pure.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "destinations/answer.h"
#include "destinations/event_destination.h"

namespace tailrace::destinations::segment_api {

inline constexpr std::string_view kBaseUrl = "base_url";
inline constexpr std::string_view kStrict = "strict";
inline constexpr std::string_view kMessageIdSuffix = "message_id_suffix";
inline constexpr std::string_view kWriteKey = "write_key";

inline constexpr Setting kMessageIdSuffixSetting{
    .name = kMessageIdSuffix,
    .about =
        "What is put behind every message id. For a second destination of the same workspace, which would "
        "otherwise take its events for those of the first."};

// Both are of the platform's limits: 500 KB in a request, 32 KB in a message.
inline constexpr std::uint32_t kBatchBytesMax = 480 * 1024;
inline constexpr std::size_t kMessageBytesMax = 32'000;

std::expected<std::string, Refused> encode_event(const EventDestination& destination,
                                                 const Conversion& conversion, const Config& config);
// sent_at: of the attempt, or for messages whose own times do not matter one that stays the same.
HttpRequest encode(std::span<const std::string> messages, const Config& config, Time sent_at);
Reply decode(Records records, const HttpResponse& response);

}  // namespace tailrace::destinations::segment_api
