// What the programs that run an engine in one process share: records that stand encoded in memory, and the
// engine over them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/engine.h"
#include "workload.h"

namespace tailrace::bench {

template <class T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "{}\n", result.error().message);
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class InMemory final : public engine::Records {
 public:
  InMemory() = default;
  ~InMemory() override {
    if (mapped_ != nullptr) ::munmap(mapped_, kFileBytesMax);
  }
  // From now on they stand in a file of this folder, without a name, of which the system keeps in memory what
  // is looked at: where there are more than memory holds. Before the first record.
  void keep_in_file(const std::string& folder) {
    std::string path = folder + "/tailrace-records-XXXXXX";
    const int file = ::mkstemp(path.data());
    if (file < 0 || ::unlink(path.c_str()) != 0 || ::ftruncate(file, kFileBytesMax) != 0) std::abort();
    void* mapped = ::mmap(nullptr, kFileBytesMax, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) std::abort();
    ::close(file);
    mapped_ = static_cast<char*>(mapped);
  }
  Result<RecordView> record(Position position, std::string&) override { return at(position.value); }
  RecordView at(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    const std::string_view all(mapped_ != nullptr ? mapped_ : bytes_.data(), ends_.back());
    auto record = decode_record(all.substr(begin, ends_[index] - begin));
    if (!record) std::abort();
    return *record;
  }
  // Where the next one is appended; seal() then makes it a record.
  std::string& bytes() { return bytes_; }
  std::size_t seal() {
    if (mapped_ == nullptr) {
      ends_.push_back(bytes_.size());
      return ends_.size() - 1;
    }
    const std::size_t begin = ends_.empty() ? 0 : ends_.back();
    if (begin + bytes_.size() > kFileBytesMax) std::abort();
    bytes_.copy(mapped_ + begin, bytes_.size());
    ends_.push_back(begin + bytes_.size());
    bytes_.clear();
    return ends_.size() - 1;
  }
  std::size_t size() const { return ends_.size(); }

 private:
  static constexpr std::size_t kFileBytesMax = std::size_t{1}
                                               << 40;  // the file has holes, and grows as it is written to
  std::string bytes_;                                  // of all records, or of the next one
  char* mapped_ = nullptr;
  std::vector<std::size_t> ends_;
};

// The clock and this thread's CPU time since it was made.
class Stopwatch {
 public:
  double wall_ms() const { return (wall_seconds() - wall_) * 1e3; }
  double cpu_ms() const { return (thread_cpu_seconds() - cpu_) * 1e3; }

 private:
  double wall_ = wall_seconds();
  double cpu_ = thread_cpu_seconds();
};

// An engine with its records.
class InProcess {
 public:
  engine::Engine& engine() { return engine_; }
  InMemory& records() { return records_; }

  // Makes a workspace live, at once. Returns the milliseconds of its longest step: between two of them a
  // server applies what has come in.
  double apply_workspace(std::string_view json) {
    RecordView record;
    record.kind = RecordKind::workspace;
    record.received_at = std::max(kEnd - kSpan, engine_.now());
    record.payload = json;
    must(encode_record(record, records_.bytes()));
    engine::Output output;
    const std::size_t place = records_.seal();
    double longest = 0;
    const auto step = [&](auto work) {
      const Stopwatch watch;
      must(work());
      longest = std::max(longest, watch.wall_ms());
    };
    step([&] { return engine_.apply(Position(place), records_.at(place), output); });
    while (engine_.work_pending()) step([&] { return engine_.work(); });
    for (const auto& held : engine_.quarantine()) {
      if (held.position != Position(place)) continue;
      fmt::print(stderr, "{}\n", held.reason);
      std::exit(1);
    }
    return longest;
  }
  // Applies the records from `first` to the last; returns the entries and exits.
  std::uint64_t apply_from(std::size_t first) {
    std::uint64_t deltas = 0;
    must(engine_.apply_all(
        records_.size() - first, output_,
        [&](std::size_t i) -> Result<engine::Engine::Located> {
          return engine::Engine::Located{Position(first + i), records_.at(first + i)};
        },
        [&](std::size_t, const RecordView&) {
          deltas += output_.deltas.size();
          output_.clear();
        }));
    return deltas;
  }
  void append_people(const Shape& shape) {
    for (std::uint32_t person = 0; person < shape.people; ++person) {
      append_identify(shape, person, records_.bytes());
      records_.seal();
    }
  }
  void append_event(const Shape& shape, const ShopEvent& event) {
    append_track(shape, event, event.time + Millis{100}, records_.bytes());
    records_.seal();
  }

 private:
  InMemory records_;
  engine::Engine engine_{records_};
  engine::Output output_;
};

// What the engine holds, by part, in bytes per event; the rest of what the process holds is told as one.
inline void print_memory(const engine::Engine& engine, std::uint64_t events) {
  const auto per_event = [events](std::uint64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(events);
  };
  const MemoryParts memory = engine.memory();
  for (const auto& [name, use] : memory.parts()) {
    fmt::print("  {:<22} {:7.2f} bytes an event, of which {:.2f} are unused\n", name, per_event(use.bytes),
               per_event(use.unused));
  }
  const std::uint64_t counted = memory.total().bytes;
  const std::uint64_t resident = resident_bytes();
  fmt::print("  {:<22} {:7.2f} bytes an event\n", "allocator and rest",
             per_event(resident > counted ? resident - counted : 0));
}

// How many are in a segment, and the sum of their numbers in the workload, which are their ids: identify
// records come in their order.
struct Members {
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
};
inline Members members_of(const std::vector<PersonId>& people) {
  Members found{people.size(), 0};
  for (const PersonId person : people) found.sum += person.value;
  return found;
}

}  // namespace tailrace::bench
