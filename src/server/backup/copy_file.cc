#include "server/backup/copy_file.h"

#include <algorithm>
#include <functional>
#include <string_view>

#include <fmt/format.h>

#include "base/hash.h"

namespace tailrace::server {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

// piece(offset, bytes) -> Result<void>, for all of them.
template <class Piece>
Result<std::string> read_pieces(const File& file, std::uint64_t bytes, Piece piece) {
  Sha256Stream sum;
  std::string buffer(std::min<std::uint64_t>(bytes, kPieceBytes), '\0');
  for (std::uint64_t offset = 0; offset < bytes;) {
    const std::span<char> wanted(buffer.data(), std::min<std::uint64_t>(bytes - offset, buffer.size()));
    const std::size_t got = TRY(file.read_at(offset, wanted));
    if (got == 0)
      return fail(Error::Code::corrupt, fmt::format("it ends after {} of {} bytes", offset, bytes));
    const std::string_view read(buffer.data(), got);
    sum.add(read);
    TRY(piece(offset, read));
    offset += got;
  }
  return sum.hex();
}

}  // namespace

Result<std::string> sum_of_file(const File& file, std::uint64_t bytes) {
  return read_pieces(file, bytes, [](std::uint64_t, std::string_view) -> Result<void> { return {}; });
}

Result<std::string> copy_file(Disk& disk, const File& from, std::uint64_t bytes, const std::string& path) {
  const auto to = TRY(disk.open(path, Disk::Mode::create_or_open));
  std::string sum = TRY(read_pieces(
      from, bytes, [&](std::uint64_t offset, std::string_view read) { return to->write_at(offset, read); }));
  TRY(to->sync());
  return sum;
}

Result<void> check_file(Disk& disk, const std::string& path, std::uint64_t bytes, const std::string& sha256) {
  const auto damaged = [&](std::string_view what) {
    return fail(Error::Code::corrupt, fmt::format("{} {}", path, what));
  };
  if (!disk.exists(path)) return damaged("is missing");
  const auto file = TRY(disk.open(path, Disk::Mode::read));
  const std::uint64_t size = TRY(file->size());
  if (size != bytes) return damaged(fmt::format("has {} bytes; {} were written", size, bytes));
  if (TRY(sum_of_file(*file, bytes)) != sha256) return damaged("is damaged: its checksum is wrong");
  return {};
}

}  // namespace tailrace::server
