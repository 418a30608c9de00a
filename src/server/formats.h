// The formats of everything that is on disk, and what becomes of an older one. A change of a grammar raises
// its number; what a program does not know it refuses, naming it, before it reads further.
//
//   part       where                 number                       an older one
//   store      DIR/FORMAT            kStoreFormat                 (there is none)
//   log        DIR/log/              log::kFormatVersion          (there is none)
//   ledger     DIR/ledger/           delivery::kLedgerFormat      read as it is, named anew when written
//   snapshot   DIR/snapshot          kSnapshotMagic               not used: the log is replayed
//   backup     TARGET/BACKUP         kBackupFormat                (there is none)
//   deletions  TARGET/deletions      kDeletionsFormat             (there is none)
#pragma once

#include <cstddef>
#include <string_view>

namespace tailrace::server {

constexpr std::string_view kStoreFormat = "tailrace store 1\n";
// snapshot := magic:8 position:u64 size:u64 checksum:u64 state     the state begins with a number of its own
constexpr std::string_view kSnapshotMagic = "TRSNAP01";
constexpr std::size_t kSnapshotHeader = 8 + 3 * 8;
constexpr std::string_view kBackupFormat = "tailrace backup 1";
constexpr std::string_view kDeletionsFormat = "tailrace deletions 1";

}  // namespace tailrace::server
