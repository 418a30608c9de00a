#include "server/backup/restore.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/whole_file.h"
#include "delivery/ledger.h"
#include "log/frame.h"
#include "log/log.h"
#include "model/record.h"
#include "server/backup/backup.h"
#include "server/backup/copy_file.h"
#include "server/formats.h"
#include "server/snapshot/writer.h"

namespace tailrace::server {
namespace {

constexpr std::string_view kBesideSuffix = ".restoring";

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> check_formats(const Manifest& manifest) {
  if (manifest.log_format <= log::kFormatVersion && manifest.ledger_format <= delivery::kLedgerFormat)
    return {};
  return fail(
      Error::Code::unsupported,
      fmt::format("the backup has a log of format {} and a ledger of format {}; this tailrace reads {} "
                  "and {}: restore it with the version that wrote it, or a newer one",
                  manifest.log_format, manifest.ledger_format, log::kFormatVersion, delivery::kLedgerFormat));
}

Result<void> check_empty(Disk& disk, const std::string& directory) {
  if (!disk.exists(directory)) return {};
  const auto names = disk.list(directory);
  if (names && names->empty()) return {};
  return fail(Error::Code::conflict,
              fmt::format("{} is not empty: a backup is restored into a folder of its own", directory));
}

class Restoring {
 public:
  Restoring(Disk& disk, const std::string& backup, const std::string& directory)
      : disk_(disk), backup_(backup), beside_(directory + std::string(kBesideSuffix)) {}

  Result<RestoreReport> run(const std::string& directory, std::vector<Deletions> deletions,
                            const std::function<Result<void>(const std::string&)>& ledger) {
    report_.manifest = TRY(read_manifest(disk_, backup_));
    TRY(check_formats(report_.manifest));
    TRY(check_empty(disk_, directory));
    deletions.push_back(TRY(read_deletions(disk_, backup_)));
    TRY(disk_.make_directories(parent_of(directory)));
    TRY(disk_.make_directories(beside_));
    for (const std::string& folder : folders()) TRY(disk_.make_directories(beside_ + "/" + folder));
    const auto lock = disk_.lock(beside_ + "/lock");
    if (!lock) return std::unexpected(lock.error());
    TRY(clear());
    for (const BackupFile& file : report_.manifest.files) TRY(take(file));
    TRY(sync());
    TRY(remove_deleted(deletions));
    TRY(ledger(beside_ + "/ledger"));
    TRY(write_whole(disk_, beside_, {.name = "FORMAT"}, kStoreFormat));
    TRY(sync());
    TRY(disk_.rename(beside_, directory));
    TRY(disk_.sync_directory(parent_of(directory)));
    return report_;
  }

 private:
  // What the backup has files in.
  std::vector<std::string> folders() const {
    std::vector<std::string> all{"log", "ledger"};
    const auto is_change = [](const BackupFile& file) { return file.place.starts_with("changes/"); };
    if (std::ranges::any_of(report_.manifest.files, is_change)) all.emplace_back("changes");
    std::ranges::copy(source_folders(report_.manifest), std::back_inserter(all));
    return all;
  }

  // What an attempt before has left, perhaps of another backup.
  Result<void> clear() {
    TRY(clear_folder(beside_ + "/log"));
    TRY(clear_folder(beside_ + "/ledger"));
    for (const std::string& name : TRY(disk_.list(beside_))) {
      const std::string path = beside_ + "/" + name;
      if (name == "changes") {
        TRY(clear_folder(path));
      } else if (name == "sources") {
        for (const std::string& source : TRY(disk_.list(path))) TRY(clear_folder(path + "/" + source));
      } else if (name != "lock" && name != "log" && name != "ledger") {
        TRY(disk_.remove(path));
      }
    }
    return {};
  }
  Result<void> clear_folder(const std::string& folder) {
    for (const std::string& name : TRY(disk_.list(folder))) TRY(disk_.remove(folder + "/" + name));
    return {};
  }

  Result<void> sync() {
    for (const std::string& folder : folders()) TRY(disk_.sync_directory(beside_ + "/" + folder));
    return disk_.sync_directory(beside_);
  }

  Result<void> take(const BackupFile& file) {
    const std::string path = backup_ + "/" + file.name;
    const auto damaged = [&](std::string_view what) {
      return fail(Error::Code::corrupt,
                  fmt::format("{} {}: nothing was restored; use another backup", path, what));
    };
    if (!disk_.exists(path)) return damaged("is missing");
    const auto from = TRY(disk_.open(path, Disk::Mode::read));
    if (TRY(from->size()) != file.bytes) return damaged("is not as long as it was written");
    const std::string sum = TRY(copy_file(disk_, *from, file.bytes, beside_ + "/" + file.place));
    if (sum != file.sha256) return damaged("is damaged: its checksum is wrong");
    report_.bytes += file.bytes;
    return {};
  }

  Result<void> remove_deleted(const std::vector<Deletions>& lists) {
    std::vector<Position> positions;
    std::vector<Position> creators;
    const auto log = TRY(log::Log::open(disk_, beside_ + "/log", {}));
    if (log->end() != report_.manifest.log_end)
      return fail(Error::Code::corrupt, "the log in the backup does not end where it should");
    for (const Deletions& list : lists) {
      if (!list.log.fits(report_.manifest.log)) return other_store();
      TRY(collect(*log, list, positions, creators));
    }
    if (positions.empty()) return {};
    TRY(log->redact(positions, creators));
    std::ranges::sort(positions);
    const auto repeated = std::ranges::unique(positions);
    positions.erase(repeated.begin(), repeated.end());
    report_.deleted_records = positions.size();
    // It knows what was deleted.
    return remove_snapshot(disk_, beside_);
  }

  static std::unexpected<Error> other_store() {
    return fail(Error::Code::conflict, "the list of deletions is of another store than the backup");
  }

  // Those whose records are still there.
  Result<void> collect(const log::Log& log, const Deletions& list, std::vector<Position>& positions,
                       std::vector<Position>& creators) const {
    std::string bytes;
    for (const log::Tombstone& each : list.tombstones) {
      if (each.position >= log.end()) break;
      const auto record = log.read(each.position, bytes);
      if (!record && record.error().code == Error::Code::io) return std::unexpected(record.error());
      if (!record || record->size() != each.length || received_at_of(*record) != each.received_at)
        return other_store();
      if (record->front() == static_cast<char>(RecordKind::tombstone)) continue;
      positions.push_back(each.position);
      if (each.created_person) creators.push_back(each.position);
    }
    return {};
  }

  Disk& disk_;
  const std::string& backup_;
  const std::string beside_;
  RestoreReport report_;
};

}  // namespace

Result<RestoreReport> restore_backup(Disk& disk, const std::string& backup, const std::string& directory,
                                     const std::vector<Deletions>& deletions,
                                     const std::function<Result<void>(const std::string&)>& ledger) {
  std::string to = directory;
  while (to.size() > 1 && to.ends_with('/')) to.pop_back();
  return Restoring(disk, backup, to).run(to, deletions, ledger);
}

}  // namespace tailrace::server
