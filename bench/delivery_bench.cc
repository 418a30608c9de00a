// What delivery costs: members of a Meta audience, from a change to the platform's acknowledgement, against
// the sandbox in this process (whose own time is not counted, nor is the network).
//
//   delivery_bench [--members 1000000] [--backlog 10000000] [--syncs 50] [--dead 10] [--tls 0]
//
// With --tls 1 only the first of these, over a real client and TLS to a server in this process; the server's
// and the sandbox's time are not counted, the client's is. Prints CPU time and bytes per member that is
// hashed, batched, written to the ledger and acknowledged; the memory of a backlog that waits because the
// platform is down; and what syncs to platforms that answer lose when others do not.
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "delivery/delivery.h"
#include "harness.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "sandbox/sandbox.h"
#include "threads.h"

namespace tailrace::bench {
namespace {

constexpr std::string_view kHost = "http://sandbox";

// Everybody has an e-mail and a phone.
class Everybody final : public delivery::ProfileSource {
 public:
  std::vector<PersonProfile> profiles(std::span<const PersonId> people) override {
    std::vector<PersonProfile> result(people.size());
    for (std::size_t i = 0; i < people.size(); ++i) {
      const std::uint32_t number = people[i].value;
      result[i].id = people[i];
      result[i].golden_id = fmt::format("customer-{}", number);
      result[i].identifiers = {
          {IdentifierKind::email, fmt::format("Customer.{}@example.com", number), {}},
          {IdentifierKind::phone, fmt::format("+44 20 {:08}", 70'000'000 + number % 10'000'000), {}}};
    }
    return result;
  }
  PersonId person_limit() override { return PersonId{0}; }  // nobody is swept
};

// The sandbox behind TLS, and a client that trusts its certificate.
class Wire {
 public:
  Wire(sandbox::Sandbox& platforms, const std::string& directory)
      : platforms_(platforms), ca_(directory + "/cert.pem") {
    const std::string key = directory + "/key.pem";
    const std::string command = fmt::format(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 "
        "-addext "
        "subjectAltName=IP:127.0.0.1 -keyout {} -out {} 2>/dev/null",
        key, ca_);
    if (std::system(command.c_str()) != 0) std::abort();
    server_ =
        must(io::HttpServer::start({.port = 0, .threads = 1, .certificate_file = ca_, .key_file = key},
                                   [this](HttpRequest& request, auto responder) {
                                     responder->respond(platforms_.handle(request, Time{now_ms}).response);
                                   }));
    client_ = must(io::HttpClient::start({}));
  }
  std::string url() const { return fmt::format("https://127.0.0.1:{}", server_->port()); }
  void send(delivery::Send& send) {
    client_->send(std::move(send.request), {.private_addresses = true, .ca_file = ca_},
                  [this, id = send.id](Result<HttpResponse> reply) {
                    const std::lock_guard lock(mutex_);
                    replies_.emplace_back(id, std::move(reply));
                    arrived_.notify_one();
                  });
  }
  using Replies = std::vector<std::pair<std::uint64_t, Result<HttpResponse>>>;
  Replies wait() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return !replies_.empty(); });
    return std::exchange(replies_, {});
  }
  std::atomic<std::int64_t> now_ms{0};

 private:
  sandbox::Sandbox& platforms_;
  std::string ca_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  Replies replies_;
  std::unique_ptr<io::HttpServer> server_;
  std::unique_ptr<io::HttpClient> client_;
};

