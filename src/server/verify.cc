#include "server/verify.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/whole_file.h"
#include "log/image.h"
#include "model/json.h"
#include "server/formats.h"
#include "server/snapshot/reader.h"

namespace tailrace::server {
namespace {

using Gone = std::function<bool()>;

constexpr std::uint64_t kRecordsBetweenQuestions = 1 << 14;

class LogRecords final : public engine::Records {
 public:
  explicit LogRecords(const log::Log& log) : log_(log) {}
  Result<RecordView> record(Position position, std::string& bytes) override {
    return decode_record(TRY(log_.read(position, bytes)));
  }

 private:
  const log::Log& log_;
};

struct Entry {
  std::string sync;
  PersonId person;
  Time at;
};

// What there is to verify, as of one instant.
struct Parts {
  std::string directory;
  const log::Log* log = nullptr;
  Position end;  // of the log; entries and snapshot speak of nothing beyond it
  Result<std::unique_ptr<SnapshotReader>> snapshot = nullptr;                      // nullptr: there is none
  std::function<Result<std::vector<Entry>>(const workspace::Workspace*)> entries;  // of the ledger
};

std::unexpected<Error> stopped() { return fail(Error::Code::unavailable, "stopped before all was read"); }

Result<void> finish_work(engine::Engine& engine, const Gone& gone) {
  while (engine.work_pending()) {
    if (gone()) return stopped();
    TRY(engine.work());
  }
  return {};
}

// Applies the log from a position on, and what the ledger knows.
Result<void> replay(engine::Engine& engine, const Parts& parts, Position from, const Gone& gone) {
  const auto reader = TRY(parts.log->read_from(from));
  engine::Output unused;
  log::Frame frame;
  for (std::uint64_t count = 0; TRY(reader->next(frame)) && frame.position < parts.end; ++count) {
    if (count % kRecordsBetweenQuestions == 0 && gone()) return stopped();
    TRY(engine.apply(frame.position, TRY(decode_record(frame.record)), unused));
    unused.clear();
  }
  TRY(finish_work(engine, gone));
  for (const Entry& entry : TRY(parts.entries(engine.workspace()))) {
    engine.enter_sync(entry.sync, entry.person, entry.at, unused);
    unused.clear();
  }
  return engine.sound();
}

// The engine restored from the snapshot, which is read twice for that. False: there is none, or none to be
// used, and it is said why.
Result<bool> restore(engine::Engine& engine, const Parts& parts, const Gone& gone, StoreReport& report) {
  const std::string path = parts.directory + "/" + std::string(kSnapshotName);
  const auto wrong = [&](std::string_view what) {
    report.problems.push_back(
        {fmt::format("{} {}", path, what),
         "remove the file: it only saves time, and the next start replays the log and writes another"});
    return false;
  };
  const auto not_restored = [&](const Error& error) -> Result<bool> {
    if (error.code == Error::Code::io || error.code == Error::Code::unavailable)
      return std::unexpected(error);
    if (error.code != Error::Code::unsupported) return wrong("is damaged: " + error.message);
    report.facts.push_back("the snapshot is of another version: the next start replays the log");
    return false;
  };
  if (!parts.snapshot) return not_restored(parts.snapshot.error());
  SnapshotReader* snapshot = parts.snapshot->get();
  if (snapshot == nullptr) return false;
  if (const auto sound = snapshot->check(gone); !sound) return not_restored(sound.error());
  if (snapshot->manifest().position > parts.end) return wrong("is ahead of the log");
  ByteReader in(*snapshot);
  if (const auto restored = engine.restore(in); !restored) return not_restored(restored.error());
  return true;
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

std::vector<std::string> differing(const StateDigest& left, const StateDigest& right) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::max(left.parts.size(), right.parts.size()); ++i) {
    const bool both = i < left.parts.size() && i < right.parts.size();
    if (both && left.parts[i] == right.parts[i]) continue;
    names.push_back(i < left.parts.size() ? left.parts[i].name : right.parts[i].name);
  }
  return names;
}

Result<void> compare_with_replay(const Parts& parts, const Gone& gone, StoreReport& report) {
  LogRecords records(*parts.log);
  StateDigest by_snapshot;
  std::optional<Time> now;
  {
    engine::Engine engine(records);
    if (TRY(restore(engine, parts, gone, report))) {
      TRY(replay(engine, parts, (*parts.snapshot)->manifest().position, gone));
      now = engine.now();
      by_snapshot = TRY(digest_of(engine, *now));
    }
  }
  engine::Engine engine(records);
  if (auto replayed = replay(engine, parts, parts.log->begin(), gone); !replayed) {
    if (replayed.error().code == Error::Code::unavailable) return replayed;
    report.problems.push_back({"the log cannot be replayed: " + replayed.error().message,
                               "restore the store from a backup (tailrace restore)"});
    return {};
  }
  const auto counts = engine.counts();
  report.facts.push_back(fmt::format("the log was replayed: {} records, {} people, {} events", counts.records,
                                     counts.people, counts.events));
  if (!now) return {};
  const auto names = differing(by_snapshot, TRY(digest_of(engine, *now)));
  if (names.empty()) {
    report.facts.push_back("the state in the snapshot is what the log gives, now and in the year to come");
  } else {
    report.problems.push_back(
        {fmt::format("the state in the snapshot is not what the log gives; these differ: {}", listed(names)),
         "remove " + parts.directory +
             "/snapshot and start again, which replays the log; and report this: it is a defect of "
             "tailrace"});
  }
  return {};
}

Result<void> verify_ledger(delivery::Ledger& ledger, StoreReport& report) {
  const auto damage = TRY(ledger.verify());
  if (damage.empty()) report.facts.push_back("the ledger is sound");
  for (const std::string& what : damage) {
    report.problems.push_back(
        {what,
         "restore the store from a backup (tailrace restore): the ledger is the only record of what was "
         "uploaded for whom"});
  }
  return {};
}

Result<std::vector<Entry>> entries_of(delivery::Ledger& ledger, const workspace::Workspace* workspace) {
  std::vector<Entry> entries;
  for (std::size_t i = 0; workspace != nullptr && i < workspace->syncs.size(); ++i) {
    const std::string& sync = workspace->syncs[i].name;
    TRY(ledger.for_each_entry(sync,
                              [&](PersonId person, Time at) { entries.push_back({sync, person, at}); }));
  }
  return entries;
}

std::uint64_t hash_of_people(std::vector<PersonId> people) {
  std::ranges::sort(people);
  return hash64({reinterpret_cast<const char*>(people.data()), people.size() * sizeof(PersonId)});
}

std::uint64_t hash_of_profiles(const engine::Engine& engine) {
  std::uint64_t hash = 0;
  for (std::uint32_t i = 0; i < engine.person_limit(); ++i) {
    PersonProfile profile = engine.profile(PersonId(i));
    std::vector<std::string> lines;
    for (const auto& each : profile.identifiers)
      lines.push_back(fmt::format("{}={} {}", to_string(each.kind), each.value, each.since.ms));
    for (const auto& [purpose, granted] : profile.consent)
      lines.push_back(fmt::format("{}?{}", purpose, granted));
    for (const auto& [name, value] : profile.traits.members) lines.push_back(name + ":" + to_json(value));
    std::ranges::sort(lines);
    std::string text = fmt::format("{} {} {}", i, profile.deleted, profile.golden_id);
    for (const std::string& line : lines) text += "\n" + line;
    hash = hash64(text, hash);
  }
  return hash;
}

void add_members(const engine::Engine& engine, const std::string& when, StateDigest& digest) {
  const workspace::Workspace* workspace = engine.workspace();
  if (workspace == nullptr) return;
  for (const auto& segment : workspace->segments) {
    if (const auto id = engine.segment(segment.name))
      digest.parts.push_back({"segment " + segment.name + when, hash_of_people(engine.members(*id))});
  }
  for (std::uint32_t i = 0; i < workspace->syncs.size(); ++i) {
    digest.parts.push_back({"audience " + workspace->syncs[i].name + when,
                            hash_of_people(engine.members(engine.audience(SyncId(i))))});
  }
}

std::uint64_t hash_of_counts(const engine::Engine& engine) {
  const auto counts = engine.counts();
  std::string text = fmt::format("{} {} {} {} {}", counts.records, counts.events, counts.duplicates,
                                 counts.people, counts.quarantined);
  for (const auto& [source, count] : engine.imports()) text += fmt::format("\n{} {}", source, count);
  return hash64(text);
}

// Only checks that need nothing else to be sound.
Result<void> verify_format(Disk& disk, const std::string& directory, StoreReport& report) {
  const std::string path = directory + "/FORMAT";
  if (!disk.exists(path)) {
    report.problems.push_back({path + " is missing", "if DIR is a store, restore it from a backup"});
    return {};
  }
  const std::string format = TRY(read_whole(disk, path));
  if (format == kStoreFormat) return {};
  report.problems.push_back({fmt::format("{} says \"{}\", which this version does not know", path,
                                         format.substr(0, format.find('\n')).substr(0, 40)),
                             "use the tailrace that wrote it, or a newer one"});
  return {};
}

Result<void> verify_log(Disk& disk, const std::string& directory, StoreReport& report) {
  const auto found = log::verify(disk, directory);
  if (!found) {
    if (found.error().code == Error::Code::io) return std::unexpected(found.error());
    report.problems.push_back({found.error().message, "restore the store from a backup (tailrace restore)"});
    return {};
  }
  report.facts.push_back(
      fmt::format("the log is read: {} records in {} files", found->records, found->files));
  if (found->torn_bytes > 0) {
    report.facts.push_back(fmt::format(
        "its last {} bytes were never acknowledged; the next start cuts them off", found->torn_bytes));
  }
  for (const std::string& what : found->damage) {
    report.problems.push_back(
        {what,
         "restore the store from a backup (tailrace restore), or this one file if it was sealed before "
         "the backup"});
  }
  return {};
}

}  // namespace

