#include "ingest/deduplication.h"

#include <algorithm>

#include "base/hash.h"

namespace tailrace::ingest {

bool Deduplication::seen(std::string_view source, std::string_view message_id, Position position,
                         Time received_at, const Compare& compare) {
  forget(received_at);
  std::uint64_t key = hash64(message_id, hash64(scope(source)));
  for (;; ++key) {
    const auto [entry, added] = positions_.try_emplace(key, position);
    if (added) break;
    const Earlier earlier = compare(entry->second);
    if (earlier == Earlier::same) return true;
    if (earlier == Earlier::same_long_ago) {
      entry->second = position;
      break;
    }
    // Another message with this hash: look at the next number.
  }
  if (days_.empty() || received_at >= days_.back().until) {
    days_.push_back(
        {.until = {(received_at.ms / kDay.count + 1) * kDay.count}, .last = position, .keys = {}});
  }
  days_.back().last = std::max(days_.back().last, position);
  days_.back().keys.push_back(key);
  return false;
}

void Deduplication::forget(Time now) {
  while (!days_.empty() && days_.front().until + window_ <= now) {
    for (const std::uint64_t key : days_.front().keys) {
      const auto entry = positions_.find(key);
      if (entry != positions_.end() && entry->second <= days_.front().last) positions_.erase(entry);
    }
    days_.pop_front();
  }
}

void Deduplication::save(ByteWriter& out) const {
  out.put<std::uint64_t>(days_.size());
  for (const Day& day : days_) {
    out.put(day.until);
    out.put(day.last);
    std::vector<std::uint64_t> keys;
    std::vector<Position> positions;
    for (const std::uint64_t key : day.keys) {
      const auto entry = positions_.find(key);
      if (entry == positions_.end()) continue;  // forgotten with an earlier day
      keys.push_back(key);
      positions.push_back(entry->second);
    }
    out.put_array(keys);
    out.put_array(positions);
  }
}

Result<void> Deduplication::restore(ByteReader& in) {
  for (auto left = TRY(in.get_count(32)); left > 0; --left) {
    Day day;
    day.until = TRY(in.get<Time>());
    day.last = TRY(in.get<Position>());
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
