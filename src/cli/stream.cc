// pause, resume, reset, replay: stream syncs by hand; and what `status` and `dlq` say of them.
#include "cli/stream.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/deliveries.h"
#include "cli/source.h"
#include "cli/table.h"
#include "cli/warehouse.h"
#include "server/connections.h"

namespace tailrace::cli {
namespace {

using delivery::StreamDeadLetter;
using delivery::StreamRefusals;
using delivery::Streams;
using delivery::StreamStatus;

Result<std::vector<StreamDeadLetter>> chosen(Streams& streams, const std::string& stream,
                                             const Choice& choice) {
  auto letters = TRY(streams.dead_letters(stream));
  std::erase_if(letters, [&](const auto& letter) { return !choice.takes(letter.reason, letter.at); });
  return letters;
}

Result<std::string> reset(const Run& run, Streams& streams) {
  const std::string& to = run.command.to;
  Position cursor = run.core.end();
  if (to == "beginning") {
    cursor = run.core.begin();
  } else if (to != "now") {
    cursor = TRY(run.core.received_since(TRY(parse_time(to))));
  }
  TRY(streams.reset(run.command.sync, cursor));
  return fmt::format("\"{}\" goes on {}, once it is resumed.\n", run.command.sync,
                     to == "now"         ? "with what comes in from now on"
                     : to == "beginning" ? "from the beginning of the log"
                                         : "with what was received since " + to);
}

Result<std::string> replay(const Run& run, Streams& streams) {
  const Time from = TRY(instant(run.command.from, kTimeMin));
  const Time to = TRY(instant(run.command.to, kNever));
  if (to <= from) return invalid("--to is not after --from");
  const std::uint64_t bytes = TRY(streams.replay(run.command.sync, from, to));
  if (bytes == 0) return std::string("There is nothing to replay: no event was sent yet that lies there.\n");
  return fmt::format("\"{}\" sends its events since {} once more: {} bytes of the log are walked{}.\n",
                     run.command.sync, run.command.from.empty() ? "the beginning" : run.command.from,
                     grouped(bytes), run.core.courier() == nullptr ? " when `tailrace serve` runs" : "");
}

Result<std::string> act(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  if (workspace.find_stream(run.command.sync) == nullptr &&
      workspace.find_sync(run.command.sync) != nullptr) {
    return fail(Error::Code::conflict,
                fmt::format("the sync \"{}\" keeps an audience; `{}` is for syncs that send events",
                            run.command.sync, run.command.name));
  }
  if (workspace.find_warehouse(run.command.sync) != nullptr) {
    if (run.command.name == "pause" || run.command.name == "resume")
      return pause_warehouse(run, workspace, run.command.name == "pause");
    return fail(Error::Code::conflict,
                fmt::format("the sync \"{}\" keeps tables; `{}` is for syncs that send events",
                            run.command.sync, run.command.name));
  }
  if (workspace.find_stream(run.command.sync) == nullptr &&
      workspace.find_query_source(run.command.sync) != nullptr &&
      (run.command.name == "pause" || run.command.name == "resume"))
    return pause_source(run, workspace, run.command.name == "pause");
  return with_streams(run.core, workspace, [&](Streams& streams) -> Result<std::string> {
    if (run.command.name == "reset") return reset(run, streams);
    if (run.command.name == "replay") return replay(run, streams);
    if (run.command.name == "pause") {
      TRY(streams.pause(run.command.sync));
      return fmt::format("\"{}\" is paused; what comes in waits in the log.\n", run.command.sync);
    }
    TRY(streams.resume(run.command.sync));
    return fmt::format("\"{}\" goes on.\n", run.command.sync);
  });
}

}  // namespace

Result<std::unique_ptr<RestingStreams>> resting_streams(server::Core& core,
                                                        const workspace::Workspace& workspace) {
  const server::Secrets none = [](const workspace::SecretReference&) { return std::string("none"); };
  auto connections = TRY(server::connect_streams(workspace, none));
  delivery::Ledger& ledger = *core.with_ledger([](delivery::Ledger& owned) { return &owned; });
  auto resting = std::make_unique<RestingStreams>();
  resting->streams =
      TRY(Streams::create(std::move(connections), ledger, core, resting->random, {}, core.now()));
  return resting;
}

std::vector<std::string> asked_streams(const workspace::Workspace& workspace, const std::string& name) {
  std::vector<std::string> names;
  names.reserve(workspace.streams.size());
  for (const auto& stream : workspace.streams) {
    if (name.empty() || stream.name == name) names.push_back(stream.name);
  }
  return names;
}

Result<std::vector<Letter>> stream_letters(const Run& run, const workspace::Workspace& workspace,
                                           const std::vector<std::string>& streams, const Choice& choice) {
  using Found = std::vector<std::pair<std::string, StreamDeadLetter>>;
  const auto found = TRY(with_streams(run.core, workspace, [&](Streams& running) -> Result<Found> {
    Found all;
    for (const std::string& stream : streams) {
      for (StreamDeadLetter& letter : TRY(chosen(running, stream, choice)))
        all.emplace_back(stream, std::move(letter));
    }
    return all;
  }));
  return run.core.call([&](engine::Engine& engine) {
    std::vector<Letter> letters;
    letters.reserve(found.size());
    for (const auto& [stream, letter] : found) {
      letters.push_back({.sync = stream,
                         .what = letter.event,
                         .person = masked_name(engine, letter.person),
                         .reason = letter.reason,
                         .at = letter.at,
                         .dropped = false});
    }
    return letters;
  });
}

Result<std::size_t> act_on_stream_letters(const Run& run, const workspace::Workspace& workspace,
                                          const std::vector<std::string>& streams, const Choice& choice) {
  return with_streams(run.core, workspace, [&](Streams& running) -> Result<std::size_t> {
    std::size_t done = 0;
    for (const std::string& stream : streams) {
      std::vector<Position> positions;
      for (const StreamDeadLetter& letter : TRY(chosen(running, stream, choice)))
        positions.push_back(letter.position);
      done += TRY(run.command.action == "retry" ? running.retry(stream, positions)
                                                : running.drop(stream, positions));
    }
    return done;
  });
}

Result<std::string> stream_status(const Run& run, const workspace::Workspace& workspace) {
  struct Seen {
    std::vector<StreamStatus> streams;
    std::vector<std::pair<std::string, StreamRefusals>> refusals;
  };
  const auto seen = TRY(with_streams(run.core, workspace, [&](Streams& streams) -> Result<Seen> {
    Seen all{.streams = streams.status(), .refusals = {}};
    for (const StreamStatus& each : all.streams) {
      for (StreamRefusals& refusals : TRY(streams.refusals(each.sync)))
        all.refusals.emplace_back(each.sync, std::move(refusals));
    }
    return all;
  }));
  Table table({"events to", "mode", "destination", "sent", "accepted", "rejected", "never sent",
               "dead letters", "waiting", "behind bytes", "oldest", "last sync", "p50 ms", "p99 ms",
               "state"});
  for (const StreamStatus& each : seen.streams) {
    const bool rests = run.core.courier() == nullptr && !each.stopped && each.state != "paused";
    std::string state = rests ? std::string(kNotRunning) : each.state;
    if (each.replayed) state += fmt::format(" (replay: {:.0f} %)", *each.replayed * 100);
    table.add({Value::of(each.sync), Value::of(std::string(to_string(each.mode))),
               Value::of(each.destination), number(each.sent), number(each.accepted), number(each.rejected),
               number(each.refused), number(each.dead_letters), number(each.unsettled),
               number(each.behind_bytes), time_or_nothing(each.oldest), time_or_nothing(each.last_success_at),
               millis_or_nothing(each.latency_p50), millis_or_nothing(each.latency_p99),
               Value::of(std::move(state))});
  }
  std::string text = table.print(run.command.format);
  if (run.command.format != Format::text || seen.refusals.empty()) return text;
  text += "\nNever sent, by reason:\n";
  const auto people = run.core.call([&](engine::Engine& engine) {
    std::vector<std::string> names;
    names.reserve(seen.refusals.size());
    for (const auto& [stream, refusals] : seen.refusals)
      names.push_back(masked_name(engine, refusals.person));
    return names;
  });
  for (std::size_t i = 0; i < people.size(); ++i) {
    const auto& [stream, refusals] = seen.refusals[i];
    text += fmt::format("  {:>8}  {}: {}\n", grouped(refusals.count), stream, refusals.reason);
    text += fmt::format("            the last: of {}, at {}\n", people[i], format_time(refusals.last_at));
  }
  return text;
}

std::vector<StreamDifference> stream_differences(const workspace::Workspace& applied,
                                                 const workspace::Workspace& folder) {
  using Start = workspace::StreamConfig::Start;
  std::vector<StreamDifference> all;
  for (const auto& stream : folder.streams) {
    const auto* before = applied.find_stream(stream.name);
    if (before == nullptr) {
      all.push_back(
          {stream.name, "new",
           fmt::format(
               "\"{}\" is new: it sends what comes in from now on{}", stream.name,
               stream.start == Start::beginning ? ", after what the log has had since its beginning" : "")});
    } else if (*before == stream) {
      all.push_back({stream.name, "same", ""});
    } else {
      all.push_back(
          {stream.name, "changed",
           fmt::format("\"{}\" changed: what it has not sent yet goes as it says now", stream.name)});
    }
  }
  for (const auto& stream : applied.streams) {
    if (folder.find_stream(stream.name) != nullptr) continue;
    all.push_back(
        {stream.name, "gone",
         fmt::format("\"{}\" goes away: what it has not sent stays unsent. A sync of that name that "
                     "comes back goes on where it ended",
                     stream.name)});
  }
  return all;
}

int run_stream(const Run& run) {
  const auto said = act(run);
  if (!said) return run.fail(said.error());
  run.console.out(*said);
  return kDone;
}

}  // namespace tailrace::cli