Result<StateDigest> digest_of(engine::Engine& engine, Time now) {
  engine::Output unused;
  engine.advance(now, unused);
  TRY(engine.sound());
  StateDigest digest;
  digest.parts.push_back({"counts", hash_of_counts(engine)});
  digest.parts.push_back({"people", hash_of_profiles(engine)});
  std::string quarantine;
  for (const auto& item : engine.quarantine())
    quarantine += fmt::format("{} {}\n", item.position.value, item.reason);
  digest.parts.push_back({"quarantine", hash64(quarantine)});
  add_members(engine, "", digest);
  // Windows that end show whether the history behind them is the same.
  struct Later {
    Millis after;
    const char* words;
  };
  for (const Later later : {Later{kDay, " a day later"}, Later{kDay * 30, " 30 days later"},
                            Later{kDay * 365, " a year later"}}) {
    unused.clear();
    engine.advance(now + later.after, unused);
    TRY(engine.sound());
    add_members(engine, later.words, digest);
  }
  return digest;
}

Result<StoreReport> verify_open_store(Core& core, const Gone& gone) {
  StoreReport report;
  const Core::Stillness stillness(core);
  Parts parts{.directory = core.store().directory(),
              .log = &core.store().log(),
              .end = {},
              .snapshot = nullptr,
              .entries = nullptr};
  TRY(verify_format(core.disk(), parts.directory, report));
  const auto workspace = core.call([](engine::Engine& engine) {
    return engine.workspace() == nullptr ? std::nullopt : std::optional(*engine.workspace());
  });
  TRY(core.with_ledger([&](delivery::Ledger& ledger) -> Result<void> {
    TRY(verify_ledger(ledger, report));
    auto entries = TRY(entries_of(ledger, workspace ? &*workspace : nullptr));
    parts.entries = [entries = std::move(entries)](
                        const workspace::Workspace*) -> Result<std::vector<Entry>> { return entries; };
    return {};
  }));
  parts.snapshot = SnapshotReader::open(core.disk(), parts.directory);
  parts.end = core.store().log().committed();
  const auto image = log::image_of(core.disk(), parts.directory + "/log", parts.end, gone);
  if (!image && image.error().code != Error::Code::corrupt) return std::unexpected(image.error());
  if (!image) {
    report.problems.push_back({image.error().message, "restore the store from a backup (tailrace restore)"});
    return report;
  }
  report.facts.push_back(
      fmt::format("the log is read: {} records in {} files", image->records, image->files.size()));
  TRY(compare_with_replay(parts, gone, report));
  return report;
}

