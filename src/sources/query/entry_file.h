// Files of rows in the order of their keys: what a query gave, what it gave the time before, and the records
// to be sent.
//
//   file   := magic header block* end
//   magic  := "TRROWS01"
//   header := block                                     its payload is JSON, the writer's
//   block  := bytes:u32 checksum:u64 payload            XXH3 of the payload; an entry never spans two
//   end    := 0:u32 checksum:u64 entries:u64            of the eight bytes of `entries`
//   payload := entry*
//   entry  := key_bytes:u16 flags:u8 hash:u64 hash:u64 record_bytes:u32 key record
//   flags  := 1 rejected, 2 stands
//
// Little-endian. A file without its end is none: whoever reads it learns so at the end at the latest.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace tailrace::sources {

constexpr std::size_t kEntryKeyBytesMax = 1'200;
constexpr std::size_t kEntryRecordBytesMax = std::size_t{2} << 20;

// Equal for rows of equal content; 128 bits, so that a difference is not missed.
using ContentHash = std::array<std::uint64_t, 2>;
ContentHash content_hash(std::string_view bytes);

struct Entry {
  std::string key;
  ContentHash hash{};
  bool rejected = false;  // the row does not fit: its record says why
  bool stands = false;    // a record of it was sent that was none of a rejected row
  std::string record;     // encoded; empty in a snapshot

  bool operator==(const Entry&) const = default;
};

class EntryWriter {
 public:
  // Over what may be there. Errors: io.
  static Result<std::unique_ptr<EntryWriter>> create(Disk& disk, const std::string& path,
                                                     std::string_view header);
  // Errors: invalid_argument (too long), io.
  Result<void> put(const Entry& entry);
  // On disk on return, but for the folder's name of it.
  Result<void> finish();
  std::uint64_t entries() const { return entries_; }

 private:
  explicit EntryWriter(std::unique_ptr<File> file) : file_(std::move(file)) {}
  Result<void> write(std::string_view bytes);
  Result<void> write_block();

  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
  std::uint64_t entries_ = 0;
  std::string payload_;
};

class EntryReader {
 public:
  // Errors: not_found, io, corrupt.
  static Result<std::unique_ptr<EntryReader>> open(Disk& disk, const std::string& path);
  const std::string& header() const { return header_; }
  // False at the end. Errors: io, corrupt.
  Result<bool> next(Entry& entry);

 private:
  explicit EntryReader(std::unique_ptr<File> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  Result<void> read(std::span<char> into);
  Result<bool> read_block(std::string& payload);
  std::unexpected<Error> damaged(std::string_view what) const;

  std::unique_ptr<File> file_;
  std::string path_;
  std::uint64_t offset_ = 0;
  std::string header_;
  std::string payload_;
  std::size_t at_ = 0;
  std::uint64_t entries_ = 0;
  bool ended_ = false;
};

}  // namespace tailrace::sources
