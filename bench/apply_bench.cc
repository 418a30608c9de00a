// Events per second through Engine::apply in one process, on one core, with 100 live segments:
// de-duplication, taxonomy, identity, history, membership and the ends of windows, with records that stand
// encoded in memory. Received times advance with event times, so that windows really end. Not counted:
// reading and writing the log.
//
//   apply_bench [--events 10000000] [--run 10000000] [--people 100000] [--segments 100]
//
// With the standard sizes it compares the seven named segments with the members other engines found.
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "engine/engine.h"
#include "model/json.h"
#include "workload.h"
#include "workspace/workspace.h"

// As in the server (src/cli/main.cc).
extern "C" {
const char* malloc_conf = "thp:always,metadata_thp:auto";
}

namespace tailrace::bench {
namespace {

constexpr std::size_t kChunk = 100'000;

class InMemory final : public engine::Records {
 public:
  Result<RecordView> record(Position position, std::string&) override { return at(position.value); }
  RecordView at(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    auto record = decode_record(std::string_view(bytes_).substr(begin, ends_[index] - begin));
    if (!record) std::abort();
    return *record;
  }
  std::string& bytes() { return bytes_; }
  std::size_t seal() {
    ends_.push_back(bytes_.size());
    return ends_.size() - 1;
  }
  std::size_t size() const { return ends_.size(); }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

template <class T>
T must(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "{}\n", result.error().message);
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

void apply_workspace(engine::Engine& engine, InMemory& records, std::size_t segments) {
  const std::string folder =
      fmt::format("{}/tailrace-bench-{}", std::filesystem::temp_directory_path().string(), ::getpid());
  write_workspace(folder, segments);
  const auto loaded = workspace::load(folder);
  for (const auto& problem : loaded.problems) {
    if (!loaded.ok()) fmt::print(stderr, "{}\n", workspace::render(folder, problem));
  }
  std::filesystem::remove_all(folder);
  if (!loaded.ok()) std::exit(1);
  const std::string json = to_json(workspace::to_value(loaded.workspace));
  RecordView record;
  record.kind = RecordKind::workspace;
  record.received_at = kEnd - kSpan;
  record.payload = json;
  must(encode_record(record, records.bytes()));
  engine::Output output;
  const std::size_t place = records.seal();
  must(engine.apply(Position(place), records.at(place), output));
  while (engine.work_pending()) must(engine.work());
}

bool compare_members(engine::Engine& engine) {
  bool same = true;
  for (std::uint32_t i = 0; i < kExpected.size(); ++i) {
    std::uint64_t sum = 0;
    const auto members = engine.members(SegmentId(i));
    for (const PersonId person : members) sum += person.value;
    if (members.size() == kExpected[i].count && sum == kExpected[i].sum) continue;
    fmt::print("s{}: {} members with sum {}, expected {} with {}\n", i + 1, members.size(), sum,
               kExpected[i].count, kExpected[i].sum);
    same = false;
  }
  return same;
}

int run(int count, char** values) {
  const Shape shape{.people = argument(count, values, "people", 100'000),
                    .events = argument(count, values, "events", 10'000'000)};
  const std::uint64_t limit = std::min(shape.events, argument(count, values, "run", shape.events));
  InMemory records;
  engine::Engine engine(records);
  apply_workspace(engine, records, argument(count, values, "segments", 100));

  std::uint64_t deltas = 0;
  double cpu = 0;
  double wall = 0;
  engine::Output output;
  const auto apply_from = [&](std::size_t first) {
    const double cpu_before = thread_cpu_seconds();
    const double wall_before = wall_seconds();
    must(engine.apply_all(
        records.size() - first, output,
        [&](std::size_t i) -> Result<engine::Engine::Located> {
          return engine::Engine::Located{Position(first + i), records.at(first + i)};
        },
        [&](std::size_t, const RecordView&) {
          deltas += output.deltas.size();
          output.clear();
        }));
    cpu += thread_cpu_seconds() - cpu_before;
    wall += wall_seconds() - wall_before;
  };
  const std::size_t first_person = records.size();
  for (std::uint32_t person = 0; person < shape.people; ++person) {
    append_identify(shape, person, records.bytes());
    records.seal();
  }
  apply_from(first_person);
  fmt::print("identify: {:.0f} records/s of CPU time\n", static_cast<double>(shape.people) / cpu);
  cpu = wall = 0;
  deltas = 0;

  Shop shop(shape);
  for (std::uint64_t done = 0; done < limit;) {
    const std::size_t first = records.size();
    for (std::size_t left = kChunk; left > 0 && done < limit; --left, ++done) {
      const ShopEvent event = shop.next();
      append_track(shape, event, event.time + Millis{100}, records.bytes());
      records.seal();
    }
    apply_from(first);
  }
  fmt::print("apply: {} events, {} entries and exits, {} admitted, {} people, {:.0f} MiB resident\n", limit,
             deltas, engine.counts().events, engine.counts().people,
             static_cast<double>(resident_bytes()) / (1 << 20));
  fmt::print("apply: {:.0f} events/s of CPU time, {:.0f} events/s by the clock\n",
             static_cast<double>(limit) / cpu, static_cast<double>(limit) / wall);
  const bool standard = shape.people == 100'000 && shape.events == 10'000'000 && limit == shape.events;
  if (!standard) return 0;
  engine.advance(kEnd, output);
  const bool same = compare_members(engine);
  fmt::print("members of the seven known segments: {}\n", same ? "as four other engines found" : "WRONG");
  return same ? 0 : 1;
}

}  // namespace
}  // namespace tailrace::bench

int main(int count, char** values) { return tailrace::bench::run(count, values); }
