// Remembers (source, message id) over a window of receive time, so that a client's retry counts once. An
// entry is 32 bits of the message's hash and the position of the record it came from; where the bits agree
// the record itself settles whether it is the same message. 10 bytes an entry, at most 4/5 of the places
// taken, and 2/3 by what the window holds when a part of the table is made anew. Entries that the window has
// left stand until their part is full.
#pragma once

#include <array>
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
  // The tag, then 48 bits of the position, without a gap.
  class Entry {
   public:
    Entry() = default;
    Entry(std::uint32_t tag, Position position)
        : parts_{part(tag), part(tag >> 16), part(position.value), part(position.value >> 16),
                 part(position.value >> 32)} {}
    std::uint32_t tag() const { return parts_[0] | std::uint32_t{parts_[1]} << 16; }
    Position position() const {
      return Position(parts_[2] | std::uint64_t{parts_[3]} << 16 | std::uint64_t{parts_[4]} << 32);
    }

   private:
    static constexpr std::uint16_t part(std::uint64_t bits) { return static_cast<std::uint16_t>(bits); }
    std::array<std::uint16_t, 5> parts_{};
  };
  static_assert(sizeof(Entry) == 10);
  static constexpr std::uint64_t kPositionsMax = std::uint64_t{1} << 48;  // of bytes in the log
  struct Shard {
    std::vector<Entry> entries;
    std::uint32_t count = 0;
    // Homes are in the order of tags, so that a part made anew is written from its beginning to its end.
    std::size_t home(std::uint32_t tag) const { return std::uint64_t{tag} * entries.size() >> 32; }
    std::size_t next(std::size_t place) const { return place + 1 == entries.size() ? 0 : place + 1; }
    // Is there a free place at the end of every search, once one more is in?
    bool is_full() const { return (count + 1) * 5ULL > entries.size() * 4ULL; }
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
