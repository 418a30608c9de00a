#include "ingest/deduplication.h"

#include "base/hash.h"

namespace tailrace::ingest {

bool Deduplication::seen(std::string_view source, std::string_view message_id, Position position,
                         Time received_at, const Same& same) {
  forget(received_at);
  std::uint64_t key = hash64(message_id, hash64(scope(source)));
  for (;; ++key) {
    const auto [entry, added] = positions_.try_emplace(key, position);
    if (added) break;
    // Another message with this hash (or this one, long ago): look at the next number.
    if (same(entry->second)) return true;
  }
  if (days_.empty() || received_at >= days_.back().until) {
    days_.push_back({.until = {(received_at.ms / kDay.count + 1) * kDay.count}, .keys = {}});
  }
  days_.back().keys.push_back(key);
  return false;
}

void Deduplication::forget(Time now) {
  while (!days_.empty() && days_.front().until + window_ <= now) {
    for (const std::uint64_t key : days_.front().keys) positions_.erase(key);
    days_.pop_front();
  }
}

void Deduplication::save(ByteWriter& out) const {
  out.put<std::uint64_t>(days_.size());
  for (const Day& day : days_) {
    out.put(day.until);
    out.put_array(day.keys);
    std::vector<Position> positions;
    positions.reserve(day.keys.size());
    for (const std::uint64_t key : day.keys) positions.push_back(positions_.at(key));
    out.put_array(positions);
  }
}

Result<void> Deduplication::restore(ByteReader& in) {
  for (auto left = TRY(in.get_count(24)); left > 0; --left) {
    Day day;
    day.until = TRY(in.get<Time>());
    day.keys = TRY(in.get_array<std::uint64_t>());
    const auto positions = TRY(in.get_array<Position>());
    if (positions.size() != day.keys.size())
      return fail(Error::Code::corrupt, "a day of message ids is incomplete");
    for (std::size_t i = 0; i < positions.size(); ++i) positions_[day.keys[i]] = positions[i];
    days_.push_back(std::move(day));
  }
  return {};
}

}  // namespace tailrace::ingest
