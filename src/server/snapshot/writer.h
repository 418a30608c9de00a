// Writes snapshots. A piece that is as it was in the snapshot before stays in its file, and of one that has
// changed only the difference is written, where that is less than half of it. So that a restart reads few
// files, and the disk holds little that no longer counts, a snapshot is whole when there is none before it,
// when it would be in more than kSnapshotFilesMax files, or when these have half as much again as the state.
//
// What is kept was true once: a deletion of a person must remove the snapshot, and the next one is whole.
//
// Whatever happens on the way, the directory holds the snapshot before or the new one,
// whole: the pieces go to a file of their own, and the manifest, which alone says what is in use, is renamed
// into place when they are on disk. Files it does not name are removed then; what a crash leaves is removed
// by remove_unused_snapshot_files.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/file.h"
#include "server/snapshot/manifest.h"

namespace tailrace::server {

constexpr std::size_t kSnapshotFilesMax = 16;  // with pieces

struct SnapshotWritten {
  bool whole = true;                // nothing stayed where it was
  std::uint64_t state_bytes = 0;    // of the state
  std::uint64_t written_bytes = 0;  // to disk, with the manifest
};

// save: writes the state, all at once. In memory at a time are one piece, what it was before and the
// difference, beside the manifests: 40 bytes a piece and 16 more for each difference. The snapshot before is
// read and its checksums verified; where it is damaged, pieces are written whole. Errors: io.
Result<SnapshotWritten> write_snapshot(Disk& disk, const std::string& directory, Position position,
                                       const std::function<void(ByteWriter&)>& save);

// No byte of any snapshot stays, on disk on return. Errors: io.
Result<void> remove_snapshot(Disk& disk, const std::string& directory);

// Removes what no manifest names: of a snapshot that was begun, or of one that has been replaced. Errors: io.
Result<void> remove_unused_snapshot_files(Disk& disk, const std::string& directory);

}  // namespace tailrace::server
