// dlq list|show|retry|drop: what delivery and ingest gave up on until something changes.
#include "cli/dlq.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/deliveries.h"
#include "cli/stream.h"
#include "model/record.h"

namespace tailrace::cli {
namespace {

using delivery::DeadLetter;

struct SyncLetters {
  SyncId sync;
  std::vector<DeadLetter> letters;
};

struct Asked {
  workspace::Workspace workspace;
  std::vector<SyncId> syncs;
  std::vector<std::string> streams;
  bool quarantine = false;
  Choice choice;
};

Result<Asked> read_asked(const Run& run) {
  Asked asked;
  asked.workspace = TRY(applied_workspace(run.core));
  asked.quarantine = run.command.sync.empty() || run.command.sync == kQuarantine;
  if (run.command.sync != kQuarantine) asked.streams = asked_streams(asked.workspace, run.command.sync);
  if (asked.streams.empty() || run.command.sync.empty()) {
    if (run.command.sync != kQuarantine || find_sync(asked.workspace, run.command.sync))
      asked.syncs = TRY(asked_syncs(asked.workspace, run.command.sync));
  }
  asked.choice.reason = run.command.reason;
  asked.choice.from = TRY(instant(run.command.from, kTimeMin));
  asked.choice.to = TRY(instant(run.command.to, kTimeMax));
  if (asked.choice.to < asked.choice.from) return invalid("--to is before --from");
  return asked;
}

Result<std::vector<DeadLetter>> chosen(const delivery::Delivery& delivery, SyncId sync,
                                       const Choice& choice) {
  auto letters = TRY(delivery.dead_letters(sync));
  std::erase_if(letters, [&](const DeadLetter& letter) { return !choice.takes(letter.reason, letter.at); });
  return letters;
}

// Of delivery, masked.
Result<std::vector<Letter>> delivery_letters(const Run& run, const Asked& asked) {
  const auto found = TRY(with_delivery(run.core, asked.workspace,
                                       [&](delivery::Delivery& delivery) -> Result<std::vector<SyncLetters>> {
                                         std::vector<SyncLetters> all;
                                         all.reserve(asked.syncs.size());
                                         for (const SyncId sync : asked.syncs)
                                           all.push_back({ sync, TRY(chosen(delivery, sync, asked.choice)) });
                                         return all;
                                       }));
  return run.core.call([&](engine::Engine& engine) {
    std::vector<Letter> letters;
    for (const auto& [sync, of_sync] : found) {
      for (const DeadLetter& letter : of_sync) {
        letters.push_back({.sync = asked.workspace.syncs[sync.value].name,
                           .what = std::string(to_string(letter.of)),
                           .person = masked_name(engine, letter.person),
                           .reason = letter.reason,
                           .at = letter.at,
                           .dropped = letter.dropped});
      }
    }
    return letters;
  });
}

constexpr std::size_t kRecordsAtOnce = 1'000;  // while others wait for the core

// Reads the records that ingest holds back.
Result<void> add_quarantine(const Run& run, const Choice& choice, std::vector<Letter>& letters) {
  const auto held = run.core.call([](engine::Engine& engine) { return engine.quarantine(); });
  const auto add = [&](const engine::Quarantined& one, std::string& bytes) -> Result<void> {
    const RecordView record = TRY(run.core.store().record(one.position, bytes));
    if (record.kind == RecordKind::tombstone || !choice.takes(one.reason, record.received_at)) return {};
    const auto name = record.user_id.empty() ? record.anonymous_id : record.user_id;
    letters.push_back({.sync = std::string(kQuarantine),
                       .what = std::string(record.event.empty() ? record.source : record.event),
                       .person = name.empty() ? "-" : masked(name, false),
                       .reason = one.reason,
                       .at = record.received_at,
                       .dropped = false});
    return {};
  };
  for (std::size_t at = 0; at < held.size(); at += kRecordsAtOnce) {
    const std::size_t end = std::min(held.size(), at + kRecordsAtOnce);
    TRY(run.core.call([&](engine::Engine&) -> Result<void> {
      std::string bytes;
      for (std::size_t i = at; i < end; ++i) TRY(add(held[i], bytes));
      return {};
    }));
  }
  return {};
}

Result<Table> letters(const Run& run) {
  const Asked asked = TRY(read_asked(run));
  std::vector<Letter> all;
  if (!asked.syncs.empty()) all = TRY(delivery_letters(run, asked));
  if (!asked.streams.empty())
    std::ranges::move(TRY(stream_letters(run, asked.workspace, asked.streams, asked.choice)),
                      std::back_inserter(all));
  if (asked.quarantine) TRY(add_quarantine(run, asked.choice, all));
  return run.command.action == "list" ? letters_by_reason(all) : letters_one_by_one(all);
}

// Done to the chosen letters that do not rest: how many of each kind.
struct Done {
  std::uint64_t additions = 0, removals = 0, identifiers = 0;
  std::uint64_t all() const { return additions + removals + identifiers; }
};

Result<Done> act(const Run& run, const Asked& asked) {
  return with_delivery(run.core, asked.workspace, [&](delivery::Delivery& delivery) -> Result<Done> {
    Done done;
    for (const SyncId sync : asked.syncs) {
      std::vector<PersonId> people;
      for (const DeadLetter& letter : TRY(chosen(delivery, sync, asked.choice))) {
        if (letter.dropped) continue;
        people.push_back(letter.person);
        done.additions += letter.of == DeadLetter::Of::addition;
        done.removals += letter.of == DeadLetter::Of::removal;
        done.identifiers += letter.of == DeadLetter::Of::identifiers;
      }
      if (run.command.action == "retry") {
        delivery.retry(sync, people);
      } else {
        TRY(delivery.drop(sync, people));
      }
    }
    return done;
  });
}

std::string retried(const Done& done, bool running) {
  const std::string what = fmt::format("{} additions, {} removals, {} exchanges of identifiers",
                                       done.additions, done.removals, done.identifiers);
  return running ? what + " are asked again, in the order they were refused\n"
                 : what + " will be asked again: `tailrace serve` asks all who were refused, as it starts\n";
}

std::string dropped(const Done& done) {
  std::string text = fmt::format(
      "dropped, until their identifiers or their membership change: {} additions (these people are in no "
      "audience), {} removals, {} exchanges of identifiers (the old ones stand)\n",
      done.additions, done.removals, done.identifiers);
  if (done.removals > 0)
    text +=
        fmt::format("whose removal was dropped stays in the audience at the platform: {}\n", done.removals);
  return text;
}

constexpr std::string_view kOfQuarantine =
    "quarantine: nothing there can be retried or dropped by hand; mend the taxonomy and `tailrace apply`, "
    "which "
    "judges all of it again\n";

}  // namespace

int run_dlq(const Run& run) {
  if (run.command.action == "list" || run.command.action == "show") {
    const auto table = letters(run);
    if (!table) return run.fail(table.error());
    run.console.out(table->print(run.command.format));
    return kDone;
  }
  const auto asked = read_asked(run);
  if (!asked) return run.fail(asked.error());
  const bool any_held =
      asked->quarantine && run.core.call([](engine::Engine& engine) { return !engine.quarantine().empty(); });
  if (!asked->syncs.empty()) {
    const auto done = act(run, *asked);
    if (!done) return run.fail(done.error());
    run.console.out(run.command.action == "retry" ? retried(*done, run.core.courier() != nullptr)
                                                  : dropped(*done));
  }
  if (!asked->streams.empty()) {
    const auto done = act_on_stream_letters(run, asked->workspace, asked->streams, asked->choice);
    if (!done) return run.fail(done.error());
    run.console.out(fmt::format("{} events {}\n", grouped(*done),
                                run.command.action == "drop" ? "dropped"
                                : run.core.courier() != nullptr
                                    ? "are sent again, in the order of the log"
                                    : "are sent again while `tailrace serve` runs"));
  }
  if (any_held || (asked->syncs.empty() && asked->streams.empty()))
    run.console.out(std::string(kOfQuarantine));
  return kDone;
}

}  // namespace tailrace::cli
