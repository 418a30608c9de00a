#include "server/courier.h"

#include <chrono>

#include <spdlog/spdlog.h>

#include "base/thread_name.h"
#include "server/carrier.h"

namespace tailrace::server {

Courier::Courier(delivery::Ledger& ledger, delivery::ProfileSource& profiles, delivery::EventSource& events,
                 std::string folder, Clock clock, OnEntries on_entries)
    : folder_(std::move(folder)),
      clock_(std::move(clock)),
      on_entries_(std::move(on_entries)),
      dispatch_(ledger, profiles, events, Random(static_cast<std::uint64_t>(clock_().ms))) {}

Result<std::unique_ptr<Courier>> Courier::start(delivery::Ledger& ledger, delivery::ProfileSource& profiles,
                                                delivery::EventSource& events, std::string folder,
                                                std::shared_ptr<SecretSource> secrets, Clock clock,
                                                OnEntries on_entries) {
  std::unique_ptr<Courier> courier(
      new Courier(ledger, profiles, events, std::move(folder), std::move(clock), std::move(on_entries)));
  // As many as a sync of events may have requests at a time: one that waits for a connection may time out,
  // and would count as sent.
  courier->client_ = make_carrier(TRY(
      io::HttpClient::start({.connections_per_host_max = workspace::StreamConfig::kRequestsInFlightMax})));
  courier->keeper_ = std::make_unique<CredentialKeeper>(
      std::move(secrets), [raw = courier.get()](const std::string& destination, const auto& values) {
        raw->post_to_thread([raw, destination, values] {
          raw->dispatch_.renew_credentials(destination, values, raw->clock_());
        });
      });
  courier->thread_ = std::thread([raw = courier.get()] {
    name_thread("courier");
    raw->run();
  });
  return courier;
}

Courier::~Courier() { stop({0}); }

void Courier::post_to_thread(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    mailbox_.push_back(std::move(work));
  }
  arrived_.notify_one();
}

void Courier::post(std::function<void(delivery::Delivery*)> work) {
  post_to_thread([this, work = std::move(work)]() mutable { dispatch_.post(std::move(work)); });
}

void Courier::configure(Configuration configuration) {
  std::vector<CredentialKeeper::Watched> watched;
  for (const auto& destination : configuration.destinations) {
    CredentialKeeper::Watched each{destination.name, destination.credentials, {}};
    // Of one pass nothing is asked again.
    const auto use = [&](const std::string& name, const auto& connection) {
      if (name == destination.name && !connection.rests) each.values = connection.config.secrets;
    };
    for (const auto& connection : configuration.connections) use(connection.sync.destination, connection);
    for (const auto& connection : configuration.streams) use(connection.stream.destination, connection);
    if (!each.values.empty()) watched.push_back(std::move(each));
  }
  keeper_->watch(std::move(watched));
  auto shared = std::make_shared<Configuration>(std::move(configuration));
  post_to_thread([this, shared] { dispatch_.configure(std::move(*shared)); });
}

void Courier::change(std::vector<std::pair<SyncId, Delta>> changes, delivery::Delivery::Origin origin) {
  post_to_thread([this, changes = std::move(changes), origin]() mutable {
    dispatch_.change(std::move(changes), origin);
  });
}

void Courier::profiles_changed(std::vector<PersonId> people) {
  post_to_thread(
      [this, people = std::move(people)]() mutable { dispatch_.profiles_changed(std::move(people)); });
}

void Courier::attributes_changed(std::vector<PersonId> people) {
  post_to_thread(
      [this, people = std::move(people)]() mutable { dispatch_.attributes_changed(std::move(people)); });
}

// Many batches of records are one knock.
void Courier::logged() {
  {
    const std::lock_guard lock(mutex_);
    if (logged_) return;
    logged_ = true;
  }
  post_to_thread([this] {
    {
      const std::lock_guard lock(mutex_);
      logged_ = false;
    }
    dispatch_.logged();
  });
}

void Courier::send_due() {
  for (delivery::Send& send : dispatch_.poll(clock_())) {
    if (!send.reach.ca_file.empty() && !send.reach.ca_file.starts_with('/'))
      send.reach.ca_file = folder_ + "/" + send.reach.ca_file;
    client_->send(std::move(send.request), send.reach, [this, id = send.id](Result<HttpResponse> reply) {
      auto shared = std::make_shared<Result<HttpResponse>>(std::move(reply));
      post_to_thread([this, id, shared] { dispatch_.on_reply(id, std::move(*shared), clock_()); });
    });
  }
}

void Courier::run() {
  while (true) {
    std::deque<std::function<void()>> work;
    bool stopping = false;
    {
      std::unique_lock lock(mutex_);
      const auto until = [&] { return stopping_ ? stop_by_ : dispatch_.next_poll_at(); };
      const Millis wait = std::max(Millis{0}, std::min(until() - clock_(), kSecond));
      arrived_.wait_for(lock, std::chrono::milliseconds(wait.count),
                        [&] { return !mailbox_.empty() || (stopping_ && dispatch_.in_flight() == 0); });
      work = std::exchange(mailbox_, {});
      stopping = stopping_;
    }
    for (auto& item : work) item();
    dispatch_.settle(clock_());
    if (auto entries = dispatch_.take_entries(); !entries.empty()) on_entries_(std::move(entries));
    for (const auto& alert : dispatch_.take_alerts()) {
      spdlog::log(alert.mended ? spdlog::level::info : spdlog::level::err, "sync \"{}\" {}", alert.sync,
                  alert.text);
    }
    if (const auto refused = dispatch_.take_refused_credentials(); !refused.empty())
      keeper_->refused(refused);
    if (!stopping) {
      send_due();
      continue;
    }
    const std::lock_guard lock(mutex_);
    if (mailbox_.empty() && (dispatch_.in_flight() == 0 || clock_() >= stop_by_)) break;
  }
  dispatch_.abandon();
}

void Courier::stop(Millis grace) {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_by_ = clock_() + grace;
  }
  arrived_.notify_one();
  thread_.join();
  keeper_.reset();
  client_.reset();
}

}  // namespace tailrace::server
