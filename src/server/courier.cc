#include "server/courier.h"

#include <chrono>

#include <spdlog/spdlog.h>

#include "base/thread_name.h"

namespace tailrace::server {

Courier::Courier(delivery::Ledger& ledger, delivery::ProfileSource& profiles, Clock clock,
                 OnEntries on_entries)
    : ledger_(ledger),
      profiles_(profiles),
      clock_(std::move(clock)),
      on_entries_(std::move(on_entries)),
      random_(static_cast<std::uint64_t>(clock_().ms)) {}

Result<std::unique_ptr<Courier>> Courier::start(delivery::Ledger& ledger, delivery::ProfileSource& profiles,
                                                Clock clock, OnEntries on_entries) {
  std::unique_ptr<Courier> courier(new Courier(ledger, profiles, std::move(clock), std::move(on_entries)));
  courier->client_ = TRY(io::HttpClient::start({}));
  courier->thread_ = std::thread([raw = courier.get()] {
    name_thread("courier");
    raw->run();
  });
  return courier;
}

Courier::~Courier() { stop({0}); }

void Courier::post(std::function<void(delivery::Delivery*)> work) {
  {
    const std::lock_guard lock(mutex_);
    mailbox_.push_back(std::move(work));
  }
  arrived_.notify_one();
}

void Courier::configure(Configuration configuration) {
  // The configuration waits inside the thread until nothing is in flight; what is posted after it waits
  // behind it.
  auto shared = std::make_shared<Configuration>(std::move(configuration));
  post([this, shared](delivery::Delivery*) {
    waiting_configuration_ = std::make_unique<Configuration>(std::move(*shared));
  });
}

void Courier::change(std::vector<std::pair<SyncId, Delta>> changes, delivery::Delivery::Origin origin) {
  post([changes = std::move(changes), origin](delivery::Delivery* delivery) {
    if (delivery == nullptr) return;
    for (const auto& [sync, delta] : changes) delivery->on_change(sync, delta, origin);
  });
}

void Courier::profiles_changed(std::vector<PersonId> people) {
  post([people = std::move(people)](delivery::Delivery* delivery) {
    if (delivery == nullptr) return;
    for (const PersonId person : people) delivery->on_profile_change(person);
  });
}

void Courier::reconfigure() {
  const auto configuration = std::move(waiting_configuration_);
  auto created =
      delivery::Delivery::create(std::move(configuration->connections), ledger_, profiles_, random_, {});
  if (!created) {
    spdlog::error("delivery stopped: {}", created.error().message);
    delivery_.reset();
    return;
  }
  delivery_ = std::move(*created);
  const Time now = clock_();
  for (std::uint32_t sync = 0; sync < configuration->desired.size(); ++sync) {
    delivery_->set_desired(SyncId(sync), std::move(configuration->desired[sync]), now);
  }
}

void Courier::send_due(Time now) {
  for (delivery::Send& send : delivery_->poll(now)) {
    ++in_flight_;
    client_->send(std::move(send.request), [this, id = send.id](Result<HttpResponse> reply) {
      auto shared = std::make_shared<Result<HttpResponse>>(std::move(reply));
      {
        const std::lock_guard lock(mutex_);
        replies_.push_back([this, id, shared](delivery::Delivery* delivery) {
          --in_flight_;
          if (delivery != nullptr) delivery->on_reply(id, std::move(*shared), clock_());
        });
      }
      arrived_.notify_one();
    });
  }
}

void Courier::run() {
  while (true) {
    std::deque<std::function<void(delivery::Delivery*)>> work;
    {
      std::unique_lock lock(mutex_);
      const auto has_work = [&] {
        return !replies_.empty() || (!mailbox_.empty() && waiting_configuration_ == nullptr) ||
               (waiting_configuration_ != nullptr && in_flight_ == 0) || (stopping_ && in_flight_ == 0);
      };
      Time until = stopping_ ? stop_by_ : kNever;
      if (!stopping_ && delivery_ != nullptr && waiting_configuration_ == nullptr)
        until = delivery_->next_poll_at();
      const Millis wait = std::max(Millis{0}, std::min(until - clock_(), kSecond));
      arrived_.wait_for(lock, std::chrono::milliseconds(wait.count), has_work);
      if (stopping_ && replies_.empty() && (in_flight_ == 0 || clock_() >= stop_by_)) {
        // Nobody must wait for an answer that never comes.
        work = std::move(mailbox_);
        lock.unlock();
        for (auto& item : work) item(nullptr);
        return;
      }
      if (!replies_.empty()) {
        work = std::move(replies_);
        replies_.clear();
      } else if (waiting_configuration_ == nullptr && !mailbox_.empty()) {
        // One at a time: a configuration holds back what comes behind it.
        work.push_back(std::move(mailbox_.front()));
        mailbox_.pop_front();
      }
    }
    for (auto& item : work) item(delivery_.get());
    if (waiting_configuration_ != nullptr && in_flight_ == 0) reconfigure();
    if (delivery_ == nullptr) continue;
    if (auto entries = delivery_->take_entries(); !entries.empty()) on_entries_(std::move(entries));
    bool stopping = false;
    {
      const std::lock_guard lock(mutex_);
      stopping = stopping_;
    }
    if (!stopping && waiting_configuration_ == nullptr) send_due(clock_());
  }
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
  client_.reset();
}

}  // namespace tailrace::server
