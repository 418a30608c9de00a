// The Segment-style HTTP API as bytes in, raw records out: bodies of /v1/identify ... /v1/batch, and the
// lines of JSONL imports, which are the same calls one per line. Facts: docs/sources.md (written from the
// public Segment spec).
//
// Reads are strict about JSON and lenient about shape: a message that cannot become a record becomes one of
// kind `rejected` with a reason, so that it is kept and shown; the others of its batch go on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/record.h"

namespace tailrace::sources {

struct SegmentLimits {
  std::uint32_t message_bytes_max = 512u << 10;
  std::uint32_t batch_messages_max = 2'500;
};

// Encoded records, one after another, ready for the log. received_at is left zero: the log stamps it.
struct RawRecords {
  std::string bytes;
  std::vector<std::uint32_t> ends;  // end offset of each record in `bytes`
  std::uint32_t rejected = 0;
  std::vector<std::string> reasons;  // of the rejected ones, in order
  std::string_view at(std::size_t index) const {
    const std::uint32_t begin = index == 0 ? 0 : ends[index - 1];
    return std::string_view(bytes).substr(begin, ends[index] - begin);
  }
};

enum class SegmentCall : std::uint8_t { identify, track, page, screen, group, alias, remove, batch };
// The call of a path such as "/v1/track" or "/v1/t"; missing: not ours.
std::optional<SegmentCall> segment_call(std::string_view path);

struct SegmentRequest {
  SegmentCall call = SegmentCall::batch;
  std::string_view source;    // the write key's name
  Time now;                   // server clock, for skew correction
  std::uint64_t entropy = 0;  // for messages that come without a messageId; unique per request
};

// body: JSON, decompressed, with at least 64 readable bytes after it. Errors: invalid_argument (not JSON, or
// no object at the top, or more messages than allowed).
Result<RawRecords> read_segment(std::string_view body, const SegmentRequest& request,
                                const SegmentLimits& limits);

// The write key in a request: Basic user name, else body "writeKey". Missing: none given.
std::optional<std::string> write_key(std::optional<std::string_view> authorization, std::string_view body);

// Undoes gzip. Errors: invalid_argument when it is not gzip, or larger than bytes_max when undone.
Result<std::string> gunzip(std::string_view compressed, std::size_t bytes_max);

}  // namespace tailrace::sources
