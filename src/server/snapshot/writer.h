// Writes snapshots. Whatever happens on the way, the directory holds the snapshot before or the new one,
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

struct SnapshotWritten {
  std::uint64_t state_bytes = 0;    // of the state
  std::uint64_t written_bytes = 0;  // to disk, with the manifest
};

// save: writes the state, all at once. In memory at a time is one piece, beside the manifest: some 30 bytes a
// piece. Errors: io.
Result<SnapshotWritten> write_snapshot(Disk& disk, const std::string& directory, Position position,
                                       const std::function<void(ByteWriter&)>& save);

// No byte of any snapshot stays, on disk on return. Errors: io.
Result<void> remove_snapshot(Disk& disk, const std::string& directory);

// Removes what no manifest names: of a snapshot that was begun, or of one that has been replaced. Errors: io.
Result<void> remove_unused_snapshot_files(Disk& disk, const std::string& directory);

}  // namespace tailrace::server
