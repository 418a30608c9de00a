// sync NAME --once: one bounded pass of a sync, whatever its cadence, waiting for the answers.
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/deliveries.h"
#include "cli/dlq.h"
#include "cli/stream.h"
#include "cli/table.h"

namespace tailrace::cli {
namespace {

using delivery::Pass;

constexpr std::chrono::milliseconds kAskAgain{50};

struct Ended {
  Pass pass;
  std::string state;  // of the sync, as `status` shows it
  std::uint64_t pending = 0;
};

// So far. Errors: unavailable (a workspace was applied meanwhile).
Result<Ended> look(const Run& run, const workspace::Workspace& workspace, bool is_stream) {
  const auto gone = [] {
    return fail(Error::Code::unavailable, "a workspace was applied in this moment; ask again");
  };
  if (is_stream) {
    return with_streams(run.core, workspace, [&](delivery::Streams& streams) -> Result<Ended> {
      auto pass = TRY(streams.pass(run.command.sync));
      if (!pass) return gone();
      for (const auto& each : streams.status()) {
        if (each.sync == run.command.sync) return Ended{std::move(*pass), each.state, each.unsettled};
      }
      return gone();
    });
  }
  const SyncId sync = TRY(find_sync(workspace, run.command.sync));
  return with_delivery(run.core, workspace, [&](delivery::Delivery& delivery) -> Result<Ended> {
    auto pass = delivery.pass(sync);
    if (!pass) return gone();
    const auto status = delivery.status()[sync.value];
    return Ended{std::move(*pass), status.state, status.pending};
  });
}

Result<void> begin(const Run& run, const workspace::Workspace& workspace, bool is_stream) {
  const std::uint64_t most = run.command.limit == 0 ? UINT32_MAX : run.command.limit;
  if (is_stream) {
    return with_streams(run.core, workspace, [&](delivery::Streams& streams) {
      return streams.begin_pass(run.command.sync, most, run.core.now());
    });
  }
  const SyncId sync = TRY(find_sync(workspace, run.command.sync));
  return with_delivery(run.core, workspace, [&](delivery::Delivery& delivery) {
    return delivery.begin_pass(sync, most, run.core.now());
  });
}

// Until it is done, or as far as it came when the time was up or nobody listened any more.
Result<Ended> finish(const Run& run, const workspace::Workspace& workspace, bool is_stream) {
  const Millis patience = TRY(parse_duration(run.command.timeout));
  const Time until = run.core.now() + patience;
  for (;;) {
    Ended seen = TRY(look(run, workspace, is_stream));
    if (seen.pass.done || run.core.now() >= until || run.console.gone()) return seen;
    std::this_thread::sleep_for(kAskAgain);
  }
}

Table one_by_one(const Run& run, const Pass& pass) {
  return run.core.call([&](engine::Engine& engine) {
    Table table({"person", "what", "outcome", "reason"});
    for (const Pass::Record& record : pass.records) {
      table.add({Value::of(masked_name(engine, record.person)), Value::of(record.what),
                 Value::of(std::string(to_string(record.outcome))),
                 record.reason.empty() ? Value() : Value::of(record.reason)});
    }
    return table;
  });
}

std::string counts_in_words(const Pass& pass) {
  std::string text;
  for (const auto& [key, count] : pass.counts) {
    const auto& [outcome, what, reason] = key;
    text += fmt::format("  {:>8}  {}: {}{}{}\n", grouped(count), what, to_string(outcome),
                        reason.empty() ? "" : ", ", reason);
  }
  return text.empty() ? "  nothing was to be sent\n" : text;
}

int exit_of(const Ended& ended) {
  if (ended.state.starts_with("stopped")) return kConflict;
  if (!ended.pass.done) return kUnavailable;
  for (const auto& [key, count] : ended.pass.counts) {
    const Pass::Outcome outcome = std::get<0>(key);
    if (outcome == Pass::Outcome::refused || outcome == Pass::Outcome::rejected ||
        outcome == Pass::Outcome::unknown)
      return kFailed;
  }
  return kDone;
}

Result<int> sync_once(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  const bool is_stream = workspace.find_stream(run.command.sync) != nullptr;
  TRY(begin(run, workspace, is_stream));
  const Ended ended = TRY(finish(run, workspace, is_stream));
  run.console.out(one_by_one(run, ended.pass).print(run.command.format));
  if (run.command.format != Format::text) return exit_of(ended);
  std::uint64_t all = 0;
  for (const auto& [key, count] : ended.pass.counts) all += count;
  if (all > ended.pass.records.size())
    run.console.out(fmt::format("and {} more\n", grouped(all - ended.pass.records.size())));
  run.console.out("\n" + counts_in_words(ended.pass));
  if (!ended.pass.done) {
    run.console.out(fmt::format("\nNot all was answered within {}: {}\n", run.command.timeout, ended.state));
  } else if (ended.pending > 0 || exit_of(ended) == kConflict) {
    run.console.out(fmt::format("\n{} more wait: {}\n", grouped(ended.pending), ended.state));
  }
  return exit_of(ended);
}

}  // namespace

int run_sync(const Run& run) {
  const auto code = sync_once(run);
  return code ? *code : run.fail(code.error());
}

}  // namespace tailrace::cli
