#include "server/store.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/whole_file.h"
#include "server/formats.h"
#include "server/snapshot/read_ahead.h"
#include "server/snapshot/reader.h"

namespace tailrace::server {
Store::Store(Disk& disk, Options options) : disk_(disk), options_(std::move(options)), engine_(*this) {}

Result<std::unique_ptr<Store>> Store::open(Disk& disk, const Options& options) {
  std::unique_ptr<Store> store(new Store(disk, options));
  TRY(disk.make_directories(options.directory));
  TRY(store->lock());
  TRY(store->check_format());
  store->log_ = TRY(log::Log::open(disk, options.directory + "/log", options.log));
  TRY(store->recover());
  return store;
}

Result<void> Store::lock() {
  auto lock = disk_.lock(options_.directory + "/lock");
  if (lock) {
    lock_ = std::move(*lock);
    return {};
  }
  if (lock.error().code != Error::Code::conflict) return std::unexpected(lock.error());
  return fail(Error::Code::conflict,
              fmt::format("the store {} is in use by another tailrace process", options_.directory));
}

Result<void> Store::check_format() {
  const std::string path = options_.directory + "/FORMAT";
  if (!disk_.exists(path)) return write_whole(disk_, options_.directory, {.name = "FORMAT"}, kStoreFormat);
  const std::string format = TRY(read_whole(disk_, path));
  if (format == kStoreFormat) return {};
  return fail(Error::Code::unsupported,
              fmt::format("the store {} is of a format this version does not know (\"{}\"); use the tailrace "
                          "that wrote it, or a newer one",
                          options_.directory, format.substr(0, format.find('\n')).substr(0, 40)));
}

Result<Position> Store::load_snapshot() {
  const auto not_used = [&](const Error& error) -> Result<Position> {
    if (error.code == Error::Code::io) return std::unexpected(error);
    opened_.note =
        fmt::format("the snapshot was not used ({}); the log is replayed from its beginning", error.message);
    return log_->begin();
  };
  const auto snapshot = SnapshotReader::open(disk_, options_.directory);
  if (!snapshot) return not_used(snapshot.error());
  if (*snapshot == nullptr) return log_->begin();
  const Position position = (*snapshot)->manifest().position;
  if (position > log_->end()) return not_used({Error::Code::corrupt, "it is ahead of the log"});
  const auto restore = [&](PieceSource& pieces) {
    ByteReader in(pieces);
    return engine_.restore(in);
  };
  const auto restored = [&] {
    if (!options_.reads_ahead) return restore(**snapshot);
    ReadAhead ahead(**snapshot);
    return restore(ahead);
  }();
  if (!restored) {
    engine_.reset();
    return not_used(restored.error());
  }
  opened_.from_snapshot = true;
  return position;
}

Result<void> Store::recover() {
  const Position from = TRY(load_snapshot());
  TRY(remove_unused_snapshot_files(disk_, options_.directory));
  if (!log_->recovery().note.empty()) opened_.note = log_->recovery().note;
  const std::string changes = options_.directory + "/changes";
  if (disk_.exists(changes)) {
    changes_ = TRY(ChangeLog::open(disk_, changes));
    TRY(changes_->look(engine_));
  }
  const auto reader = TRY(log_->read_from(from));
  engine::Output output;
  log::Frame frame;
  while (TRY(reader->next(frame))) {
    TRY(engine_.apply(frame.position, TRY(decode_record(frame.record)), output));
    deletions_.insert(deletions_.end(), output.deletions.begin(), output.deletions.end());
    if (changes_ != nullptr) {
      changes_->note(output, engine_);
      while (engine_.work_pending()) TRY(engine_.work());
      TRY(changes_->look(engine_));
    }
    output.clear();
    ++opened_.replayed;
  }
  while (engine_.work_pending()) TRY(engine_.work());
  return {};
}

Result<RecordView> Store::record(Position position, std::string& bytes) {
  return decode_record(TRY(log_->read(position, bytes)));
}

Result<void> Store::look_at_changes() {
  const auto* workspace = engine_.workspace();
  if (workspace == nullptr || workspace->warehouses.empty()) return {};
  if (changes_ == nullptr) changes_ = TRY(ChangeLog::open(disk_, options_.directory + "/changes"));
  return changes_->look(engine_);
}

Result<void> Store::commit_changes() {
  if (changes_ != nullptr) TRY(changes_->commit());
  return {};
}

Result<void> Store::drop_snapshot() { return remove_snapshot(disk_, options_.directory); }

Result<SnapshotWritten> Store::save_snapshot(Position position) {
  TRY(commit_changes());
  return write_snapshot(disk_, options_.directory, position, [this](ByteWriter& out) { engine_.save(out); });
}

}  // namespace tailrace::server
