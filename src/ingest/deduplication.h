// Remembers (source, message id) over a window of receive time, so that a client's retry counts once. An
// entry is 32 bits of the message's hash and the position of the record it came from; where the bits agree
// the record itself settles whether it is the same message. 12 bytes an entry, at most 3/4 of the places
// taken. Entries that the window has left stand until their part of the table is full.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/memory_use.h"
#include "base/time.h"

namespace tailrace::ingest {

class Deduplication {
 public:
  explicit Deduplication(Millis window);
  void set_window(Millis window) { window_ = window; }

  // What the record at a position is to the one in question.
  enum class Earlier : unsigned char { other, same, same_long_ago };  // long ago: before the window
  using Compare = std::function<Earlier(Position)>;
  // True when the message was seen; otherwise it is remembered from now on. hash: message_hash() of
  // model/record.h.
  bool seen(std::uint64_t hash, Position position, Time received_at, const Compare& compare);
  Millis window() const { return window_; }
  std::size_t size() const;  // entries, of which some may have left the window

  // What the window has left counts as used, until its place is needed.
  MemoryUse memory() const;

  // A hint that a message with this hash is near.
  void prefetch(std::uint64_t hash) const;

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);

 private:
  // The table is split by the hash's high bits, so that what grows at a time is small.
  static constexpr int kShardBits = 8;
  static std::size_t shard_of(std::uint64_t hash) { return hash >> (64 - kShardBits); }
  static std::uint32_t tag_of(std::uint64_t hash) {
    const auto tag = static_cast<std::uint32_t>(hash);
    return tag == 0 ? 1 : tag;  // 0: nothing stands here
  }
  struct Shard {
    std::vector<std::uint32_t> tags;  // a power of two of them; a tag's home is its low bits
    std::vector<Position> positions;
    std::uint32_t count = 0;
  };
  // What was received in an hour.
  struct Hour {
    Time until;      // before this
    Position first;  // no record before this one
  };
  void forget(Time now);
  void make_room(Shard& shard) const;

  Millis window_;
  std::vector<Shard> shards_;
  std::deque<Hour> hours_;  // that the window has not left
};

}  // namespace tailrace::ingest
