#include "server/snapshot/writer.h"

#include <memory>
#include <set>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/hash.h"
#include "base/whole_file.h"
#include "server/snapshot/delta.h"
#include "server/snapshot/reader.h"

namespace tailrace::server {
namespace {

constexpr std::string_view kUnfinishedSuffix = ".new";

std::string below(const std::string& directory, std::string_view name) {
  return directory + "/" + std::string(name);
}

// Bytes one after another into a file that is created when the first come.
class PieceFile {
 public:
  PieceFile(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}

  // Returns where they stand.
  Result<std::uint64_t> append(std::string_view bytes) {
    const std::uint64_t offset = written_ + waiting_.size();
    if (waiting_.size() + bytes.size() > kPieceBytes) TRY(flush());
    waiting_ += bytes;
    return offset;
  }
  // On disk on return.
  Result<void> finish() {
    TRY(flush());
    if (file_ != nullptr) TRY(file_->sync());
    return {};
  }
  std::uint64_t bytes() const { return written_ + waiting_.size(); }

 private:
  Result<void> flush() {
    if (waiting_.empty()) return {};
    if (file_ == nullptr) file_ = TRY(disk_.open(path_, Disk::Mode::create_or_open));
    TRY(file_->write_at(written_, waiting_));
    written_ += waiting_.size();
    waiting_.clear();
    return {};
  }

  Disk& disk_;
  const std::string path_;
  std::unique_ptr<File> file_;
  std::string waiting_;
  std::uint64_t written_ = 0;
};

class Pieces final : public PieceSink {
 public:
  // before: what has not changed is taken from there; nullptr: all is written.
  Pieces(Disk& disk, const std::string& directory, std::uint32_t number, SnapshotReader* before)
      : number_(number), file_(disk, below(directory, snapshot_file_name(number))), before_(before) {
    if (before_ == nullptr) return;
    const auto& pieces = before_->manifest().pieces;
    for (std::size_t i = 0; i < pieces.size(); ++i) known_.emplace(pieces[i].key, i);
  }

  void put(std::uint64_t key, std::string_view piece) override {
    if (!result_) return;
    result_ = take(key, piece);
  }
  // On disk on return.
  Result<std::vector<SnapshotPiece>> finish() {
    TRY(result_);
    TRY(file_.finish());
    return std::move(pieces_);
  }
  std::uint64_t bytes() const { return file_.bytes(); }

 private:
  Result<void> take(std::uint64_t key, std::string_view bytes) {
    SnapshotPiece piece{.key = key,
                        .size = static_cast<std::uint32_t>(bytes.size()),
                        .checksum = hash64(bytes),
                        .layers = {}};
    if (!TRY(stays(bytes, piece))) TRY(append(bytes, piece));
    pieces_.push_back(std::move(piece));
    return {};
  }
  // On what is below it already.
  Result<void> append(std::string_view bytes, SnapshotPiece& piece) {
    const std::uint64_t offset = TRY(file_.append(bytes));
    piece.layers.push_back(
        {.file = number_, .offset = offset, .length = static_cast<std::uint32_t>(bytes.size())});
    return {};
  }
  // Is it where it was, but for a difference? False: it is new, or as good as new.
  Result<bool> stays(std::string_view bytes, SnapshotPiece& piece) {
    const auto known = known_.find(piece.key);
    if (known == known_.end()) return false;
    const auto was = before_->piece(known->second);
    if (!was) return false;
    const auto& layers = before_->manifest().pieces[known->second].layers;
    if (*was == bytes) {
      piece.layers = layers;
      return true;
    }
    const std::string delta = delta_of(*was, bytes);
    if (delta.size() * 2 > bytes.size()) return false;
    piece.layers = layers;
    TRY(append(delta, piece));
    return true;
  }

