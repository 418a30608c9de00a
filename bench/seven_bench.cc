// The seven named segments in one process: made live over a history that is there already, asked for once,
// and kept up to date while batches come. One JSON object a line, for bench/peers.py.
//
//   seven_bench [--events 1000000] [--people 10000] [--tail 100000] [--batch 1000] [--batches 100] [--runs 3]
//               [--log 1] [--records-in-file 0] [--segment 0]
//
// First without columns of properties: what asks for one reads records again (--log 0 leaves that out); then
// with columns of the two that are asked for, as `indexed` in a taxonomy keeps them. --records-in-file 1: the
// records stand in a temporary file, where there are more than memory holds.
//
// The last `tail` events come as batches; with --batches 0 that is left out. What a batch takes includes
// reading its encoded records, de-duplication, taxonomy and identity, and says who entered and left.
// --segment 1 to 7: only that one is asked for and made live.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>

#include <fmt/format.h>

#include "harness.h"
#include "workload.h"
#include "workspace/workspace.h"

// As the program itself (cli/main.cc).
extern "C" {
const char* malloc_conf = "thp:always,metadata_thp:auto";
}

namespace tailrace::bench {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

class Bench {
 public:
  Bench(const Shape& shape, std::uint64_t tail, std::uint64_t batch, std::uint64_t batches,
        std::uint64_t runs, bool with_log, bool records_in_file, std::uint64_t only)
      : shape_(shape),
        tail_(std::min(tail, shape.events)),
        batch_(batch),
        batches_(batches),
        runs_(runs),
        with_log_(with_log),
        records_in_file_(records_in_file),
        none_(workspace_json({})),
        columns_(workspace_json({}, Columns::indexed)) {
    if (only >= 1 && only <= kNamedSegments) texts_ = {texts_[only - 1]};
  }

  void run() {
    load(shape_.events, with_log_ ? none_ : columns_);
    if (with_log_) {
      measure("asked_log", "live_log", Columns::none);
      engine_->engine().reset();
      must(engine_->engine().restore(saved_));
    }
    if (with_log_) add_columns();
    measure("asked", "live", Columns::indexed);
    engine_->engine().advance(kEnd, output_);
    for (std::uint32_t i = 0; i < texts_.size(); ++i) {
      const Members found = members_of(engine_->engine().members(SegmentId(i)));
      fmt::print(R"({{"what":"members","segment":"s{}","members":{},"sum":{}}})"
                 "\n",
                 texts_[i].name.substr(1), found.count, found.sum);
    }
    saved_ = {};
    if (batches_ > 0) {
      load(shape_.events - tail_, columns_);
      keep_fresh();
    }
    fmt::print(R"({{"what":"memory","mib":{:.0f}}})"
               "\n",
               static_cast<double>(resident_bytes()) / (1 << 20));
  }

 private:
  void add_columns() {
    const double before = static_cast<double>(resident_bytes());
    const Stopwatch watch;
    engine_->apply_workspace(columns_);
    fmt::print(R"({{"what":"columns","ms":{:.1f},"cpu_ms":{:.1f},"mib":{:.1f}}})"
               "\n",
               watch.wall_ms(), watch.cpu_ms(), (static_cast<double>(resident_bytes()) - before) / (1 << 20));
  }

  void measure(std::string_view asked, std::string_view live, Columns columns) {
    ask(asked);
    saved_ = engine_->engine().save();
    for (std::size_t i = 0; i < texts_.size(); ++i)
      make_live(live, texts_[i].name, std::span(texts_).subspan(i, 1), columns);
    make_live(live, "all", texts_, columns);
  }

  // A new engine with so many events, under a workspace without segments.
  void load(std::uint64_t events, std::string_view workspace) {
    engine_ = std::make_unique<InProcess>();
    if (records_in_file_) engine_->records().keep_in_file(std::filesystem::temp_directory_path().string());
    shop_ = Shop(shape_);
    engine_->apply_workspace(workspace);
    const Stopwatch watch;
    std::size_t first = engine_->records().size();
    engine_->append_people(shape_);
    engine_->apply_from(first);
    for (std::uint64_t done = 0; done < events;) {
      first = engine_->records().size();
      for (int i = 0; i < 100'000 && done < events; ++i, ++done) {
        engine_->append_event(shape_, shop_.next());
      }
      engine_->apply_from(first);
    }
    fmt::print(R"({{"what":"load","events":{},"ms":{:.1f},"cpu_ms":{:.1f}}})"
               "\n",
               events, watch.wall_ms(), watch.cpu_ms());
  }

