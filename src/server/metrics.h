// Counters of the process, for /metrics in Prometheus' text format.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/memory_use.h"
#include "engine/engine.h"
#include "io/http_server.h"

namespace tailrace::server {

// Threads add to cells of their own, so that counting costs a nanosecond.
class Counter {
 public:
  void add(std::uint64_t amount = 1) { cells_[cell()].value.fetch_add(amount, std::memory_order_relaxed); }
  std::uint64_t value() const {
    std::uint64_t sum = 0;
    for (const auto& cell : cells_) sum += cell.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  static constexpr std::size_t kCells = 8;
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> value{0};
  };
  static std::size_t cell() {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t mine = next.fetch_add(1) % kCells;
    return mine;
  }
  std::array<Cell, kCells> cells_;
};

// How long something took, in the buckets of a Prometheus histogram. One thread observes.
class LagHistogram {
 public:
  // Ends of the buckets, inclusive; one more has no end.
  static constexpr std::array<std::uint64_t, 20> kMicrosecondsMax{
      50,    100,   200,   300,    500,    750,    1'000,   1'500,   2'000,     3'000,
      4'000, 5'000, 7'500, 10'000, 20'000, 50'000, 100'000, 300'000, 1'000'000, 10'000'000};
  void observe(std::int64_t nanoseconds) {
    const auto microseconds = static_cast<std::uint64_t>(nanoseconds < 0 ? 0 : nanoseconds) / 1000;
    std::size_t bucket = 0;
    while (bucket < kMicrosecondsMax.size() && microseconds > kMicrosecondsMax[bucket]) ++bucket;
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    microseconds_.fetch_add(microseconds, std::memory_order_relaxed);
  }
  std::uint64_t count(std::size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  std::uint64_t microseconds() const { return microseconds_.load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::uint64_t>, kMicrosecondsMax.size() + 1> counts_{};
  std::atomic<std::uint64_t> microseconds_{0};
};

struct Metrics {
  LagHistogram apply_lag;
  Counter http_requests, http_unauthorised, http_refused, http_throttled;
  Counter messages, messages_rejected;
};
Metrics& metrics();

// What the engine holds by part, and as `rest` what else of the process stands in memory: the allocator's
// room, the ledger's caches, what waits to be applied, the program. On the core thread.
MemoryParts memory_of_process(const engine::Engine& engine);

class Core;
// Collects from the core's and the courier's threads, and answers when they have.
void write_metrics(Core& core, std::unique_ptr<io::Responder> responder);

}  // namespace tailrace::server
