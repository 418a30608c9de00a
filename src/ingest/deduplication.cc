#include "ingest/deduplication.h"

#include <algorithm>

namespace tailrace::ingest {

Deduplication::Deduplication(Millis window) : window_(window), shards_(std::size_t{1} << kShardBits) {}

bool Deduplication::seen(std::uint64_t hash, Position position, Time received_at, const Compare& compare) {
  forget(received_at);
  if (hours_.empty() || received_at >= hours_.back().until) {
    hours_.push_back({.until = {(received_at.ms / kHour.count + 1) * kHour.count}, .first = position});
  }
  // An old record that is admitted only now is within the window as long as its time is.
  hours_.front().first = std::min(hours_.front().first, position);
  Shard& shard = shards_[shard_of(hash)];
  if ((shard.count + 1) * 4ULL > shard.tags.size() * 3ULL) make_room(shard);
  const std::uint32_t tag = tag_of(hash);
  const std::size_t mask = shard.tags.size() - 1;
  std::size_t place = tag & mask;
  for (; shard.tags[place] != 0; place = (place + 1) & mask) {
    if (shard.tags[place] != tag || shard.positions[place] < hours_.front().first) continue;
    const Earlier earlier = compare(shard.positions[place]);
    if (earlier == Earlier::same) return true;
    if (earlier == Earlier::same_long_ago) {
      shard.positions[place] = position;
      return false;
    }
  }
  shard.tags[place] = tag;
  shard.positions[place] = position;
  ++shard.count;
  return false;
}

void Deduplication::forget(Time now) {
  while (!hours_.empty() && hours_.front().until + window_ <= now) hours_.pop_front();
}

// Drops what the window has left; grows where that is not enough.
void Deduplication::make_room(Shard& shard) const {
  const auto is_kept = [&](std::size_t place) {
    return shard.tags[place] != 0 && shard.positions[place] >= hours_.front().first;
  };
  std::uint32_t kept = 0;
  for (std::size_t place = 0; place < shard.tags.size(); ++place) kept += is_kept(place);
  std::size_t capacity = std::max<std::size_t>(8, shard.tags.size());
  if ((kept + 1) * 2ULL > capacity) capacity *= 2;
  Shard larger{.tags = std::vector<std::uint32_t>(capacity),
               .positions = std::vector<Position>(capacity),
               .count = kept};
  for (std::size_t from = 0; from < shard.tags.size(); ++from) {
    if (!is_kept(from)) continue;
    std::size_t place = shard.tags[from] & (capacity - 1);
    while (larger.tags[place] != 0) place = (place + 1) & (capacity - 1);
    larger.tags[place] = shard.tags[from];
    larger.positions[place] = shard.positions[from];
  }
  shard = std::move(larger);
}

std::size_t Deduplication::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) size += shard.count;
  return size;
}

MemoryUse Deduplication::memory() const {
  MemoryUse use = memory_of(shards_);
  for (const Shard& shard : shards_) {
    constexpr std::size_t kPlace = sizeof(std::uint32_t) + sizeof(Position);
    use += {shard.tags.size() * kPlace, (shard.tags.size() - shard.count) * kPlace};
  }
  return use += memory_of(hours_);
}

void Deduplication::prefetch(std::uint64_t hash) const {
  const Shard& shard = shards_[shard_of(hash)];
  if (shard.tags.empty()) return;
  const std::size_t home = tag_of(hash) & (shard.tags.size() - 1);
  __builtin_prefetch(&shard.tags[home]);
  __builtin_prefetch(&shard.positions[home], 1);
}

void Deduplication::save(ByteWriter& out) const {
  out.put<std::uint64_t>(hours_.size());
  for (const Hour& hour : hours_) out.put(hour);
  for (const Shard& shard : shards_) {
    out.put_array(shard.tags);
    out.put_array(shard.positions);
  }
}

Result<void> Deduplication::restore(ByteReader& in) {
  for (auto left = TRY(in.get_count(sizeof(Hour))); left > 0; --left) hours_.push_back(TRY(in.get<Hour>()));
  for (Shard& shard : shards_) {
    shard.tags = TRY(in.get_array<std::uint32_t>());
    shard.positions = TRY(in.get_array<Position>());
    const std::size_t size = shard.tags.size();
    shard.count = static_cast<std::uint32_t>(
        size - static_cast<std::size_t>(std::count(shard.tags.begin(), shard.tags.end(), 0U)));
    if (size != shard.positions.size() || (size & (size - 1)) != 0 || shard.count * 4ULL > size * 3ULL)
      return fail(Error::Code::corrupt, "a part of the message ids is incomplete");
  }
  if (hours_.empty() && size() > 0) return fail(Error::Code::corrupt, "message ids of no time");
  return {};
}

}  // namespace tailrace::ingest
