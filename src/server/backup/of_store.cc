#include "server/backup/of_store.h"

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
  BackupSource source{.log = core.store().directory() + "/log",
                      .log_end = {},
                      .snapshot = nullptr,
                      .ledger = ledger.directory()};
  source.snapshot = SnapshotReader::open(core.disk(), core.store().directory());
  source.log_end = core.store().log().committed();
  return write_backup(core.disk(), source, target, core.now(), gone);
}

}  // namespace tailrace::server