class Scene {
 public:
  // The last `dead` syncs go to destinations that never answer.
  Scene(std::uint32_t syncs, std::uint32_t dead, bool tls = false) : healthy_(syncs - dead) {
    directory_ =
        (std::filesystem::temp_directory_path() / fmt::format("delivery-bench-{}", ::getpid())).string();
    if (tls) {
      std::filesystem::create_directories(directory_);
      wire_ = std::make_unique<Wire>(sandbox_, directory_);
      wire_->now_ms = now_.ms;
    }
    const std::string host = tls ? wire_->url() : std::string(kHost);
    ledger_ = must(delivery::Ledger::open(directory_ + "/ledger"));
    std::vector<delivery::Connection> connections(syncs);
    for (std::uint32_t i = 0; i < syncs; ++i) {
      delivery::Connection& connection = connections[i];
      connection.sync.name = fmt::format("sync {}", i);
      connection.sync.destination = fmt::format("destination {}", i);
      connection.sync.identifiers = {IdentifierKind::email, IdentifierKind::phone};
      connection.destination = destinations::find_audience_destination("meta_custom_audiences");
      connection.config.settings = {
          {"base_url", fmt::format("{}/meta/v26.0", i < healthy_ ? host : "http://dead")},
          {"ad_account_id", fmt::format("act_{}", 1'000'000 + i)}};
      connection.config.secrets = {{"access_token", "sandbox-token"}};
      connection.config.audience_name = connection.sync.name;
      connection.config.default_region = "GB";
      destinations::fill_defaults(*connection.destination, connection.config);
    }
    delivery_ = must(delivery::Delivery::create(std::move(connections), *ledger_, people_, random_, {}));
    for (std::uint32_t i = 0; i < syncs; ++i) delivery_->set_desired(SyncId(i), {}, now_);
  }
  ~Scene() {
    delivery_.reset();
    ledger_.reset();
    std::filesystem::remove_all(directory_);
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  void enter(SyncId sync, std::uint32_t first, std::uint32_t count) {
    timed([&] {
      for (std::uint32_t person = first; person < first + count; ++person)
        delivery_->on_change(sync, {now_, now_, {}, PersonId(person), Change::entered},
                             delivery::Delivery::Origin::live);
    });
  }
  // Until so many are acknowledged by the syncs whose platform answers.
  void deliver(std::uint64_t people) {
    while (delivered() < people) {
      std::vector<delivery::Send> sends;
      timed([&] { sends = delivery_->poll(now_); });
      for (delivery::Send& send : sends) {
        if (wire_) {
          ++requests_;
          ++out_;
          bytes_ += send.request.body.size();
          wire_->send(send);
        } else {
          answer(send);
        }
      }
      if (out_ > 0) {
        for (auto& [id, reply] : wire_->wait()) {
          --out_;
          timed([&] { delivery_->on_reply(id, std::move(reply), now_); });
        }
      } else if (sends.empty())
        now_ = std::max(now_ + Millis{1}, std::min(delivery_->next_poll_at(), now_ + kMinute));
    }
  }
  // Until the syncs whose platform does not answer have tried what they try before they wait.
  void let_the_dead_be_tried() {
    for (int rounds = 0; rounds < 100; ++rounds) {
      for (delivery::Send& send : delivery_->poll(now_)) answer(send);
      now_ = now_ + kSecond;
    }
    cpu_ = 0;
  }
  std::uint64_t delivered() const {
    std::uint64_t sum = 0;
    const auto all = delivery_->status();
    for (std::uint32_t i = 0; i < healthy_; ++i) sum += all[i].delivered;
    return sum;
  }
  double cpu_seconds() const { return cpu_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t requests() const { return requests_; }

 private:
  void timed(const std::function<void()>& work) {
    const double before = thread_cpu_seconds();
    work();
    cpu_ += thread_cpu_seconds() - before;
  }
  void answer(delivery::Send& send) {
    ++requests_;
    bytes_ += send.request.body.size();
    Result<HttpResponse> reply = fail(Error::Code::unavailable, "connection refused");
    if (send.request.url.starts_with(kHost)) {
      send.request.url.erase(0, kHost.size());
      reply = sandbox_.handle(send.request, now_).response;
    }
    timed([&] { delivery_->on_reply(send.id, std::move(reply), now_); });
  }

  std::uint32_t healthy_;
  std::string directory_;
  std::size_t out_ = 0;  // requests on the wire
  Everybody people_;
  Random random_{1};
  sandbox::Sandbox sandbox_{{.known_share = 0.6, .seed = 1, .token = ""}};
  std::unique_ptr<Wire> wire_;  // with TLS
  std::unique_ptr<delivery::Ledger> ledger_;
  std::unique_ptr<delivery::Delivery> delivery_;
  Time now_{1'767'225'600'000};
  double cpu_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t requests_ = 0;
};

void cost_of_members(std::uint32_t members, bool tls) {
  Scene scene(1, 0, tls);
  const double client_before = cpu_seconds_of("http-client");
  scene.enter(SyncId{0}, 0, members);
  scene.deliver(members);
  const auto count = static_cast<double>(members);
  const double client = cpu_seconds_of("http-client") - client_before;
  const double cpu = scene.cpu_seconds() + client;
  if (tls) fmt::print("over TLS, of which the client takes {:.2f} us a member\n", client * 1e6 / count);
  fmt::print(
      "delivery: {:.0f} members/s of CPU, {:.2f} us and {:.0f} bytes a member, {:.0f} members a request\n",
      count / cpu, cpu * 1e6 / count, static_cast<double>(scene.bytes()) / count,
      count / static_cast<double>(scene.requests()));
}

void memory_of_a_backlog(std::uint32_t people) {
  const std::uint64_t idle = resident_bytes();
  Scene scene(1, 0);
  scene.enter(SyncId{0}, 0, people);
  const std::uint64_t waiting = resident_bytes();
  scene.deliver(std::min(people, 200'000u));
  fmt::print("backlog of {}: {:.0f} MiB above idle, {:.0f} MiB while it is delivered\n", people,
             static_cast<double>(waiting - idle) / (1 << 20),
             static_cast<double>(resident_bytes() - idle) / (1 << 20));
}

double cost_with(std::uint32_t syncs, std::uint32_t dead, std::uint32_t members) {
  Scene scene(syncs, dead);
  for (std::uint32_t i = syncs - dead; i < syncs; ++i) scene.enter(SyncId(i), 0, members);
  scene.let_the_dead_be_tried();
  for (std::uint32_t i = 0; i < syncs - dead; ++i) scene.enter(SyncId(i), 0, members);
  const std::uint64_t people = std::uint64_t{members} * (syncs - dead);
  scene.deliver(people);
  return scene.cpu_seconds() * 1e6 / static_cast<double>(people);
}

int run(int argc, char** argv) {
  std::uint32_t members = 1'000'000, backlog = 10'000'000, syncs = 50, dead = 10, tls = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const auto value = static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (name == "--members") members = value;
    if (name == "--backlog") backlog = value;
    if (name == "--syncs") syncs = value;
    if (name == "--dead") dead = value;
    if (name == "--tls") tls = value;
  }
  cost_of_members(members, tls != 0);
  if (tls != 0) return 0;
  memory_of_a_backlog(backlog);
  // Taking turns, and the least counts: neighbours on the machine only ever add.
  double alone = 0, beside = 0;
  for (int round = 0; round < 5; ++round) {
    const double one = cost_with(syncs - dead, 0, 10'000);
    const double other = cost_with(syncs, dead, 10'000);
    alone = round == 0 ? one : std::min(alone, one);
    beside = round == 0 ? other : std::min(beside, other);
  }
  fmt::print("{} syncs: {:.2f} us a member; beside {} dead ones {:.2f} us, {:.1f} % more\n", syncs - dead,
             alone, dead, beside, (beside / alone - 1) * 100);
  return 0;
}

}  // namespace
}  // namespace tailrace::bench

int main(int argc, char** argv) { return tailrace::bench::run(argc, argv); }
