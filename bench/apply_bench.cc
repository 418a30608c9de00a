// Events per second through Engine::apply in one process, on one core, with 100 live segments:
// de-duplication, taxonomy, identity, history, membership and the ends of windows, with records that stand
// encoded in memory. Received times advance with event times, so that windows really end. Not counted:
// reading and writing the log.
//
//   apply_bench [--events 10000000] [--run 10000000] [--people 100000] [--segments 100]
//               [--window-percent 100]   how long all windows are
//               [--hot-events 0]         how many events are of one and the same person
//               [--catalogue 0]          1: a large workspace, whose segments beyond the first hundred are
//               about
//                                        one subcategory, brand, campaign or market each
//
// With the standard sizes it compares the seven named segments with the members other engines found.
#include <cstdlib>

#include <fmt/format.h>

#include "harness.h"
#include "workload.h"

// As in the server (src/cli/main.cc).
extern "C" {
const char* malloc_conf = "thp:always,metadata_thp:auto";
}

namespace tailrace::bench {
namespace {

constexpr std::size_t kChunk = 100'000;

bool compare_members(engine::Engine& engine) {
  bool same = true;
  for (std::uint32_t i = 0; i < kExpected.size(); ++i) {
    const Members found = members_of(engine.members(SegmentId(i)));
    if (found.count == kExpected[i].count && found.sum == kExpected[i].sum) continue;
    fmt::print("s{}: {} members with sum {}, expected {} with {}\n", i + 1, found.count, found.sum,
               kExpected[i].count, kExpected[i].sum);
    same = false;
  }
  return same;
}

int run(int count, char** values) {
  const Shape shape{.people = argument(count, values, "people", 100'000),
                    .events = argument(count, values, "events", 10'000'000),
                    .hot_events = argument(count, values, "hot-events", 0),
                    .catalogue = argument(count, values, "catalogue", 0) != 0};
  const std::uint64_t limit = std::min(shape.events, argument(count, values, "run", shape.events));
  const std::uint64_t segments = argument(count, values, "segments", 100);
  const std::uint64_t window_percent = argument(count, values, "window-percent", 100);
  InProcess bench;
  bench.apply_workspace(workspace_json(shape.catalogue ? catalogue_segment_texts(segments)
                                                       : segment_texts(segments, window_percent)));

  std::uint64_t deltas = 0;
  double cpu = 0;
  double wall = 0;
  const auto apply_from = [&](std::size_t first) {
    const Stopwatch watch;
    deltas += bench.apply_from(first);
    cpu += watch.cpu_ms() / 1e3;
    wall += watch.wall_ms() / 1e3;
  };
  const std::size_t first_person = bench.records().size();
  bench.append_people(shape);
  apply_from(first_person);
  fmt::print("identify: {:.0f} records/s of CPU time\n", static_cast<double>(shape.people) / cpu);
  cpu = wall = 0;
  deltas = 0;

  Shop shop(shape);
  double cpu_before_last = 0;  // before the last tenth
  std::uint64_t events_before_last = 0;
  for (std::uint64_t done = 0; done < limit;) {
    if (done <= limit - limit / 10) {
      cpu_before_last = cpu;
      events_before_last = done;
    }
    const std::size_t first = bench.records().size();
    for (std::size_t left = std::min<std::size_t>(kChunk, limit / 20 + 1); left > 0 && done < limit;
         --left, ++done) {
      bench.append_event(shape, shop.next());
    }
    apply_from(first);
  }
  engine::Engine& engine = bench.engine();
  fmt::print(
      "apply: {} events, {} entries and exits ({:.2f} an event), {} admitted, {} people, {:.0f} MiB "
      "resident\n",
      limit, deltas, static_cast<double>(deltas) / static_cast<double>(limit), engine.counts().events,
      engine.counts().people, static_cast<double>(resident_bytes()) / (1 << 20));
  fmt::print("apply: {:.0f} events/s of CPU time, {:.0f} events/s by the clock\n",
             static_cast<double>(limit) / cpu, static_cast<double>(limit) / wall);
  fmt::print("apply: the last tenth, {:.0f} events/s of CPU time\n",
             static_cast<double>(limit - events_before_last) / (cpu - cpu_before_last));
  const bool standard = shape.people == 100'000 && shape.events == 10'000'000 && limit == shape.events &&
                        shape.hot_events == 0 && window_percent == 100 && segments >= kNamedSegments;
  if (!standard) return 0;
  engine::Output output;
  engine.advance(kEnd, output);
  const bool same = compare_members(engine);
  fmt::print("members of the seven known segments: {}\n", same ? "as four other engines found" : "WRONG");
  return same ? 0 : 1;
}

}  // namespace
}  // namespace tailrace::bench

int main(int count, char** values) { return tailrace::bench::run(count, values); }
