#include "ingest/deduplication.h"

#include <algorithm>

#include "base/assert.h"

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
  if (shard.is_full()) make_room(shard);
  TR_ASSERT(position.value < kPositionsMax);
  const std::uint32_t tag = tag_of(hash);
  std::size_t place = shard.home(tag);
  for (; shard.entries[place].tag() != 0; place = shard.next(place)) {
    Entry& entry = shard.entries[place];
    if (entry.tag() != tag || entry.position() < hours_.front().first) continue;
    const Earlier earlier = compare(entry.position());
    if (earlier == Earlier::same) return true;
    if (earlier == Earlier::same_long_ago) {
      entry = {tag, position};
      return false;
    }
  }
  shard.entries[place] = {tag, position};
  ++shard.count;
  return false;
}

void Deduplication::forget(Time now) {
  while (!hours_.empty() && hours_.front().until + window_ <= now) hours_.pop_front();
}

// Drops what the window has left; grows by a quarter where that is not enough.
void Deduplication::make_room(Shard& shard) const {
  const auto is_kept = [&](const Entry& entry) {
    return entry.tag() != 0 && entry.position() >= hours_.front().first;
  };
  const auto kept =
      static_cast<std::uint32_t>(std::count_if(shard.entries.begin(), shard.entries.end(), is_kept));
  std::size_t capacity = std::max<std::size_t>(8, shard.entries.size());
  while ((kept + 1) * 3ULL > capacity * 2ULL) capacity += capacity / 4;
  Shard larger{.entries = std::vector<Entry>(capacity), .count = kept};
  for (const Entry& entry : shard.entries) {
    if (!is_kept(entry)) continue;
    std::size_t place = larger.home(entry.tag());
    while (larger.entries[place].tag() != 0) place = larger.next(place);
    larger.entries[place] = entry;
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
    use += {shard.entries.size() * sizeof(Entry), (shard.entries.size() - shard.count) * sizeof(Entry)};
  }
  return use += memory_of(hours_);
}

void Deduplication::prefetch(std::uint64_t hash) const {
  const Shard& shard = shards_[shard_of(hash)];
  if (!shard.entries.empty()) __builtin_prefetch(&shard.entries[shard.home(tag_of(hash))], 1);
}

void Deduplication::save(ByteWriter& out) const {
  out.begin_part("hours of message ids");
  out.put<std::uint64_t>(hours_.size());
  for (const Hour& hour : hours_) out.put(hour);
  const std::size_t range = shards_of_range(size() * sizeof(Entry), shards_.size());
  for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
    if (shard % range == 0) out.begin_part("message ids", shard);
    out.put_array(shards_[shard].entries);
  }
}

Result<void> Deduplication::restore(ByteReader& in) {
  for (auto left = TRY(in.get_count(sizeof(Hour))); left > 0; --left) hours_.push_back(TRY(in.get<Hour>()));
  for (Shard& shard : shards_) {
    shard.entries = TRY(in.get_array<Entry>());
    shard.count = static_cast<std::uint32_t>(std::count_if(
        shard.entries.begin(), shard.entries.end(), [](const Entry& entry) { return entry.tag() != 0; }));
    if (shard.count * 5ULL > shard.entries.size() * 4ULL)
      return fail(Error::Code::corrupt, "a part of the message ids is incomplete");
  }
  if (hours_.empty() && size() > 0) return fail(Error::Code::corrupt, "message ids of no time");
  return {};
}

}  // namespace tailrace::ingest
