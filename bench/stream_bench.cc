// Events of the log forwarded to a destination, over sockets, to a stand-in that counts them.
//
//   stream_bench [--events 1000000] [--connections 20] [--people 10000]
//
// First the destination is down, and the events wait: what memory that takes. Then it is up: events a second
// by the clock, and what each thread of the process takes for one, the stand-in's apart.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "core_harness.h"
#include "io/http_server.h"
#include "io/posix_disk.h"
#include "io/system_clock.h"
#include "model/json.h"
#include "threads.h"

namespace tailrace::bench {
namespace {

constexpr std::string_view kNames[] = {"courier", "core", "http-client"};

// Says that it received as many events as the body has names of events.
class StandIn {
 public:
  StandIn() {
    server_ =
        must(io::HttpServer::start({.port = 0, .threads = 1}, [this](HttpRequest& request, auto responder) {
          if (is_down) return responder->respond({503, {}, ""});
          std::uint64_t events = 0;
          for (std::size_t at = request.body.find("\"event_name\""); at != std::string::npos;
               at = request.body.find("\"event_name\"", at + 12))
            ++events;
          received += events;
          bytes += request.body.size();
          ++requests;
          responder->respond({200,
                              {{"Content-Type", "application/json"}},
                              fmt::format(R"({{"events_received":{},"messages":[]}})", events)});
        }));
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", server_->port()); }

  std::atomic<bool> is_down{true};
  std::atomic<std::uint64_t> received{0}, bytes{0}, requests{0};

 private:
  std::unique_ptr<io::HttpServer> server_;
};

workspace::Workspace workspace_to(const std::string& url, std::uint32_t connections) {
  workspace::Workspace workspace;
  workspace.name = "bench";
  workspace.consent_unknown = true;
  workspace.taxonomy.events = {
      {.name = "Order Completed", .aliases = {}, .owner = {}, .description = {}, .properties = {}},
      {.name = "Product Viewed", .aliases = {}, .owner = {}, .description = {}, .properties = {}}};
  workspace.destinations.push_back(
      {.name = "Sink",
       .type = "meta_conversions",
       .settings = {{"base_url", url}, {"dataset_id", "1"}},
       .credentials = {{"access_token",
                        {workspace::SecretReference::Kind::environment, "STREAM_BENCH_TOKEN"}}},
       .allow_private_addresses = true,
       .ca_file = {}});
  workspace::StreamConfig stream;
  stream.name = "events";
  stream.destination = "Sink";
  stream.events.push_back({.event = "Order Completed", .name = {}, .where = {}, .condition = nullptr});
  stream.currency = "EUR";
  stream.start = workspace::StreamConfig::Start::beginning;
  stream.requests_in_flight = connections;
  workspace.streams.push_back(std::move(stream));
  return workspace;
}

class Bench {
 public:
  Bench(std::uint64_t events, std::uint32_t connections, std::uint64_t people)
      : events_(events), people_(people), connections_(connections) {
    spdlog::set_level(spdlog::level::off);
    ::setenv("STREAM_BENCH_TOKEN", "token", 1);
    directory_ =
        (std::filesystem::temp_directory_path() / fmt::format("stream-bench-{}", ::getpid())).string();
    server::Core::Options options;
    options.store.directory = directory_;
    options.store.log.durability = log::Durability::operating_system;
    options.deliver = true;
    core_ = must(server::Core::start(*disk_, options, io::system_now));
  }
  ~Bench() {
    core_.reset();
    std::filesystem::remove_all(directory_);
  }