  void keep_fresh() {
    engine_->apply_workspace(workspace_json(texts_, Columns::indexed));
    std::vector<double> wall;
    double cpu = 0;
    double all = 0;
    std::uint64_t deltas = 0;
    std::uint64_t done = 0;
    const auto next_batch = [&](std::uint64_t size) {
      const std::size_t first = engine_->records().size();
      for (std::uint64_t i = 0; i < size && done < tail_; ++i, ++done) {
        engine_->append_event(shape_, shop_.next());
      }
      return first;
    };
    for (std::uint64_t i = 0; i < batches_ && done < tail_; ++i) {
      const std::size_t first = next_batch(batch_);
      const Stopwatch watch;
      deltas += engine_->apply_from(first);
      wall.push_back(watch.wall_ms());
      cpu += watch.cpu_ms();
      all += wall.back();
    }
    const std::uint64_t events = done;
    engine_->apply_from(next_batch(tail_));
    if (wall.empty()) return;
    fmt::print(
        R"({{"what":"fresh","batch":{},"batches":{},"p50_ms":{:.4f},"max_ms":{:.4f},"events_per_s":{:.0f},"events_per_cpu_s":{:.0f},"entries_and_exits":{}}})"
        "\n",
        batch_, wall.size(), median(wall), *std::max_element(wall.begin(), wall.end()),
        static_cast<double>(events) / all * 1e3, static_cast<double>(events) / cpu * 1e3, deltas);
  }

  // As `tailrace audience members --at` and the console ask.
  void ask(std::string_view what) {
    engine::Engine& engine = engine_->engine();
    for (const SegmentText& segment : texts_) {
      std::vector<double> wall, cpu;
      for (std::uint64_t i = 0; i < runs_; ++i) {
        const auto expr = must(workspace::resolve_segment(*engine.workspace(), segment.who));
        const Stopwatch watch;
        must(engine.members_at(*engine.workspace(), expr, kEnd));
        wall.push_back(watch.wall_ms());
        cpu.push_back(watch.cpu_ms());
      }
      fmt::print(R"({{"what":"{}","segment":"{}","ms":{:.3f},"cpu_ms":{:.3f}}})"
                 "\n",
                 what, segment.name, median(wall), median(cpu));
    }
  }

  // From the record of the workspace to the segments being live, with everybody evaluated.
  void make_live(std::string_view what, std::string_view name, std::span<const SegmentText> segments,
                 Columns columns) {
    const std::string json = workspace_json(segments, columns);
    std::vector<double> wall, cpu, step;
    for (std::uint64_t i = 0; i < runs_; ++i) {
      engine_->engine().reset();
      must(engine_->engine().restore(saved_));
      const Stopwatch watch;
      step.push_back(engine_->apply_workspace(json));
      wall.push_back(watch.wall_ms());
      cpu.push_back(watch.cpu_ms());
    }
    fmt::print(R"({{"what":"{}","segment":"{}","ms":{:.3f},"cpu_ms":{:.3f},"step_ms":{:.3f}}})"
               "\n",
               what, name, median(wall), median(cpu), median(step));
    std::fflush(stdout);
  }

  Shape shape_;
  std::uint64_t tail_, batch_, batches_, runs_;
  bool with_log_, records_in_file_;
  std::string none_, columns_;  // workspaces without segments
  Shop shop_{shape_};
  std::vector<SegmentText> texts_ = segment_texts(kNamedSegments);
  std::unique_ptr<InProcess> engine_;
  engine::Output output_;
  std::string saved_;
};

int run(int count, char** values) {
  const Shape shape{.people = argument(count, values, "people", 10'000),
                    .events = argument(count, values, "events", 1'000'000)};
  Bench(shape, argument(count, values, "tail", 100'000), argument(count, values, "batch", 1000),
        argument(count, values, "batches", 100), argument(count, values, "runs", 3),
        argument(count, values, "log", 1) != 0, argument(count, values, "records-in-file", 0) != 0,
        argument(count, values, "segment", 0))
      .run();
  return 0;
}

}  // namespace
}  // namespace tailrace::bench

int main(int count, char** values) { return tailrace::bench::run(count, values); }
