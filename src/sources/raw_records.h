// What a source gives: encoded records, one after another, ready for the log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/record.h"

namespace tailrace::sources {

constexpr std::size_t kMessageIdBytesMax = 256;
constexpr std::size_t kIdentifierBytesMax = 512;      // of a person or a group
constexpr std::size_t kMessageBytesMax = 512u << 10;  // of one message, where its source knows no other limit
constexpr std::size_t kRejectedPayloadBytesMax = 4096;  // of a rejected record; cut between characters

// received_at is left zero: the log stamps it.
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

// Collects the records of one request.
class RecordList {
 public:
  // entropy: for messages that come without a message id; unique per request.
  RecordList(std::string_view source, Time now, std::uint64_t entropy)
      : source_(source), now_(now), entropy_(entropy) {}

  // The source is filled in, and a message id where there is none. Errors: invalid_argument (too long); then
  // nothing was added.
  Result<void> add(RecordView record);
  // A message that cannot become what it wants to be, kept and shown with its reason: the ids of `read`, so
  // that a deletion finds it, and the message's begin.
  void reject(const RecordView& read, std::string_view message, std::string reason);

  std::size_t size() const { return out_.ends.size(); }
  RawRecords take() { return std::move(out_); }

 private:
  std::string message_id() const;

  std::string source_;
  Time now_;
  std::uint64_t entropy_;
  RawRecords out_;
};

// At most bytes_max of valid UTF-8, cut between characters.
std::string_view cut(std::string_view text, std::size_t bytes_max);

}  // namespace tailrace::sources
