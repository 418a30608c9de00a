// Back-fill and restart, on a store on disk with the standard workload.
//
//   store_bench [--events 10000000] [--people 100000] [--replay 500000]   so many events come after the
//   first snapshot, and as many after the second
//
// Prints how long it takes to apply the log, to write a snapshot and a second one after some events, and how
// many bytes that writes; to open the store from both to full service, to replay what the log has beyond
// them, and to make a new segment live that needs a `where` and a column (every event of that name is read
// again), and one that needs neither; and to replay a definition over its past.
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "harness.h"
#include "io/posix_disk.h"
#include "server/store.h"
#include "workload.h"
#include "workspace/workspace.h"

namespace tailrace::bench {
namespace {

constexpr std::string_view kWithColumn =
    R"(sum("Order Placed".revenue where category = "serum" within 60d) >= 100 or sum("Product Viewed".revenue where category = "serum") > 0)";
constexpr std::string_view kWithout = R"(performed "Product Viewed" at least 3 times within 60d)";

// The most frequent event, so that entries and exits are many.
constexpr std::string_view kReplayed =
    R"(performed "Product Viewed" at least 2 times within 24h and not performed "Order Placed" within 24h)";

class Timed {
 public:
  explicit Timed(std::string what) : what_(std::move(what)) {}
  ~Timed() {
    fmt::print("{}: {:.2f} s by the clock, {:.2f} s of CPU time\n", what_, wall_seconds() - wall_,
               process_cpu_seconds() - cpu_);
    std::fflush(stdout);
  }

 private:
  std::string what_;
  double wall_ = wall_seconds();
  double cpu_ = process_cpu_seconds();
};

class Bench {
 public:
  // replayed: so many of the events come after the first snapshot, and as many after the second.
  Bench(Shape shape, std::uint64_t replayed, std::string directory)
      : shape_(shape), replayed_(replayed), directory_(std::move(directory)), disk_(io::posix_disk()) {}

  void run() {
    open();
    apply_workspace({});
    const std::uint64_t events = shape_.events - 2 * replayed_;
    write_people();
    write_events(events);
    const double per_event = static_cast<double>(resident_bytes()) / static_cast<double>(events);
    fmt::print("memory: {:.0f} bytes resident per event\n", per_event);
    print_memory(store_->engine(), events);
    std::uint64_t log_bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory_ + "/store/log"))
      log_bytes += file.file_size();
    fmt::print("log: {:.0f} bytes on disk per event\n",
               static_cast<double>(log_bytes) / static_cast<double>(events));
    save_snapshot("snapshot");
    write_events(replayed_);
    save_snapshot("second snapshot");
    store_.reset();
    {
      const PeakMemory peak;
      {
        const Timed timed("restart from the snapshots to full service");
        open();
      }
      fmt::print("snapshots read: with {:.1f} MiB of memory beyond what stays\n",
                 mebibytes(peak.beyond(resident_bytes())));
    }
    if (!store_->opened().from_snapshot || store_->opened().replayed > 0) std::abort();
    fmt::print("memory after the restart: {:.1f} bytes resident per event\n",
               static_cast<double>(resident_bytes()) / static_cast<double>(events + replayed_));
    write_events(replayed_);
    store_.reset();
    {
      const Timed timed(fmt::format("restart with {} events after the snapshots", replayed_));
      open();
    }
    if (store_->opened().replayed != replayed_) std::abort();
    backtest("backtest of 30 days", kEnd - kDay * 30);
    backtest("backtest of 180 days", kEnd - kSpan);
    back_fill("new segment without a `where`", kWithout);
    back_fill("new segment with a `where` and a column", kWithColumn);
  }

 private:
  void open() {
    store_ = must(server::Store::open(*disk_, {.directory = directory_ + "/store",
                                               .log = {.durability = log::Durability::operating_system}}));
  }

