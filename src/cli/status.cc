#include <map>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/expiry.h"
#include "cli/filling.h"
#include "cli/source.h"
#include "cli/stream.h"
#include "cli/table.h"
#include "cli/warehouse.h"
#include "delivery/connector.h"
#include "server/metrics.h"

namespace tailrace::cli {
namespace {

using delivery::SyncStatus;

// Without a running `serve`: what the ledger and the segments say.
Result<std::vector<SyncStatus>> resting_status(server::Core& core, const workspace::Workspace& workspace) {
  std::vector<SyncStatus> result;
  for (std::uint32_t i = 0; i < workspace.syncs.size(); ++i) {
    const auto& sync = workspace.syncs[i];
    const auto state =
        TRY(core.with_ledger([&](delivery::Ledger& ledger) { return ledger.state(sync.name); }));
    SyncStatus status;
    status.sync = sync.name;
    status.segment = sync.segment;
    status.destination = sync.destination;
    status.effect = sync.effect;
    status.mode = sync.mode;
    status.audience_id = state.audience_id;
    status.sent = state.sent;
    status.accepted = state.accepted;
    status.rejected = state.rejected;
    status.measured = state.measured;
    status.measured_at = state.measured_at;
    status.last_success_at = state.last_success_at;
    status.state = state.stopped_reason.empty() ? "not running: start `tailrace serve`"
                                                : "stopped: " + state.stopped_reason;
    if (sync.mode == workspace::Mode::dry_run) status.state = "dry run: nothing is sent";
    std::map<std::uint32_t, bool> standing;  // person -> acknowledged member
    TRY(core.with_ledger([&](delivery::Ledger& ledger) {
      return ledger.for_each(sync.name, [&](PersonId person, const delivery::Membership& membership) {
        standing[person.value] = membership.state == delivery::Membership::State::member;
        status.delivered += membership.state == delivery::Membership::State::member;
      });
    }));
    core.call([&](engine::Engine& engine) {
      for (const PersonId person : engine.members(engine.audience(SyncId(i)))) {
        if (server::held_out(sync, person)) continue;
        ++status.desired;
        const auto known = standing.find(person.value);
        status.pending += known == standing.end() || !known->second;
      }
      for (const auto& [person, member] : standing) {
        status.pending += member && !engine.contains(engine.audience(SyncId(i)), PersonId(person));
      }
      return true;
    });
    result.push_back(std::move(status));
  }
  return result;
}

int run_memory(const Run& run) {
  Table table({"part", "bytes", "unused", "bytes per event"});
  run.core.call([&](engine::Engine& engine) {
    const std::uint64_t events = engine.counts().events;
    const auto add = [&](const std::string& part, const MemoryUse& use) {
      Value per_event;
      if (events > 0)
        per_event = Value::of(Number::decimal(static_cast<std::int64_t>(use.bytes * 10 / events), 1));
      table.add({Value::of(part), number(use.bytes), number(use.unused), per_event});
    };
    const MemoryParts memory = server::memory_of_process(engine);
    for (const auto& [part, use] : memory.parts()) add(part, use);
    add("all", memory.total());
    return true;
  });
  run.console.out(table.print(run.command.format));
  return kDone;
}

// Credentials that have ended or will within two weeks, a line each.
std::string endings_in_words(const workspace::Workspace& workspace, Time now) {
  std::string text;
  for (const auto& destination : workspace.destinations) {
    for (const auto& [name, reference] : destination.credentials) {
      if (!reference.ends_at || *reference.ends_at - now > delivery::kCredentialsWarning) continue;
      const std::string day = format_time(*reference.ends_at).substr(0, 10);
      text += fmt::format("  `{}` of \"{}\" {} {}\n", name, destination.name,
                          *reference.ends_at <= now ? "ended on" : "ends on", day);
    }
  }
  return text;
}

}  // namespace

int run_status(const Run& run) {
  if (run.command.memory) return run_memory(run);
  const auto workspace = applied_workspace(run.core);
  if (!workspace) return run.fail(workspace.error());
  const auto streams = stream_status(run, *workspace);
  if (!streams) return run.fail(streams.error());
  if (run.command.streams) {
    run.console.out(*streams);
    return kDone;
  }
  std::vector<SyncStatus> syncs;
  if (run.core.courier() != nullptr) {
    syncs = run.core.courier()->call([](delivery::Delivery* delivery) {
      return delivery == nullptr ? std::vector<SyncStatus>() : delivery->status();
    });
  }
  if (syncs.empty()) {
    auto resting = resting_status(run.core, *workspace);
    if (!resting) return run.fail(resting.error());
    syncs = std::move(*resting);
  }

  Table table({"audience", "segment", "effect", "mode", "destination", "members", "sent", "accepted",
               "rejected", "pending", "no identifier", "size", "match rate", "last sync", "p50 ms", "p99 ms",
               "live", "state"});
  for (const SyncStatus& sync : syncs) {
    Value size;
    Value match;
    if (sync.measured && sync.measured->size) size = number(static_cast<std::uint64_t>(*sync.measured->size));
    if (sync.measured && sync.measured->match_rate)
      match = Value::of(fmt::format("{:.0f} %", *sync.measured->match_rate * 100));
    table.add({Value::of(sync.sync), Value::of(sync.segment),
               Value::of(sync.effect == workspace::Effect::suppress ? "suppress" : "target"),
               Value::of(std::string(to_string(sync.mode))), Value::of(sync.destination),
               number(sync.desired), number(sync.sent), number(sync.accepted), number(sync.rejected),
               number(sync.pending), number(sync.without_identifier), size, match,
               time_or_nothing(sync.last_success_at), millis_or_nothing(sync.latency_p50),
               millis_or_nothing(sync.latency_p99), number(sync.latency_count), Value::of(sync.state)});
  }
  // As json or csv one table alone can be read; that of streams is asked for by --streams.
  if (run.command.format != Format::text) {
    run.console.out(table.print(run.command.format));
    return kDone;
  }
  const auto warehouses = warehouse_status(run, *workspace);
  if (!warehouses) return run.fail(warehouses.error());
  const auto sources = source_status(run, *workspace);
  if (!sources) return run.fail(sources.error());
  std::string sections;
  const auto show = [&](const std::string& section) {
    if (!section.empty()) sections += (sections.empty() ? "" : "\n") + section;
  };
  if (!syncs.empty()) show(table.print(run.command.format));
  if (!workspace->streams.empty()) show(*streams);
  show(*warehouses);
  show(*sources);
  run.console.out(sections.empty() ? table.print(run.command.format) : sections);

  if (const std::string ends = endings_in_words(*workspace, run.core.now()); !ends.empty())
    run.console.out("\nCredentials:\n" + ends);

  struct Sums {
    engine::Counts counts;
    std::map<std::string, std::uint64_t> reasons;
    std::string filling;
    std::string expiries;
  };
  const auto sums = run.core.call([&run](engine::Engine& engine) {
    Sums result{.counts = engine.counts(), .reasons = {}, .filling = {}, .expiries = {}};
    result.expiries = expiries_in_words(engine, run.core.now());
    if (const auto filling = run.core.filling())
      result.filling = filling_in_words(filling->progress, run.core.now() - filling->since);
    for (const auto& item : engine.quarantine()) ++result.reasons[item.reason];
    return result;
  });
  run.console.out(fmt::format("\n{} people, {} events, {} duplicates, {} records\n",
                              grouped(sums.counts.people), grouped(sums.counts.events),
                              grouped(sums.counts.duplicates), grouped(sums.counts.records)));
  if (!sums.filling.empty()) run.console.out(sums.filling + "\n");
  if (!sums.expiries.empty()) run.console.out("\nExpiry:\n" + sums.expiries);
  if (!sums.reasons.empty()) {
    run.console.out(fmt::format("\nQuarantine: {} records\n", grouped(sums.counts.quarantined)));
    std::vector<std::pair<std::uint64_t, std::string>> by_count;
    for (const auto& [reason, count] : sums.reasons) by_count.emplace_back(count, reason);
    std::sort(by_count.rbegin(), by_count.rend());
    constexpr std::size_t kReasonsShown = 20;
    for (std::size_t i = 0; i < by_count.size() && i < kReasonsShown; ++i) {
      run.console.out(fmt::format("  {:>8}  {}\n", grouped(by_count[i].first), by_count[i].second));
    }
    if (by_count.size() > kReasonsShown)
      run.console.out(fmt::format("  and {} other reasons\n", by_count.size() - kReasonsShown));
  }
  // Why records were rejected, without saying whose they are.
  if (run.core.courier() != nullptr) {
    const auto rejections = run.core.courier()->call([&](delivery::Delivery* delivery) {
      std::map<std::string, std::uint64_t> reasons;
      for (std::uint32_t i = 0; delivery != nullptr && i < syncs.size(); ++i) {
        for (const auto& rejection : delivery->rejections(SyncId(i), 10'000))
          ++reasons[syncs[i].sync + ": " + rejection.reason];
      }
      return reasons;
    });
    if (!rejections.empty()) run.console.out("\nRejected or not uploadable:\n");
    for (const auto& [reason, count] : rejections)
      run.console.out(fmt::format("  {:>8}  {}\n", grouped(count), reason));
  }
  return kDone;
}

}  // namespace tailrace::cli
