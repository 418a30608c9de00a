// What a message costs between the socket and the engine, in one process without one: request bodies of 100
// events (or of one) -> scan, judge, encode -> log frames -> commit, by the functions the server calls, the
// log on a disk that syncs nothing (Durability::operating_system). Then its sealed files are compressed, and
// what that costs is told: bytes on disk, reading it whole, reading single records anywhere.
//
//   ingest_bench [--messages 100] [--requests 5000]
//
//   perf record -g build/ingest_bench;  perf stat -e instructions:u build/ingest_bench
#include <cstdlib>
#include <filesystem>
#include <semaphore>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/random.h"
#include "io/posix_disk.h"
#include "io/system_clock.h"
#include "log/group_commit.h"
#include "log/log.h"
#include "sources/segment.h"
#include "workload.h"

namespace tailrace::bench {
namespace {

constexpr std::size_t kEvents = 20'000;
constexpr std::ptrdiff_t kConnections = 64;  // so many requests wait for their answer
constexpr std::uint64_t kFileBytes = 32 << 20;
constexpr int kSingleReads = 20'000;

std::vector<std::string> make_bodies(std::size_t messages) {
  const Shape shape;
  Shop shop(shape);
  std::vector<std::string> bodies(kEvents / messages);
  for (std::string& body : bodies) {
    if (messages > 1) body = "{\"batch\":[";
    for (std::size_t i = 0; i < messages; ++i) {
      const ShopEvent event = shop.next();
      body += i > 0 ? "," : "";
      body += track_json(shape, event, event.time);
    }
    if (messages > 1) body += "],\"sentAt\":\"2026-01-01T00:00:00.000Z\"}";
    body.reserve(body.size() + 64);
  }
  return bodies;
}

std::uint64_t bytes_in(const std::string& folder) {
  std::uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) bytes += file.file_size();
  return bytes;
}

// Reads all, then single records in no order.
void read_log(const log::Log& log, const char* how, std::uint64_t bytes, double events) {
  const auto reader = log.read_from(log.begin());
  if (!reader) std::abort();
  std::vector<Position> positions;
  log::Frame frame;
  double start = thread_cpu_seconds();
  for (auto more = (*reader)->next(frame); more && *more; more = (*reader)->next(frame))
    positions.push_back(frame.position);
  const double whole = thread_cpu_seconds() - start;
  if (static_cast<double>(positions.size()) != events) std::abort();
  Random random(1);
  std::string record;
  start = thread_cpu_seconds();
  for (int i = 0; i < kSingleReads; ++i) {
    if (!log.read(positions[random.below(positions.size())], record)) std::abort();
  }
  const double single = thread_cpu_seconds() - start;
  fmt::print(
      "  {}: {:.0f} bytes an event on disk, read whole {:.0f} ns an event, single records {:.1f} us each\n",
      how, static_cast<double>(bytes) / events, whole / events * 1e9, single / kSingleReads * 1e6);
}

int run(int count, char** values) {
  const auto messages = static_cast<std::size_t>(argument(count, values, "messages", 100));
  const auto requests = static_cast<std::size_t>(argument(count, values, "requests", 500'000 / messages));
  const auto bodies = make_bodies(messages);
  std::string folder =
      std::filesystem::exists("/dev/shm") ? "/dev/shm/ingest_bench.XXXXXX" : "/tmp/ingest_bench.XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  const auto disk = io::posix_disk();
  auto log = log::Log::open(*disk, folder,
                            {.file_bytes = kFileBytes, .durability = log::Durability::operating_system});
  if (!log) return 1;
  const double events = static_cast<double>(requests * messages);

  double start = thread_cpu_seconds();
  std::size_t bytes = 0;
  const auto read = [&](std::size_t i) {
    const std::string& body = bodies[i % bodies.size()];
    if (sources::write_key("Basic YmVuY2g6", body) != "bench") std::abort();
    auto records = sources::read_segment(
        body,
        {.call = messages > 1 ? sources::SegmentCall::batch : sources::SegmentCall::track,
         .source = "web",
         .now = kEnd,
         .entropy = i},
        {});
    if (!records || records->rejected > 0) std::abort();
    return std::move(*records);
  };
  for (std::size_t i = 0; i < requests; ++i) bytes += read(i).bytes.size();
  const double reading = thread_cpu_seconds() - start;

  start = process_cpu_seconds();
  std::size_t committed = 0;
  std::counting_semaphore<kConnections> unanswered(kConnections);
  {
    log::GroupCommit group(**log, {}, io::system_now,
                           [&](const log::CommittedBatch& batch) { committed += batch.size(); });
    for (std::size_t i = 0; i < requests; ++i) {
      sources::RawRecords records = read(i);
      unanswered.acquire();
      if (!group.submit(std::move(records.bytes), std::move(records.ends),
                        [&](const Result<log::CommittedRange>&) { unanswered.release(); })) {
        std::abort();
      }
    }
    group.stop();
  }
  const double whole = process_cpu_seconds() - start;
  if (committed != requests * messages) std::abort();
  fmt::print(
      "ingest: {} events a request, {:.0f} bytes a record: {:.0f} ns of CPU per event to read, {:.0f} ns "
      "with the log\n",
      messages, static_cast<double>(bytes) / events, reading / events * 1e9, whole / events * 1e9);
  read_log(**log, "plain", bytes_in(folder), events);
  start = thread_cpu_seconds();
  while (true) {
    const auto compressed = (*log)->compress_file();
    if (!compressed) std::abort();
    if (!*compressed) break;
  }
  fmt::print("  compressed in {:.0f} ns an event\n", (thread_cpu_seconds() - start) / events * 1e9);
  read_log(**log, "compressed, but for the open file", bytes_in(folder), events);
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace tailrace::bench

int main(int count, char** values) { return tailrace::bench::run(count, values); }
