// What a snapshot consists of: DIR/snapshot, the manifest, and the files it names, DIR/snapshot.000001 and so
// on, which hold pieces of the engine's state one after another.
//
//   manifest := "TRSNAP02" checksum:u64 body               checksum: of the body
//   body     := position:u64 pieces:u64 piece*
//   piece    := key:u64 size:u32 checksum:u64 layers:u8 layer*      in the order in which they are restored
//   layer    := file:u32 offset:u64 length:u32             the first is the piece itself, as it was then;
//   each
//                                                          later one a delta (delta.h) to what is below it
//
// The checksum of a piece is that of its bytes with all layers applied, so that nothing that differs from
// what the engine wrote is ever restored.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"

namespace tailrace::server {

struct SnapshotLayer {
  std::uint32_t file = 0;  // by number
  std::uint64_t offset = 0;
  std::uint32_t length = 0;

  bool operator==(const SnapshotLayer&) const = default;
};

struct SnapshotPiece {
  std::uint64_t key = 0;   // base/bytes.h
  std::uint32_t size = 0;  // kPieceBytes at most
  std::uint64_t checksum = 0;
  std::vector<SnapshotLayer> layers;  // one at least

  bool operator==(const SnapshotPiece&) const = default;
};

struct SnapshotManifest {
  Position position;  // the state is that of all records before it
  std::vector<SnapshotPiece> pieces;

  std::set<std::uint32_t> files() const;  // that layers are in
  std::uint64_t bytes() const;            // of the state

  bool operator==(const SnapshotManifest&) const = default;
};

std::string to_bytes(const SnapshotManifest& manifest);
// Errors: unsupported (it is not of this version), corrupt.
Result<SnapshotManifest> parse_snapshot_manifest(std::string_view bytes);

constexpr std::string_view kSnapshotName = "snapshot";
std::string snapshot_file_name(std::uint32_t number);
// Missing: it is no such name.
std::optional<std::uint32_t> parse_snapshot_file_name(std::string_view name);

}  // namespace tailrace::server
