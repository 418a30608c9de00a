// Remembers (source, message id) over a window of receive time, so that a client's retry counts once. An
// entry is a hash and the position of the record it came from; on a hit the record itself settles whether it
// is the same message.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"

namespace tailrace::ingest {

class Deduplication {
 public:
  explicit Deduplication(Millis window) : window_(window) {}
  void set_window(Millis window) { window_ = window; }

  // What the record at a position is to the one in question.
  enum class Earlier : unsigned char { other, same, same_long_ago };  // long ago: before the window
  using Compare = std::function<Earlier(Position)>;
  // The source as far as de-duplication goes: all imports are one (their source names the file behind a '#').
  static std::string_view scope(std::string_view source) { return source.substr(0, source.find('#')); }
  // True when the message was seen; otherwise it is remembered from now on.
  bool seen(std::string_view source, std::string_view message_id, Position position, Time received_at,
            const Compare& compare);
  Millis window() const { return window_; }
  std::size_t size() const { return positions_.size(); }

  void save(ByteWriter& out) const;
  Result<void> restore(ByteReader& in);

 private:
  struct Identity {
    std::size_t operator()(std::uint64_t hash) const noexcept { return hash; }
    using is_avalanching = void;
  };
  struct Day {
    Time until;     // received before this
    Position last;  // the newest of these; a key that stands for a newer one belongs to a later day too
    std::vector<std::uint64_t> keys;
  };
  void forget(Time now);

  Millis window_;
  boost::unordered_flat_map<std::uint64_t, Position, Identity> positions_;
  std::deque<Day> days_;
};

}  // namespace tailrace::ingest