Result<StoreReport> verify_closed_store(Disk& disk, const std::string& directory, const Gone& gone) {
  if (!disk.exists(directory))
    return fail(Error::Code::not_found, fmt::format("there is no store {}", directory));
  const auto lock = disk.lock(directory + "/lock");
  if (!lock) {
    if (lock.error().code != Error::Code::conflict) return std::unexpected(lock.error());
    return fail(Error::Code::conflict,
                fmt::format("the store {} is in use by another tailrace process", directory));
  }
  StoreReport report;
  TRY(verify_format(disk, directory, report));
  if (!report.problems.empty()) return report;
  TRY(verify_log(disk, directory + "/log", report));
  auto ledger = delivery::Ledger::open(directory + "/ledger");
  if (ledger) {
    TRY(verify_ledger(**ledger, report));
  } else {
    report.problems.push_back({ledger.error().message, "restore the store from a backup (tailrace restore)"});
  }
  if (!report.problems.empty()) return report;
  const auto log = TRY(log::Log::open(disk, directory + "/log", {}));
  Parts parts{.directory = directory,
              .log = log.get(),
              .end = log->committed(),
              .snapshot = nullptr,
              .entries = nullptr};
  parts.snapshot = SnapshotReader::open(disk, directory);
  parts.entries = [&](const workspace::Workspace* workspace) { return entries_of(**ledger, workspace); };
  TRY(compare_with_replay(parts, gone, report));
  return report;
}

}  // namespace tailrace::server
