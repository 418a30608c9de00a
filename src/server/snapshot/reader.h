// A snapshot piece by piece. What is in memory at a time is one piece and its deltas.
//
//   const auto snapshot = TRY(SnapshotReader::open(disk, directory));
//   ByteReader in(*snapshot);
//   TRY(engine.restore(in));
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/file.h"
#include "server/snapshot/manifest.h"

namespace tailrace::server {

class SnapshotReader final : public PieceSource {
 public:
  // Holds all its files open: it stays readable when another snapshot takes its place meanwhile. nullptr:
  // there is none. Errors: unsupported (of another version), corrupt, io; their messages do not name the
  // directory.
  static Result<std::unique_ptr<SnapshotReader>> open(Disk& disk, const std::string& directory);

  const SnapshotManifest& manifest() const { return manifest_; }
  // Those in which it is, by their names in the directory.
  const std::map<std::string, std::unique_ptr<File>>& files() const { return files_; }

  std::uint64_t bytes() const override { return manifest_.bytes(); }
  Result<std::string_view> next() override;
  // The i-th, its checksum verified; valid until the next call. Errors: corrupt, io.
  Result<std::string_view> piece(std::size_t i);
  // Reads all of it. gone: asked between pieces; true ends it with `unavailable`. Errors: corrupt, io.
  Result<void> check(const std::function<bool()>& gone = {});

 private:
  static Result<std::unique_ptr<SnapshotReader>> open_once(Disk& disk, const std::string& directory);
  Result<void> read(const SnapshotLayer& layer, std::string& bytes) const;

  SnapshotManifest manifest_;
  std::map<std::string, std::unique_ptr<File>> files_;
  std::map<std::uint32_t, const File*> by_number_;
  std::string piece_, delta_;
  std::size_t next_ = 0;
};

}  // namespace tailrace::server
