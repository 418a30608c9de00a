// Window ends that wait: segments::TimerQueue with up to ten million of them, beside a binary heap. Google
// Benchmark; every option of it works (--benchmark_filter=...).
#include <cstdint>
#include <functional>
#include <queue>
#include <tuple>
#include <vector>

#include <benchmark/benchmark.h>

#include "segments/timers.h"
#include "workload.h"

namespace tailrace::bench {
namespace {

using segments::TimerQueue;

constexpr Time kNow{1'767'225'600'000};
constexpr Millis kAhead = kDay * 45;

std::vector<TimerQueue::Entry> ends_in_random_order(std::int64_t count) {
  std::vector<TimerQueue::Entry> entries;
  entries.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) {
    const std::uint64_t bits = random_at(i);
    entries.push_back(
        {kNow + Millis{static_cast<std::int64_t>(bits % static_cast<std::uint64_t>(kAhead.count))},
         PersonId(static_cast<std::uint32_t>(bits >> 40) % 1'000'000)});
  }
  return entries;
}

class Heap {
 public:
  void push(Time at, PersonId person) { heap_.push({at, person}); }
  Time next() const { return heap_.empty() ? kNever : heap_.top().at; }
  TimerQueue::Entry pop() {
    const TimerQueue::Entry entry = heap_.top();
    heap_.pop();
    return entry;
  }

 private:
  struct Later {
    bool operator()(const TimerQueue::Entry& a, const TimerQueue::Entry& b) const {
      return std::tie(a.at, a.person) > std::tie(b.at, b.person);
    }
  };
  std::priority_queue<TimerQueue::Entry, std::vector<TimerQueue::Entry>, Later> heap_;
};

// Everything is scheduled, then everything fires, in order.
template <class Queue>
void schedule_and_fire(benchmark::State& state) {
  const auto entries = ends_in_random_order(state.range(0));
  for (auto _ : state) {
    Queue queue;
    for (const auto& entry : entries) queue.push(entry.at, entry.person);
    Time last = kForeverAgo;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const Time at = queue.pop().at;
      if (at < last) state.SkipWithError("out of order");
      last = at;
    }
    benchmark::DoNotOptimize(queue.next());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_TEMPLATE(schedule_and_fire, TimerQueue)
    ->Arg(1'000'000)
    ->Arg(10'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(schedule_and_fire, Heap)->Arg(1'000'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond);

// As in service: so many wait, one fires and another is scheduled.
template <class Queue>
void steady(benchmark::State& state) {
  Queue queue;
  for (const auto& entry : ends_in_random_order(state.range(0))) queue.push(entry.at, entry.person);
  std::uint64_t n = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    const TimerQueue::Entry entry = queue.pop();
    const auto ahead = static_cast<std::int64_t>(random_at(n++) % static_cast<std::uint64_t>(kAhead.count));
    queue.push(entry.at + Millis{ahead}, entry.person);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_TEMPLATE(steady, TimerQueue)->Arg(1'000'000)->Arg(10'000'000);
BENCHMARK_TEMPLATE(steady, Heap)->Arg(1'000'000)->Arg(10'000'000);

}  // namespace
}  // namespace tailrace::bench

BENCHMARK_MAIN();
