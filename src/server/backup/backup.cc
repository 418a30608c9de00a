#include "server/backup/backup.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/whole_file.h"
#include "delivery/ledger.h"
#include "log/frame.h"
#include "server/backup/copy_file.h"

namespace tailrace::server {
namespace {

constexpr std::string_view kManifestName = "BACKUP";
constexpr std::string_view kDeletionsName = "deletions";
constexpr std::string_view kUnfinishedName = "unfinished";
constexpr std::string_view kPartSuffix = ".part";
constexpr std::size_t kSumInName = 16;

std::string below(const std::string& target, std::string_view name) {
  return name.empty() ? target : target + "/" + std::string(name);
}

Error naming(const std::string& path, const Error& error) {
  return {error.code, fmt::format("{}: {}", path, error.message)};
}

class Writing {
 public:
  Writing(Disk& disk, const BackupSource& source, const std::string& target,
          const std::function<bool()>& gone)
      : disk_(disk), source_(source), target_(target), gone_(gone) {}

  Result<BackupReport> run(Time now) {
    TRY(disk_.make_directories(target_));
    TRY(check_target());
    const auto lock = disk_.lock(target_ + "/lock");
    if (!lock) return std::unexpected(lock.error());
    TRY(begin());
    const log::Image image = TRY(log::image_of(disk_, source_.log, source_.log_end, gone_));
    manifest_.made = now;
    manifest_.log_format = log::kFormatVersion;
    manifest_.log_end = source_.log_end;
    manifest_.records = image.records;
    manifest_.log = {image.first_received_at, image.first_length};
    manifest_.ledger_format = delivery::kLedgerFormat;
    TRY(check_same_store());
    for (const log::FileImage& file : image.files) TRY(put_log_file("log/", source_.log, file));
    if (!source_.changes.empty()) {
      const log::Image changes = TRY(log::image_of(disk_, source_.changes, source_.changes_end, gone_));
      for (const log::FileImage& file : changes.files) TRY(put_log_file("changes/", source_.changes, file));
    }
    TRY(put_snapshot());
    for (const std::string& name : TRY(disk_.list(source_.ledger))) {
      if (name != "LOCK" && !name.starts_with("LOG")) TRY(put_ledger_file(name));
    }
    for (const BackupSource::Standing& each : source_.sources) TRY(put_standing(each));
    TRY(finish({manifest_.log, image.tombstones}));
    report_.files = manifest_.files.size();
    for (const BackupFile& file : manifest_.files) report_.bytes += file.bytes;
    report_.records = image.records;
    report_.tombstones = image.tombstones.size();
    return report_;
  }

 private:
  // A folder that is not a backup is left alone: files in it would be removed.
  Result<void> check_target() {
    const auto names = TRY(disk_.list(target_));
    const bool ours = disk_.exists(below(target_, kManifestName)) ||
                      disk_.exists(below(target_, kUnfinishedName)) ||
                      std::ranges::all_of(names, [](const std::string& name) { return name == "lock"; });
    if (ours) return {};
    return fail(
        Error::Code::conflict,
        fmt::format("{} holds something that is no backup: name an empty folder, or a new one", target_));
  }

  Result<void> begin() {
    if (disk_.exists(below(target_, kManifestName))) {
      before_ = TRY(read_manifest(disk_, target_));
    } else {
      TRY(write_whole(disk_, target_, {.name = kUnfinishedName}, "a first backup has begun\n"));
    }
    TRY(disk_.make_directories(target_ + "/log"));
    TRY(disk_.make_directories(target_ + "/changes"));
    return disk_.make_directories(target_ + "/ledger");
  }

  Result<void> check_same_store() const {
    if (!before_) return {};
    if (!before_->log.fits(manifest_.log)) {
      return fail(Error::Code::conflict,
                  fmt::format("{} is the backup of another store: name another folder", target_));
    }
    if (before_->log_end <= manifest_.log_end) return {};
    return fail(Error::Code::conflict,
                fmt::format("{} knows more records ({}) than this store ({}): was the store restored from an "
                            "older backup? Name another folder",
                            target_, before_->records, manifest_.records));
  }

  Result<void> check_wanted() const {
    if (gone_ && gone_())
      return fail(Error::Code::unavailable, "the backup was stopped; the one before is whole");
    return {};
  }

  Result<void> put(BackupFile file, const File& from) {
    TRY(check_wanted());
    file.name = file.place + "." + file.sha256.substr(0, kSumInName);
    const std::string path = below(target_, file.name);
    if (!TRY(is_there(path, file.bytes))) {
      const std::string part = path + std::string(kPartSuffix);
      if (disk_.exists(part)) TRY(disk_.remove(part));
      if (TRY(copy_file(disk_, from, file.bytes, part)) != file.sha256)
        return fail(Error::Code::corrupt, fmt::format("{} changed while it was copied", file.place));
      TRY(disk_.rename(part, path));
      ++report_.copied_files;
      report_.copied_bytes += file.bytes;
    }
    manifest_.files.push_back(std::move(file));
    return {};
  }

  // Under its last name a file is whole.
  Result<bool> is_there(const std::string& path, std::uint64_t bytes) {
    if (!disk_.exists(path)) return false;
    const auto file = TRY(disk_.open(path, Disk::Mode::read));
    return TRY(file->size())
    == bytes;
  }

  Result<void> put_log_file(const std::string& place, const std::string& directory,
                            const log::FileImage& image) {
    const std::string name = log::file_name(image.first);
    const auto file = TRY(disk_.open(directory + "/" + name, Disk::Mode::read));
    return put({.sha256 = image.sha256, .bytes = image.bytes, .place = place + name, .name = {}}, *file);
  }

