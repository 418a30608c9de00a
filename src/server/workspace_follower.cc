#include "server/workspace_follower.h"

#include <chrono>

#include "base/calendar.h"
#include "base/thread_name.h"
#include "delivery/cron.h"
#include "server/core.h"

namespace tailrace::server {
namespace {

constexpr std::chrono::milliseconds kLook{500};

}  // namespace

Time next_due(const workspace::Cadence& cadence, const std::string& time_zone, Time after) {
  if (cadence.kind == workspace::Cadence::Kind::every) return after + cadence.every;
  const auto zone = Zone::named(time_zone);
  const auto cron = delivery::Cron::parse(cadence.cron);
  return zone && cron ? cron->next_after(after, *zone) : after + kHour;
}

void WorkspaceFollower::start(const char* thread_name) {
  thread_ = std::thread([this, thread_name] {
    name_thread(thread_name);
    follow();
  });
}

void WorkspaceFollower::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  duties_.end_workers();
}

void WorkspaceFollower::follow() {
  while (true) {
    std::uint64_t generation = 0;
    const auto live = core_.call([&](engine::Engine& engine) -> std::optional<workspace::Workspace> {
      generation = engine.generation();
      if (engine.workspace() == nullptr || generation == followed_) return std::nullopt;
      return *engine.workspace();
    });
    if (live) {
      duties_.end_workers();
      duties_.take_up(*live);
    }
    if (duties_.look) duties_.look();
    std::unique_lock lock(mutex_);
    followed_ = generation;
    changed_.notify_all();
    changed_.wait_for(lock, kLook, [&] { return stopping_ || look_; });
    look_ = false;
    if (stopping_) return;
  }
}

void WorkspaceFollower::catch_up() {
  const std::uint64_t generation = core_.call([](engine::Engine& engine) { return engine.generation(); });
  std::unique_lock lock(mutex_);
  while (!stopping_ && (!followed_ || *followed_ < generation)) {
    look_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, kLook);
  }
}

}  // namespace tailrace::server