  const std::uint32_t number_;
  PieceFile file_;
  SnapshotReader* const before_;
  boost::unordered_flat_map<std::uint64_t, std::size_t> known_;  // pieces of `before_`, by key
  std::vector<SnapshotPiece> pieces_;
  Result<void> result_;  // of the first that failed
};

// Of those in the directory.
Result<std::set<std::uint32_t>> numbers_in(Disk& disk, const std::string& directory) {
  std::set<std::uint32_t> numbers;
  for (const std::string& name : TRY(disk.list(directory))) {
    if (const auto number = parse_snapshot_file_name(name)) numbers.insert(*number);
  }
  return numbers;
}

Result<void> remove_others(Disk& disk, const std::string& directory, const std::set<std::uint32_t>& kept) {
  const std::string unfinished = below(directory, kSnapshotName) + std::string(kUnfinishedSuffix);
  if (disk.exists(unfinished)) TRY(disk.remove(unfinished));
  for (const std::uint32_t number : TRY(numbers_in(disk, directory))) {
    if (!kept.contains(number)) TRY(disk.remove(below(directory, snapshot_file_name(number))));
  }
  return {};
}

// The snapshot that the next one may go on from; nullptr: there is none.
Result<std::unique_ptr<SnapshotReader>> open_before(Disk& disk, const std::string& directory) {
  auto before = SnapshotReader::open(disk, directory);
  if (!before || *before == nullptr) return nullptr;
  std::uint64_t held = 0;
  for (const auto& [name, file] : (*before)->files()) {
    if (name != kSnapshotName) held += TRY(file->size());
  }
  const std::uint64_t state = (*before)->bytes();
  const bool is_long = (*before)->manifest().files().size() >= kSnapshotFilesMax;
  return is_long || held > state + state / 2 ? nullptr : std::move(*before);
}

}  // namespace

Result<SnapshotWritten> write_snapshot(Disk& disk, const std::string& directory, Position position,
                                       const std::function<void(ByteWriter&)>& save) {
  TRY(remove_unused_snapshot_files(disk, directory));
  const auto numbers = TRY(numbers_in(disk, directory));
  const auto before = TRY(open_before(disk, directory));
  Pieces pieces(disk, directory, numbers.empty() ? 1 : *numbers.rbegin() + 1, before.get());
  ByteWriter out(pieces);
  save(out);
  out.finish();
  auto written = pieces.finish();
  if (!written) {
    // A disk that is full is needed for the log. What stays is removed at the next start.
    static_cast<void>(remove_unused_snapshot_files(disk, directory));
    return std::unexpected(written.error());
  }
  const SnapshotManifest manifest{.position = position, .pieces = std::move(*written)};
  // The names of the pieces' files must be there whenever the manifest's is.
  TRY(disk.sync_directory(directory));
  const std::string bytes = to_bytes(manifest);
  TRY(write_whole(disk, directory, {.name = kSnapshotName, .suffix = kUnfinishedSuffix}, bytes));
  TRY(remove_others(disk, directory, manifest.files()));
  return SnapshotWritten{.whole = before == nullptr,
                         .state_bytes = manifest.bytes(),
                         .written_bytes = pieces.bytes() + bytes.size()};
}

Result<void> remove_snapshot(Disk& disk, const std::string& directory) {
  // The manifest first: without it the files are no snapshot.
  if (disk.exists(below(directory, kSnapshotName))) TRY(disk.remove(below(directory, kSnapshotName)));
  TRY(remove_others(disk, directory, {}));
  return disk.sync_directory(directory);
}

Result<void> remove_unused_snapshot_files(Disk& disk, const std::string& directory) {
  std::set<std::uint32_t> used;
  const std::string path = below(directory, kSnapshotName);
  if (disk.exists(path)) {
    // One that is damaged, or of another version, is in no use.
    if (const auto manifest = parse_snapshot_manifest(TRY(read_whole(disk, path)))) used = manifest->files();
  }
  return remove_others(disk, directory, used);
}

}  // namespace tailrace::server
