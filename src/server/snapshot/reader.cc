#include "server/snapshot/reader.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/whole_file.h"
#include "server/snapshot/delta.h"

namespace tailrace::server {
namespace {

std::unexpected<Error> damaged() { return fail(Error::Code::corrupt, "its checksum is wrong"); }

}  // namespace

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::open(Disk& disk, const std::string& directory) {
  // Another process may publish the next snapshot, and then remove the files of this one.
  constexpr int kAttempts = 3;
  const std::string path = directory + "/" + std::string(kSnapshotName);
  for (int attempt = 1;; ++attempt) {
    if (!disk.exists(path)) return nullptr;
    const std::string before = TRY(read_whole(disk, path));
    auto opened = open_once(disk, directory);
    if (opened || attempt == kAttempts) return opened;
    if (const auto now = read_whole(disk, path); !now || *now == before) return opened;
  }
}

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::open_once(Disk& disk, const std::string& directory) {
  const std::string path = directory + "/" + std::string(kSnapshotName);
  auto reader = std::make_unique<SnapshotReader>();
  auto file = TRY(disk.open(path, Disk::Mode::read));
  std::string bytes(TRY(file->size()), '\0');
  bytes.resize(TRY(file->read_at(0, bytes)));
  reader->manifest_ = TRY(parse_snapshot_manifest(bytes));
  reader->files_.emplace(kSnapshotName, std::move(file));
  for (const std::uint32_t number : reader->manifest_.files()) {
    const std::string name = snapshot_file_name(number);
    if (!disk.exists(directory + "/" + name))
      return fail(Error::Code::corrupt, fmt::format("{} is missing", name));
    auto& opened = reader->files_[name];
    opened = TRY(disk.open(directory + "/" + name, Disk::Mode::read));
    reader->by_number_.emplace(number, opened.get());
  }
  return reader;
}

Result<void> SnapshotReader::read(const SnapshotLayer& layer, std::string& bytes) const {
  bytes.resize(layer.length);
  if (TRY(by_number_.at(layer.file)->read_at(layer.offset, bytes)) != layer.length) return damaged();
  return {};
}

Result<std::string_view> SnapshotReader::piece(std::size_t i) {
  const SnapshotPiece& piece = manifest_.pieces[i];
  TRY(read(piece.layers.front(), piece_));
  for (std::size_t layer = 1; layer < piece.layers.size(); ++layer) {
    TRY(read(piece.layers[layer], delta_));
    auto applied = apply_delta(piece_, delta_, kPieceBytes);
    if (!applied) return damaged();
    piece_ = std::move(*applied);
  }
  if (piece_.size() != piece.size || hash64(piece_) != piece.checksum) return damaged();
  return piece_;
}

Result<std::string_view> SnapshotReader::next() {
  if (next_ == manifest_.pieces.size()) return damaged();
  return piece(next_++);
}

Result<void> SnapshotReader::check(const std::function<bool()>& gone) {
  for (std::size_t i = 0; i < manifest_.pieces.size(); ++i) {
    if (gone && gone()) return fail(Error::Code::unavailable, "stopped before all was read");
    TRY(piece(i));
  }
  return {};
}

}  // namespace tailrace::server
