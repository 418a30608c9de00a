#include "sandbox/event_store.h"

#include "sandbox/wire.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kEventsKept = 10'000;
constexpr std::size_t kKeysKept = 100'000;

}  // namespace

void EventStore::add(const std::string& key, Value event, Time now, Millis window) {
  if (!key.empty()) {
    const auto [place, fresh] = first_.try_emplace(key, now);
    if (!fresh && now < place->second + window) {
      ++duplicates_;
      return;
    }
    place->second = now;
    if (first_.size() > kKeysKept)
      std::erase_if(first_, [&](const auto& entry) { return entry.second + window <= now; });
  }
  ++count_;
  latest_.push_front(std::move(event));
  if (latest_.size() > kEventsKept) latest_.pop_back();
}

HttpResponse EventStore::list() const {
  Value events = Value::with(Value::Kind::list);
  events.list.assign(latest_.begin(), latest_.end());
  return json_response(
      200,
      object({{"count", whole(count_)}, {"duplicates", whole(duplicates_)}, {"events", std::move(events)}}));
}

}  // namespace tailrace::sandbox