  Result<void> put_snapshot() {
    if (!source_.snapshot) return leave_out(source_.snapshot.error());
    SnapshotReader* snapshot = source_.snapshot->get();
    if (snapshot == nullptr) return {};
    if (const auto sound = snapshot->check(gone_); !sound) return leave_out(sound.error());
    const Position position = snapshot->manifest().position;
    if (position > source_.log_end) return leave_out({Error::Code::corrupt, "it is ahead of the log"});
    manifest_.snapshot = position;
    for (const auto& [name, file] : snapshot->files()) {
      const std::uint64_t bytes = TRY(file->size());
      std::string sum = TRY(sum_of_file(*file, bytes));
      TRY(put({.sha256 = std::move(sum), .bytes = bytes, .place = name, .name = {}}, *file));
    }
    return {};
  }

  Result<void> leave_out(const Error& error) {
    if (error.code == Error::Code::io || error.code == Error::Code::unavailable)
      return std::unexpected(error);
    report_.note =
        error.code == Error::Code::unsupported
            ? "the snapshot is of another version and was left out; a restored store replays its log"
            : "the snapshot is damaged and was left out; a restored store replays its log";
    return {};
  }

  Result<void> put_ledger_file(const std::string& name) {
    const auto file = TRY(disk_.open(source_.ledger + "/" + name, Disk::Mode::read));
    const std::uint64_t bytes = TRY(file->size());
    std::string sum = TRY(sum_of_file(*file, bytes));
    return put({.sha256 = std::move(sum), .bytes = bytes, .place = "ledger/" + name, .name = {}}, *file);
  }

  Result<void> put_standing(const BackupSource::Standing& standing) {
    const std::uint64_t bytes = TRY(standing.file->size());
    TRY(disk_.make_directories(target_ + "/" + standing.place.substr(0, standing.place.rfind('/'))));
    std::string sum = TRY(sum_of_file(*standing.file, bytes));
    return put({.sha256 = std::move(sum), .bytes = bytes, .place = standing.place, .name = {}},
               *standing.file);
  }

  // Of the target, those of the backup before too.
  std::vector<std::string> folders() const {
    std::vector<std::string> all{"log", "changes", "ledger", ""};
    for (const Manifest* manifest : {&manifest_, before_ ? &*before_ : nullptr}) {
      if (manifest != nullptr) std::ranges::copy(source_folders(*manifest), std::back_inserter(all));
    }
    return all;
  }

  Result<void> finish(const Deletions& deletions) {
    for (const std::string& folder : folders()) TRY(disk_.sync_directory(below(target_, folder)));
    // Before the manifest: where only this is new, the older files are restored with these deletions.
    TRY(write_whole(disk_, target_, {.name = kDeletionsName}, to_text(deletions)));
    TRY(write_whole(disk_, target_, {.name = kManifestName}, to_text(manifest_)));
    if (disk_.exists(below(target_, kUnfinishedName))) TRY(disk_.remove(below(target_, kUnfinishedName)));
    return remove_others();
  }

  Result<void> remove_others() {
    std::set<std::string> named;
    for (const BackupFile& file : manifest_.files) named.insert(file.name);
    for (const std::string& folder : folders()) {
      for (const std::string& name : TRY(disk_.list(below(target_, folder)))) {
        const std::string inside = folder.empty() ? name : folder + "/" + name;
        if (named.contains(inside) || (folder.empty() && !name.starts_with("snapshot."))) continue;
        TRY(disk_.remove(below(target_, inside)));
        ++report_.removed_files;
      }
      TRY(disk_.sync_directory(below(target_, folder)));
    }
    return {};
  }

  Disk& disk_;
  const BackupSource& source_;
  const std::string& target_;
  const std::function<bool()>& gone_;
  std::optional<Manifest> before_;
  Manifest manifest_;
  BackupReport report_;
};

}  // namespace

Result<BackupReport> write_backup(Disk& disk, const BackupSource& source, const std::string& target, Time now,
                                  const std::function<bool()>& gone) {
  return Writing(disk, source, target, gone).run(now);
}

Result<Manifest> read_manifest(Disk& disk, const std::string& target) {
  const std::string path = below(target, kManifestName);
  if (!disk.exists(path)) {
    if (disk.exists(below(target, kUnfinishedName))) {
      return fail(Error::Code::corrupt,
                  fmt::format("the backup in {} was never finished; make one anew", target));
    }
    return fail(Error::Code::not_found, fmt::format("there is no backup in {}", target));
  }
  auto manifest = parse_manifest(TRY(read_whole(disk, path)));
  if (!manifest) return std::unexpected(naming(path, manifest.error()));
  return std::move(*manifest);
}

Result<std::vector<std::string>> verify_backup(Disk& disk, const std::string& target) {
  const Manifest manifest = TRY(read_manifest(disk, target));
  std::vector<std::string> problems;
  for (const BackupFile& expected : manifest.files) {
    if (auto sound = check_file(disk, below(target, expected.name), expected.bytes, expected.sha256); !sound)
      problems.push_back(sound.error().message);
  }
  if (const auto deletions = read_deletions(disk, target); !deletions)
    problems.push_back(deletions.error().message);
  return problems;
}

Result<Deletions> read_deletions(Disk& disk, const std::string& path) {
  const std::string inside = below(path, kDeletionsName);
  const std::string& file = disk.exists(inside) ? inside : path;
  auto deletions = parse_deletions(TRY(read_whole(disk, file)));
  if (!deletions) return std::unexpected(naming(file, deletions.error()));
  return std::move(*deletions);
}

}  // namespace tailrace::server
