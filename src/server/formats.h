// The formats of everything that is on disk, and what becomes of an older one. A change of a grammar raises
// its number; what a program does not know it refuses, naming it, before it reads further.
//
//   part       where                 number                       an older one
//   store      DIR/FORMAT            kStoreFormat                 (there is none)
//   log        DIR/log/              log::kFormatVersion          (there is none)
//   ledger     DIR/ledger/           delivery::kLedgerFormat      read as it is, named anew when written
//   snapshot   DIR/snapshot          kSnapshotMagic               not used: the log is replayed
//   backup     TARGET/BACKUP         kBackupFormat                read: its snapshot is then of another
//   version deletions  TARGET/deletions      kDeletionsFormat             (there is none)
#pragma once

#include <array>
#include <string_view>

namespace tailrace::server {

constexpr std::string_view kStoreFormat = "tailrace store 1\n";
// Of the manifest (snapshot/manifest.h); the state begins with a number of its own.
constexpr std::string_view kSnapshotMagic = "TRSNAP02";
constexpr std::string_view kBackupFormat = "tailrace backup 3";
// Read as well: nothing was kept of sources that are asked; and the snapshot was one file.
constexpr std::array<std::string_view, 2> kBackupFormatsBefore{"tailrace backup 2", "tailrace backup 1"};
constexpr std::string_view kDeletionsFormat = "tailrace deletions 1";

}  // namespace tailrace::server
