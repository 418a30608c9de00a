#include "server/dispatch.h"

#include <algorithm>
#include <iterator>

#include <spdlog/spdlog.h>

namespace tailrace::server {

Dispatch::Dispatch(delivery::Ledger& ledger, delivery::ProfileSource& profiles, delivery::EventSource& events,
                   Random random)
    : ledger_(ledger), profiles_(profiles), events_(events), random_(random) {}

void Dispatch::logged() {
  if (streams_ != nullptr) streams_->wake();
}

void Dispatch::configure(Configuration configuration) {
  waiting_.push_back({std::make_unique<Configuration>(std::move(configuration)), nullptr});
}

void Dispatch::change(std::vector<std::pair<SyncId, Delta>> changes, delivery::Delivery::Origin origin) {
  post([changes = std::move(changes), origin](delivery::Delivery* delivery) {
    if (delivery == nullptr) return;
    for (const auto& [sync, delta] : changes) delivery->on_change(sync, delta, origin);
  });
}

void Dispatch::profiles_changed(std::vector<PersonId> people) {
  post([people = std::move(people)](delivery::Delivery* delivery) {
    if (delivery == nullptr) return;
    for (const PersonId person : people) delivery->on_profile_change(person);
  });
}

void Dispatch::attributes_changed(std::vector<PersonId> people) {
  post([people = std::move(people)](delivery::Delivery* delivery) {
    if (delivery == nullptr) return;
    for (const PersonId person : people) delivery->on_attributes_change(person);
  });
}

void Dispatch::post(std::function<void(delivery::Delivery*)> work) {
  if (waiting_.empty()) {
    work(delivery_.get());
  } else {
    waiting_.push_back({nullptr, std::move(work)});
  }
}

bool Dispatch::settle(Time now) {
  while (!waiting_.empty()) {
    Waiting& first = waiting_.front();
    if (first.configuration != nullptr) {
      if (in_flight_ > 0) return false;
      take_up(std::move(*first.configuration), now);
    } else {
      first.work(delivery_.get());
    }
    waiting_.pop_front();
  }
  return true;
}

void Dispatch::take_up(Configuration configuration, Time now) {
  delivery_.reset();
  streams_.reset();
  ledger_.keep_deliveries(configuration.keep_deliveries);
  auto created =
      delivery::Delivery::create(std::move(configuration.connections), ledger_, profiles_, random_, {});
  if (!created) {
    spdlog::error("delivery stopped: {}", created.error().message);
    return;
  }
  auto streams =
      delivery::Streams::create(std::move(configuration.streams), ledger_, events_, random_, {}, now);
  if (!streams) {
    spdlog::error("delivery stopped: {}", streams.error().message);
    return;
  }
  streams_ = std::move(*streams);
  delivery_ = std::move(*created);
  for (std::uint32_t sync = 0; sync < configuration.desired.size(); ++sync) {
    delivery_->set_desired(SyncId(sync), std::move(configuration.desired[sync]), now);
  }
}

std::vector<delivery::Send> Dispatch::poll(Time now) {
  if (delivery_ == nullptr || !waiting_.empty()) return {};
  auto sends = delivery_->poll(now);
  std::ranges::move(streams_->poll(now), std::back_inserter(sends));
  in_flight_ += sends.size();
  return sends;
}

Time Dispatch::next_poll_at() const {
  if (delivery_ == nullptr || !waiting_.empty()) return kNever;
  return std::min(delivery_->next_poll_at(), streams_->next_poll_at());
}

void Dispatch::on_reply(std::uint64_t send_id, Result<HttpResponse> reply, Time now) {
  --in_flight_;
  if (delivery_ == nullptr) return;
  if ((send_id & delivery::kStreamSend) != 0) {
    streams_->on_reply(send_id, std::move(reply), now);
  } else {
    delivery_->on_reply(send_id, std::move(reply), now);
  }
}

std::vector<delivery::Delivery::Entry> Dispatch::take_entries() {
  return delivery_ == nullptr ? std::vector<delivery::Delivery::Entry>() : delivery_->take_entries();
}

std::vector<delivery::Delivery::Alert> Dispatch::take_alerts() {
  if (delivery_ == nullptr) return {};
  auto alerts = delivery_->take_alerts();
  std::ranges::move(streams_->take_alerts(), std::back_inserter(alerts));
  return alerts;
}

std::vector<std::string> Dispatch::take_refused_credentials() {
  if (delivery_ == nullptr) return {};
  auto refused = delivery_->take_refused_credentials();
  std::ranges::move(streams_->take_refused_credentials(), std::back_inserter(refused));
  return refused;
}

void Dispatch::renew_credentials(const std::string& destination,
                                 const std::map<std::string, std::string>& secrets, Time now) {
  if (delivery_ == nullptr) return;
  delivery_->renew_credentials(destination, secrets, now);
  streams_->renew_credentials(destination, secrets, now);
}

void Dispatch::abandon() {
  for (auto& each : std::exchange(waiting_, {})) {
    if (each.work) each.work(nullptr);
  }
}

}  // namespace tailrace::server
