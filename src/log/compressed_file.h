// A sealed file of the log, compressed: the same frames at the same offsets, in blocks that are undone one by
// one when somebody reads there. Format, little-endian:
//
//   compressed := header block+ index end
//   header     := that of the file (frame.h), of version 2, so that an older release says that it is too old
//   block      := zstd of: frames:u32 (length:u32 back:u32){frames} record{frames}
//   index      := (plain_bytes:u32 stored_bytes:u32 check:u64){blocks}
//   end        := plain_bytes:u64 blocks:u64 check:u64
//
//   frames         whole ones: as many as fit into kBlockBytes, or one that is longer
//   back           less what it would be in the commit of the frame before it in the block: 0 mostly
//   plain_bytes    of the frames as they stand in the file, and of the file, header included
//   check          of a block: XXH3 of its stored bytes, xor its offset in the plain file
//                  of the end: XXH3 of header, index and the 16 bytes before
//
// Checks and padding of frames are left out and computed again. A block that is not what it was reads as
// zeros: no frame is that, so whoever reads there notices, as with any damage.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>

#include "base/file.h"
#include "base/id.h"
#include "base/result.h"

namespace tailrace::log {

struct ScannedFrame;

constexpr std::size_t kBlockBytes = 64 << 10;

// Blocks undone lately. Shared by the files of a log; thread-safe.
class BlockCache {
 public:
  using Block = std::shared_ptr<const std::string>;
  // bytes_max: what is kept, and always the last block.
  explicit BlockCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // For each opening of a file: what a file of that name held before is another's.
  std::uint64_t number_file();
  Block find(std::uint64_t file, std::size_t block);  // nullptr: it is not there
  void keep(std::uint64_t file, std::size_t block, Block bytes);
  void clear();

 private:
  struct Entry {
    std::uint64_t key = 0;
    Block bytes;
  };
  static std::uint64_t key_of(std::uint64_t file, std::size_t block) { return file << 32 | block; }

  const std::size_t bytes_max_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the last used first
  std::unordered_map<std::uint64_t, std::list<Entry>::iterator> by_key_;
  std::size_t bytes_ = 0;
  std::uint64_t files_ = 0;
};

// A file of the log opened for reading, as if it were plain.
struct LogFile {
  std::unique_ptr<File> file;
  bool compressed = false;
};
// cache: of a compressed file; without one, its last block is kept. Errors: corrupt (a compressed file whose
// index is damaged); not_found, io. A header that is damaged, or of a newer version, is for the caller to
// see.
Result<LogFile> open_log_file(Disk& disk, const std::string& path, std::shared_ptr<BlockCache> cache = {});

// Writes a sealed file, compressed, to `to`, on disk on return. `stop`: asked for each block; true ends it
// with `unavailable`. Errors: corrupt (the file is damaged: it stays what it is), io; then nothing is left at
// `to`, as far as possible.
Result<void> write_compressed(Disk& disk, const std::string& path, Position first, const std::string& to,
                              const std::function<bool()>& stop);

// Writes a compressed file anew, to `to`, on disk on return. Blocks with none of `positions` (ascending) are
// copied as they are stored, be they damaged. Of the others, append(out, frame, position) appends each frame,
// of the same length. Errors: corrupt (what is to be changed is damaged), io; then as above.
using AppendFrame = std::function<void(std::string& out, const ScannedFrame& frame, Position position)>;
Result<void> rewrite_compressed(Disk& disk, const std::string& path, Position first,
                                std::span<const Position> positions, const AppendFrame& append,
                                const std::string& to);

}  // namespace tailrace::log
