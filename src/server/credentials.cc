#include "server/credentials.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include <spdlog/spdlog.h>

#include "base/thread_name.h"
#include "io/system_clock.h"

namespace tailrace::server {
namespace {

using Kind = workspace::SecretReference::Kind;

std::int64_t stopwatch_ms() { return io::stopwatch_nanoseconds() / 1'000'000; }

}  // namespace

Result<std::string> SecretSource::value(const workspace::SecretReference& reference) {
  if (reference.kind != Kind::command) return resolve_secret(reference, folder_);
  {
    const std::lock_guard lock(mutex_);
    const auto kept = std::ranges::find(kept_, reference, &Kept::reference);
    if (kept != kept_.end() && io::stopwatch_nanoseconds() - kept->at < kKeptNanoseconds) return kept->value;
  }
  return fresh(reference);
}

Result<std::string> SecretSource::fresh(const workspace::SecretReference& reference) {
  std::string value = TRY(resolve_secret(reference, folder_));
  if (reference.kind != Kind::command) return value;
  const std::lock_guard lock(mutex_);
  auto kept = std::ranges::find(kept_, reference, &Kept::reference);
  if (kept == kept_.end()) kept = kept_.insert(kept_.end(), {.reference = reference, .value = {}, .at = 0});
  kept->value = value;
  kept->at = io::stopwatch_nanoseconds();
  return value;
}

Secrets SecretSource::secrets(std::shared_ptr<SecretSource> source) {
  return [source = std::move(source)](const workspace::SecretReference& reference) {
    return source->value(reference);
  };
}

CredentialKeeper::CredentialKeeper(std::shared_ptr<SecretSource> source, OnChange on_change)
    : source_(std::move(source)), on_change_(std::move(on_change)) {
  thread_ = std::thread([this] {
    name_thread("credentials");
    run();
  });
}

CredentialKeeper::~CredentialKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_one();
  thread_.join();
}

void CredentialKeeper::watch(std::vector<Watched> all) {
  {
    const std::lock_guard lock(mutex_);
    ++generation_;
    entries_.clear();
    for (Watched& watched : all) {
      Entry entry{.watched = std::move(watched)};
      for (const auto& [name, reference] : entry.watched.references) {
        entry.has_file = entry.has_file || reference.kind == Kind::file;
        entry.has_program = entry.has_program || reference.kind == Kind::command;
      }
      entry.asked_ms = stopwatch_ms();
      entry.due_ms = next_due(entry, entry.asked_ms);
      entries_.push_back(std::move(entry));
    }
  }
  woken_.notify_one();
}

void CredentialKeeper::refused(const std::vector<std::string>& destinations) {
  {
    const std::lock_guard lock(mutex_);
    for (Entry& entry : entries_) {
      if (std::ranges::find(destinations, entry.watched.destination) == destinations.end()) continue;
      entry.refused = true;
      entry.due_ms = std::min(entry.due_ms, entry.asked_ms + kRefusedEvery.count);
    }
  }
  woken_.notify_one();
}

std::int64_t CredentialKeeper::next_due(const Entry& entry, std::int64_t now_ms) {
  if (entry.has_file) return now_ms + kFilesEvery.count;
  if (entry.has_program) return now_ms + kProgramsEvery.count;
  return std::numeric_limits<std::int64_t>::max();  // the environment of a process does not change
}

void CredentialKeeper::run() {
  std::unique_lock lock(mutex_);
  std::map<std::string, std::int64_t> programs_ms;  // when those of a destination ran last
  while (!stopping_) {
    const std::int64_t now_ms = stopwatch_ms();
    const auto due =
        std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.due_ms <= now_ms; });
    if (due == entries_.end()) {
      std::int64_t next_ms = now_ms + kProgramsEvery.count;
      for (const Entry& entry : entries_) next_ms = std::min(next_ms, entry.due_ms);
      woken_.wait_for(lock, std::chrono::milliseconds(next_ms - now_ms));
      continue;
    }
    std::int64_t& ran_ms = programs_ms.try_emplace(due->watched.destination, due->asked_ms).first->second;
    const bool also_programs = due->refused || now_ms - ran_ms >= kProgramsEvery.count;
    if (also_programs) ran_ms = now_ms;
    due->refused = false;
    due->asked_ms = now_ms;
    due->due_ms = next_due(*due, now_ms);
    const Watched watched = due->watched;
    const std::uint64_t generation = generation_;
    lock.unlock();
    const auto changed = asked(watched, also_programs);
    if (changed) on_change_(watched.destination, *changed);
    lock.lock();
    if (!changed || generation != generation_) continue;
    for (Entry& entry : entries_) {
      if (entry.watched.destination == watched.destination) entry.watched.values = *changed;
    }
  }
}

std::optional<std::map<std::string, std::string>> CredentialKeeper::asked(const Watched& watched,
                                                                          bool also_programs) {
  std::map<std::string, std::string> values = watched.values;
  for (const auto& [name, reference] : watched.references) {
    if (reference.kind == Kind::command && !also_programs) continue;
    if (auto value = source_->fresh(reference)) {
      values[name] = std::move(*value);
    } else {
      // What is in use goes on being used.
      spdlog::warn("destination \"{}\": the credential `{}` cannot be read again: {}", watched.destination,
                   name, value.error().message);
    }
  }
  if (values == watched.values) return std::nullopt;
  spdlog::info("destination \"{}\": its credentials have changed, and are used from now on",
               watched.destination);
  return values;
}

}  // namespace tailrace::server