  void save_snapshot(const std::string& what) {
    server::SnapshotWritten written;
    const std::uint64_t before = resident_bytes();
    const PeakMemory peak;
    {
      const Timed timed(what + " written");
      written = must(store_->save_snapshot(store_->log().end()));
    }
    fmt::print("{}: {:.0f} MiB of state, {:.1f} MiB written, with {:.1f} MiB of memory\n", what,
               mebibytes(written.state_bytes), mebibytes(written.written_bytes),
               mebibytes(peak.beyond(before)));
  }

  void append(std::string_view bytes, Time received_at) {
    positions_.push_back(must(store_->log().append(bytes, received_at)));
    batch_.append(bytes);
    ends_.push_back(batch_.size());
  }
  // Commits what was appended, and applies it.
  void flush() {
    must(store_->log().commit());
    std::size_t begin = 0;
    engine::Output output;
    for (std::size_t i = 0; i < ends_.size(); ++i) {
      must(store_->engine().apply(
          positions_[i], must(decode_record(std::string_view(batch_).substr(begin, ends_[i] - begin))),
          output));
      output.clear();
      begin = ends_[i];
    }
    positions_.clear();
    ends_.clear();
    batch_.clear();
  }

  void write_people() {
    std::string bytes;
    for (std::uint32_t person = 0; person < shape_.people; ++person) {
      bytes.clear();
      append_identify(shape_, person, bytes);
      append(bytes, kEnd - kSpan);
    }
    flush();
  }
  // The next so many.
  void write_events(std::uint64_t count) {
    const Timed timed(fmt::format("{} events generated, logged without fsync, applied", count));
    std::string bytes;
    for (std::uint64_t i = 0; i < count; ++i) {
      const ShopEvent event = shop_.next();
      bytes.clear();
      append_track(shape_, event, event.time + Millis{100}, bytes);
      append(bytes, event.time + Millis{100});
      if (ends_.size() >= 10'000) flush();
    }
    flush();
  }

  void apply_workspace(std::string_view extra) {
    std::vector<SegmentText> segments = segment_texts();
    if (!extra.empty()) segments.push_back({"extra", std::string(extra)});
    const std::string json = workspace_json(segments);
    RecordView record;
    record.kind = RecordKind::workspace;
    record.payload = json;
    record.received_at = std::max(kEnd - kSpan, store_->engine().now());
    std::string bytes;
    must(encode_record(record, bytes));
    append(bytes, record.received_at);
    flush();
    while (store_->engine().work_pending()) must(store_->engine().work());
  }

  void backtest(const std::string& what, Time from) {
    engine::Engine& engine = store_->engine();
    const auto expr = must(workspace::resolve_segment(*engine.workspace(), kReplayed));
    engine::Backtest result;
    {
      const Timed timed(what);
      result = must(engine.backtest(*engine.workspace(), expr, from, engine.now()));
    }
    fmt::print("  {} people, {} entries, {} exits, {} stays that ended\n", result.past.people,
               result.past.entered, result.past.left, result.past.stays);
  }

  void back_fill(const std::string& what, std::string_view who) {
    {
      const Timed timed(what + ", live over all events after");
      apply_workspace(who);
    }
    const auto segment = store_->engine().segment("extra");
    fmt::print("  {} members\n", segment ? store_->engine().size(*segment) : 0);
  }

  Shape shape_;
  Shop shop_{shape_};
  std::uint64_t replayed_;
  std::string directory_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<server::Store> store_;
  std::string batch_;
  std::vector<std::size_t> ends_;
  std::vector<Position> positions_;
};

int run(int count, char** values) {
  const Shape shape{.people = argument(count, values, "people", 100'000),
                    .events = argument(count, values, "events", 10'000'000)};
  const std::uint64_t replayed = argument(count, values, "replay", shape.events / 20);
  const std::string directory =
      fmt::format("{}/tailrace-store-bench-{}", std::filesystem::temp_directory_path().string(), ::getpid());
  Bench(shape, replayed, directory).run();
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace tailrace::bench

int main(int count, char** values) { return tailrace::bench::run(count, values); }
