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
#include "sources/raw_records.h"

namespace tailrace::sources {

struct SegmentLimits {
  std::uint32_t message_bytes_max = 512u << 10;
  std::uint32_t batch_messages_max = 2'500;
};

// `any`: one message that names its own type, such as a line of a JSONL import.
enum class SegmentCall : std::uint8_t { identify, track, page, screen, group, alias, remove, batch, any };
// The call of a path such as "/v1/track", "/v1/t", "/v1/import" or "/v1/delete"; a query is ignored. Missing:
// not ours. Never `any`.
std::optional<SegmentCall> segment_call(std::string_view path);

// When a message happened: its `timestamp`, else its `originalTimestamp`, else now. If the clock of the
// sender is to be corrected and it said by `sentAt` (of the batch, else of the message) what time it had when
// it sent, then
//
//   time = now - (sentAt - timestamp)
//
// which is Segment's rule, applied to an explicit `timestamp` too. Without `sentAt` the timestamp is used as
// it is.
struct SegmentRequest {
  SegmentCall call = SegmentCall::batch;
  std::string_view source;    // the write key's name
  Time now;                   // server clock, for skew correction
  std::uint64_t entropy = 0;  // for messages that come without a messageId; unique per request
  // False for files: their `sentAt` is long ago and is not read.
  bool correct_clock_skew = true;
  // Not empty: a message without messageId is named by this and its index in the body, the same in every run,
  // so that an import that is begun anew makes no second copy. Empty: named from entropy and index.
  std::string_view default_message_id_prefix = {};
};

constexpr std::size_t kBatchContextBytesMax = 16 * 1024;  // it is copied into each message

// What becomes a record and what is rejected:
// - A call's type is that of its path, else its `type`; `delete` is RecordKind::remove.
// - userId or anonymousId is required (numbers become text). An identify may do without when its traits hold
//   an email or a phone; an alias needs userId and previousId; a group needs groupId too; a track needs
//   event.
// - identify without traits takes those of context.traits. The page's or screen's name is the record's
//   `event`.
// - properties, traits and context become minified text, otherwise as they came: numbers keep their digits,
//   duplicate members stay. Empty when absent or null. The context of a batch is merged into that of each
//   message, member by member at the top level; the message's own member wins.
// - A string with half a surrogate pair, a number beyond a double and nesting deeper than kJsonDepthMax
//   reject the message: what we store must be readable by whoever reads it.
// - A rejected record carries source, message id, the ids as far as they can be read (so that a deletion
//   finds it), time = now, and the begin of the message as it came.
// - integrations and unknown members are checked as JSON and left out.
//
// body: JSON, decompressed. Errors: invalid_argument (not JSON in UTF-8, no object at the top, no list
// `batch`, or more messages than allowed); then nothing of the body was taken.
Result<RawRecords> read_segment(std::string_view body, const SegmentRequest& request,
                                const SegmentLimits& limits);

// The write key in a request: Basic user name (with or without the colon), else the string "writeKey" at the
// top of the body. Missing: none given.
std::optional<std::string> write_key(std::optional<std::string_view> authorization, std::string_view body);

// Undoes gzip, of one member or several. Errors: invalid_argument when it is not gzip, or larger than
// bytes_max when undone.
Result<std::string> gunzip(std::string_view compressed, std::size_t bytes_max);

}  // namespace tailrace::sources
