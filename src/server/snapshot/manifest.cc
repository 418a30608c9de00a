#include "server/snapshot/manifest.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "server/formats.h"

namespace tailrace::server {
namespace {

constexpr std::size_t kPieceHeader = 8 + 4 + 8 + 1;
constexpr std::size_t kDigits = 6;

std::unexpected<Error> damaged() { return fail(Error::Code::corrupt, "its checksum is wrong"); }

Result<SnapshotPiece> get_piece(ByteReader& in) {
  SnapshotPiece piece;
  piece.key = TRY(in.get<std::uint64_t>());
  piece.size = TRY(in.get<std::uint32_t>());
  piece.checksum = TRY(in.get<std::uint64_t>());
  const auto layers = TRY(in.get<std::uint8_t>());
  if (layers == 0 || piece.size == 0 || piece.size > kPieceBytes) return damaged();
  piece.layers.reserve(layers);
  for (int i = 0; i < layers; ++i) {
    SnapshotLayer layer;
    layer.file = TRY(in.get<std::uint32_t>());
    layer.offset = TRY(in.get<std::uint64_t>());
    layer.length = TRY(in.get<std::uint32_t>());
    if (layer.length > kPieceBytes) return damaged();
    piece.layers.push_back(layer);
  }
  return piece;
}

}  // namespace

std::set<std::uint32_t> SnapshotManifest::files() const {
  std::set<std::uint32_t> files;
  for (const SnapshotPiece& piece : pieces) {
    for (const SnapshotLayer& layer : piece.layers) files.insert(layer.file);
  }
  return files;
}

std::uint64_t SnapshotManifest::bytes() const {
  std::uint64_t bytes = 0;
  for (const SnapshotPiece& piece : pieces) bytes += piece.size;
  return bytes;
}

std::string to_bytes(const SnapshotManifest& manifest) {
  ByteWriter body;
  body.put(manifest.position);
  body.put<std::uint64_t>(manifest.pieces.size());
  for (const SnapshotPiece& piece : manifest.pieces) {
    body.put(piece.key);
    body.put(piece.size);
    body.put(piece.checksum);
    body.put(static_cast<std::uint8_t>(piece.layers.size()));
    for (const SnapshotLayer& layer : piece.layers) {
      body.put(layer.file);
      body.put(layer.offset);
      body.put(layer.length);
    }
  }
  const std::string bytes = body.take();
  const std::uint64_t checksum = hash64(bytes);
  std::string whole(kSnapshotMagic);
  whole.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  return whole + bytes;
}

Result<SnapshotManifest> parse_snapshot_manifest(std::string_view bytes) {
  if (!bytes.starts_with(kSnapshotMagic))
    return fail(Error::Code::unsupported, "not a snapshot of this version");
  bytes.remove_prefix(kSnapshotMagic.size());
  ByteReader in(bytes);
  const auto checksum = in.get<std::uint64_t>();
  if (!checksum || *checksum != hash64(bytes.substr(sizeof *checksum))) return damaged();
  SnapshotManifest manifest;
  manifest.position = TRY(in.get<Position>());
  const auto pieces = TRY(in.get_count(kPieceHeader));
  manifest.pieces.reserve(pieces);
  for (std::uint64_t i = 0; i < pieces; ++i) manifest.pieces.push_back(TRY(get_piece(in)));
  if (!in.done()) return damaged();
  return manifest;
}

std::string snapshot_file_name(std::uint32_t number) {
  return fmt::format("{}.{:0{}}", kSnapshotName, number, kDigits);
}

std::optional<std::uint32_t> parse_snapshot_file_name(std::string_view name) {
  const std::string_view whole = name;
  if (!name.starts_with(kSnapshotName)) return std::nullopt;
  name.remove_prefix(kSnapshotName.size());
  std::uint32_t number = 0;
  if (name.size() <= kDigits) return std::nullopt;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  if (error != std::errc() || snapshot_file_name(number) != whole) return std::nullopt;
  return number;
}

}  // namespace tailrace::server
