// Counters of the process, for /metrics in Prometheus' text format.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

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

struct Metrics {
  Counter http_requests, http_unauthorised, http_refused, http_throttled;
  Counter messages, messages_rejected;
};
Metrics& metrics();

class Core;
// Collects from the core's and the courier's threads, and answers when they have.
void write_metrics(Core& core, std::unique_ptr<io::Responder> responder);

}  // namespace tailrace::server
