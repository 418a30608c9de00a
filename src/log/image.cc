#include "log/image.h"

#include <algorithm>

#include "base/hash.h"
#include "log/compressed_file.h"
#include "log/frame.h"
#include "log/frame_scanner.h"
#include "log/redact.h"
#include "log/survey.h"
#include "model/record.h"

namespace tailrace::log {
namespace {

constexpr std::uint64_t kFramesBetweenQuestions = 1 << 16;
constexpr std::size_t kReadBytes = 1 << 20;

Result<std::string> header_bytes(const File& file, const std::string& path, Position first) {
  std::string bytes(kFileHeaderBytes, '\0');
  bytes.resize(TRY(file.read_at(0, bytes)));
  FileHeader header;
  std::uint32_t version = 0;
  if (bytes.size() < kFileHeaderBytes || decode_file_header(bytes, header, version) != HeaderState::good ||
      header.first != first) {
    return std::unexpected(damage_at(path, 0, "this is no header of this file"));
  }
  return bytes;
}

// Of a compressed file, which is copied as it is.
Result<FileImage> stored_image(Disk& disk, const std::string& path, Position first) {
  const auto file = TRY(disk.open(path, Disk::Mode::read));
  const std::uint64_t size = TRY(file->size());
  Sha256Stream sum;
  std::string bytes;
  for (std::uint64_t offset = 0; offset < size; offset += bytes.size()) {
    bytes.resize(std::min<std::uint64_t>(kReadBytes, size - offset));
    if (TRY(file->read_at(offset, bytes)) < bytes.size())
      return std::unexpected(damage_at(path, offset, "it became shorter while it was read"));
    sum.add(bytes);
  }
  return FileImage{.first = first, .bytes = size, .sha256 = sum.hex()};
}

Result<FileImage> read_file(Disk& disk, const std::string& directory, Position first, std::uint64_t limit,
                            Image& image, const std::function<bool()>& gone) {
  const std::string path = path_in(directory, file_name(first));
  const LogFile opened = TRY(open_log_file(disk, path));
  // It is copied whole, so it must end where it is taken to.
  if (opened.compressed && TRY(opened.file->size()) != limit)
    return std::unexpected(damage_at(path, limit, "it does not end where the next file begins"));
  Sha256Stream sum;
  sum.add(TRY(header_bytes(*opened.file, path, first)));
  FrameScanner scanner(*opened.file, first);
  ScannedFrame frame;
  for (std::uint64_t offset = kFileHeaderBytes; offset < limit; offset += frame.raw.size()) {
    if (!TRY(scanner.read(offset, limit, frame)))
      return std::unexpected(damage_at(path, offset, "no whole record begins here"));
    sum.add(frame.raw);
    const auto length = static_cast<std::uint32_t>(frame.record.size());
    if (image.records == 0) {
      image.first_received_at = received_at_of(frame.record);
      image.first_length = length;
    }
    if (frame.record.front() == static_cast<char>(RecordKind::tombstone)) {
      const RecordView record = TRY(decode_record(frame.record));
      image.tombstones.push_back({.position = Position{first.value + offset},
                                  .received_at = record.received_at,
                                  .length = length,
                                  .created_person = record.created_person});
    }
    if (++image.records % kFramesBetweenQuestions == 0 && gone && gone())
      return fail(Error::Code::unavailable, "stopped before all was read");
  }
  if (opened.compressed) return stored_image(disk, path, first);
  return FileImage{.first = first, .bytes = limit, .sha256 = sum.hex()};
}

}  // namespace

Result<Image> image_of(Disk& disk, const std::string& directory, Position end,
                       const std::function<bool()>& gone) {
  if (disk.exists(path_in(directory, kRedactionName))) {
    return fail(Error::Code::unavailable,
                "a deletion is half carried out in the log (its disk failed then?); it is finished when the "
                "store is opened next, or in a minute");
  }
  std::vector<Position> firsts;
  for (const std::string& name : TRY(disk.list(directory))) {
    const auto first = parse_file_name(name);
    if (first && *first < end) firsts.push_back(*first);
  }
  Image image;
  for (std::size_t i = 0; i < firsts.size(); ++i) {
    const Position behind = i + 1 < firsts.size() ? firsts[i + 1] : end;
    image.files.push_back(
        TRY(read_file(disk, directory, firsts[i], behind.value - firsts[i].value, image, gone)));
  }
  return image;
}

}  // namespace tailrace::log
