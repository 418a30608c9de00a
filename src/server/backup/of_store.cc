#include "server/backup/of_store.h"

#include "server/queries/queries.h"

namespace tailrace::server {
namespace {

// The ledger as of one instant, beside the store's, for as long as this lives.
class LedgerCopy {
 public:
  explicit LedgerCopy(Core& core) : core_(core), directory_(core.store().directory() + "/ledger.copy") {}
  LedgerCopy(const LedgerCopy&) = delete;
  LedgerCopy& operator=(const LedgerCopy&) = delete;
  // What stays is removed by the next one.
  ~LedgerCopy() { static_cast<void>(delivery::remove_checkpoint(directory_)); }

  Result<void> make() {
    return core_.with_ledger([this](delivery::Ledger& ledger) { return ledger.checkpoint(directory_); });
  }
  const std::string& directory() const { return directory_; }

 private:
  Core& core_;
  const std::string directory_;
};

}  // namespace

Result<BackupReport> back_up(Core& core, const std::string& target, const std::function<bool()>& gone) {
  const std::lock_guard one_at_a_time(core.one_backup());
  const Core::Stillness stillness(core);
  // The ledger first: it speaks of people that only the log makes known, so the log must not end before it.
  LedgerCopy ledger(core);
  TRY(ledger.make());
  // Then the snapshot, and behind both what the engine said of changes, so that neither knows more than that.
  auto snapshot = SnapshotReader::open(core.disk(), core.store().directory());
  const auto changes_end = TRY(core.call([&](engine::Engine&) -> Result<std::optional<Position>> {
    TRY(core.store().commit_changes());
    ChangeLog* changes = core.store().changes();
    return changes == nullptr ? std::nullopt : std::optional(changes->end());
  }));
  // Snapshots of queries too: what they say is known must be in the log.
  const auto names = core.call([](engine::Engine& engine) {
    std::vector<std::string> sources;
    if (engine.workspace() == nullptr) return sources;
    for (const auto& source : engine.workspace()->query_sources) sources.push_back(source.name);
    return sources;
  });
  std::vector<BackupSource::Standing> sources;
  for (const std::string& name : names) {
    for (auto& [file, open] : TRY(standing_files(core.disk(), query_directory(core, name))))
      sources.push_back({.place = "sources/" + name + "/" + file, .file = std::move(open)});
  }
  BackupSource source{.log = core.store().directory() + "/log",
                      .log_end = {},
                      .snapshot = nullptr,
                      .ledger = ledger.directory(),
                      .changes = changes_end ? core.store().directory() + "/changes" : "",
                      .changes_end = changes_end.value_or(Position{}),
                      .sources = std::move(sources)};
  source.snapshot = std::move(snapshot);
  source.log_end = core.store().log().committed();
  return write_backup(core.disk(), source, target, core.now(), gone);
}

}  // namespace tailrace::server