  void run() {
    const std::string json = to_json(workspace::to_value(workspace_to(stand_in_.url(), connections_)));
    submit(
        [&](RecordView& record, std::uint64_t) {
          record.kind = RecordKind::workspace;
          record.payload = json;
        },
        1);
    std::string user, id, payload;
    submit(
        [&](RecordView& record, std::uint64_t i) {
          user = fmt::format("u{}", i);
          payload =
              fmt::format(R"({{"email":"Customer.{}@example.com","phone":"+44207946{:04}"}})", i, i % 10'000);
          record.kind = RecordKind::identify;
          record.source = "bench";
          record.message_id = record.user_id = user;
          record.payload = payload;
        },
        people_);
    submit(
        [&](RecordView& record, std::uint64_t i) {
          id = fmt::format("m{}", i);
          user = fmt::format("u{}", i % people_);
          payload = fmt::format(
              R"({{"order_id":"o-{}","total":{}.50,"currency":"EUR","action_source":"other","products":[{{"product_id":"sku-{}","price":12.5,"quantity":2}}]}})",
              i, i % 200, i % 500);
          record.kind = RecordKind::track;
          record.source = "bench";
          record.message_id = id;
          record.user_id = user;
          record.event = "Order Completed";
          record.payload = payload;
          record.context = R"({"ip":"192.0.2.7"})";
        },
        events_);
    core_->call([](engine::Engine&) { return true; });
    std::this_thread::sleep_for(std::chrono::seconds(2));
    const double applied = static_cast<double>(resident_bytes()) / (1 << 20);
    fmt::print("{} events wait: {:.0f} MiB resident, all of the engine and the log included\n", events_,
               applied);

    double before[std::size(kNames)];
    for (std::size_t i = 0; i < std::size(kNames); ++i) before[i] = cpu_seconds_of(kNames[i]);
    stand_in_.is_down = false;
    // What was refused waits a while; the clock runs from the first that is taken.
    const double asked = wall_seconds();
    while (stand_in_.received == 0) {
      if (wall_seconds() - asked > 600) {
        fmt::print(stderr, "nothing comes\n");
        std::abort();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const double begun = wall_seconds();
    double most = 0;
    while (stand_in_.received < events_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      most = std::max(most, static_cast<double>(resident_bytes()) / (1 << 20));
    }
    const double seconds = wall_seconds() - begun;
    const auto count = static_cast<double>(events_);
    std::string parts;
    double all = 0;
    for (std::size_t i = 0; i < std::size(kNames); ++i) {
      const double micros = (cpu_seconds_of(kNames[i]) - before[i]) * 1e6 / count;
      all += micros;
      parts += fmt::format("{}{} {:.1f}", i == 0 ? "" : ", ", kNames[i], micros);
    }
    fmt::print(
        "forwarding: {:.0f} events/s by the clock over {} connections, {:.0f} events and {:.0f} bytes a "
        "request\n",
        count / seconds, connections_, count / static_cast<double>(stand_in_.requests.load()),
        static_cast<double>(stand_in_.bytes.load()) / static_cast<double>(stand_in_.requests.load()));
    fmt::print("forwarding: {:.1f} us of CPU an event: {}; {:.0f} bytes an event\n", all, parts,
               static_cast<double>(stand_in_.bytes.load()) / count);
    fmt::print("forwarding: {:.0f} MiB resident at most, {:.0f} above what waited\n", most, most - applied);
    must(core_->stop({1'000}));
  }

 private:
  template <class Make>
  void submit(const Make& make, std::uint64_t count) {
    constexpr std::uint64_t kAtOnce = 1'000;
    for (std::uint64_t first = 0; first < count; first += kAtOnce) {
      std::string bytes;
      std::vector<std::uint32_t> ends;
      for (std::uint64_t i = first; i < std::min(count, first + kAtOnce); ++i) {
        RecordView record;
        record.time = io::system_now();
        make(record, i);
        must(encode_record(record, bytes));
        ends.push_back(static_cast<std::uint32_t>(bytes.size()));
      }
      bench::submit(*core_, bytes, ends);
    }
  }

  std::uint64_t events_, people_;
  std::uint32_t connections_;
  std::string directory_;
  StandIn stand_in_;
  std::unique_ptr<Disk> disk_ = io::posix_disk();
  std::unique_ptr<server::Core> core_;
};

}  // namespace
}  // namespace tailrace::bench

int main(int argc, char** argv) {
  using tailrace::bench::argument;
  tailrace::bench::Bench bench(argument(argc, argv, "events", 1'000'000),
                               static_cast<std::uint32_t>(argument(argc, argv, "connections", 20)),
                               argument(argc, argv, "people", 10'000));
  bench.run();
  return 0;
}
