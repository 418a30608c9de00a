#include "server/dispatch.h"

#include <spdlog/spdlog.h>

namespace tailrace::server {

Dispatch::Dispatch(delivery::Ledger& ledger, delivery::ProfileSource& profiles, Random random)
    : ledger_(ledger), profiles_(profiles), random_(random) {}

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
  auto created =
      delivery::Delivery::create(std::move(configuration.connections), ledger_, profiles_, random_, {});
  if (!created) {
    spdlog::error("delivery stopped: {}", created.error().message);
    delivery_.reset();
    return;
  }
  delivery_ = std::move(*created);
  for (std::uint32_t sync = 0; sync < configuration.desired.size(); ++sync) {
    delivery_->set_desired(SyncId(sync), std::move(configuration.desired[sync]), now);
  }
}

std::vector<delivery::Send> Dispatch::poll(Time now) {
  if (delivery_ == nullptr || !waiting_.empty()) return {};
  auto sends = delivery_->poll(now);
  in_flight_ += sends.size();
  return sends;
}

Time Dispatch::next_poll_at() const {
  return delivery_ == nullptr || !waiting_.empty() ? kNever : delivery_->next_poll_at();
}

void Dispatch::on_reply(std::uint64_t send_id, Result<HttpResponse> reply, Time now) {
  --in_flight_;
  if (delivery_ != nullptr) delivery_->on_reply(send_id, std::move(reply), now);
}

std::vector<delivery::Delivery::Entry> Dispatch::take_entries() {
  return delivery_ == nullptr ? std::vector<delivery::Delivery::Entry>() : delivery_->take_entries();
}

std::vector<delivery::Delivery::Alert> Dispatch::take_alerts() {
  return delivery_ == nullptr ? std::vector<delivery::Delivery::Alert>() : delivery_->take_alerts();
}

void Dispatch::abandon() {
  for (auto& each : std::exchange(waiting_, {})) {
    if (each.work) each.work(nullptr);
  }
}

}  // namespace tailrace::server
