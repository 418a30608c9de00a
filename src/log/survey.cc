#include "log/survey.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/assert.h"
#include "log/compressed_file.h"

namespace tailrace::log {
namespace {

std::uint64_t bytes_before_trailing_zeros(std::string_view bytes) {
  const auto last = bytes.find_last_not_of('\0');
  return last == std::string_view::npos ? 0 : last + 1;
}

Result<std::string> read_all(const File& file, std::uint64_t offset, std::uint64_t size) {
  std::string bytes(size - std::min(offset, size), '\0');
  bytes.resize(TRY(file.read_at(offset, bytes)));
  return bytes;
}

struct HeaderRead {
  HeaderState state = HeaderState::damaged;
  FileHeader header;
  std::uint64_t size = 0;
  bool blank = false;  // nothing of the header has reached the disk
};

Result<HeaderRead> read_header(const File& file, const std::string& path, Position first) {
  HeaderRead read;
  read.size = TRY(file.size());
  std::string bytes(kFileHeaderBytes, '\0');
  bytes.resize(TRY(file.read_at(0, bytes)));
  std::uint32_t version = 0;
  read.state = decode_file_header(bytes, read.header, version);
  read.blank = bytes.size() < kFileHeaderBytes || bytes_before_trailing_zeros(bytes) == 0;
  if (read.state == HeaderState::newer_version) {
    return fail(
        Error::Code::unsupported,
        fmt::format("{} was written in log format {}, and this Tailrace reads format {}; start it with the "
                    "release that wrote it or a newer one (nothing was changed)",
                    path, version, kFormatVersion));
  }
  if (read.state == HeaderState::good && read.header.first != first) {
    return std::unexpected(damage_at(
        path, 0,
        fmt::format("its name does not fit its header, which says position {}", read.header.first.value)));
  }
  return read;
}

Error gap_error(const std::string& path, std::uint64_t end_offset, Position end, Position next) {
  if (end.value < next.value) {
    return damage_at(
        path, end_offset,
        fmt::format("it ends at position {}, and the next file begins at {}: it was cut short, or a "
                    "file in between is missing",
                    end.value, next.value));
  }
  return damage_at(path, end_offset - (end.value - next.value),
                   fmt::format("it is longer than the position {} where the next file begins", next.value));
}

// Completes the survey when the last file has no header yet: all it would say stands in the file before.
Result<void> derive_last_header(Disk& disk, const std::string& directory, Survey& found) {
  found.header_missing = true;
  found.last_header = FileHeader{.first = found.files.back()};
  if (found.files.size() == 1) return {};
  const Position first = found.files[found.files.size() - 2];
  const std::string path = path_in(directory, file_name(first));
  const LogFile opened = TRY(open_log_file(disk, path));
  const HeaderRead before = TRY(read_header(*opened.file, path, first));
  FrameScanner scanner(*opened.file, first);
  const Walk walk = TRY(
      walk_frames(scanner, before.size,
                  {.records = before.header.records_before, .received_at = before.header.received_before}));
  if (walk.end != before.size) {
    return std::unexpected(
        damage_at(path, walk.end, "no whole record begins here, and the file was complete"));
  }
  found.last_header.records_before = walk.records;
  found.last_header.received_before = walk.received_at;
  return {};
}

Result<void> survey_last_header(Disk& disk, const std::string& directory, Survey& found) {
  const Position first = found.files.back();
  const std::string path = path_in(directory, file_name(first));
  const LogFile opened = TRY(open_log_file(disk, path));
  const HeaderRead read = TRY(read_header(*opened.file, path, first));
  if (opened.compressed) {
    return std::unexpected(damage_at(
        path, 0, "it is compressed, as files are that others follow: the files behind it are missing"));
  }
  found.last_size = read.size;
  found.last_header = read.header;
  if (read.state == HeaderState::good) return {};
  const Rest rest = TRY(look_at_rest(*opened.file, first, kFileHeaderBytes, read.size));
  if (!read.blank || rest.kind != Rest::Kind::zeros) {
    return std::unexpected(damage_at(path, 0, "its header is damaged"));
  }
  return derive_last_header(disk, directory, found);
}

Result<void> survey_last_frames(Disk& disk, const std::string& directory, Survey& found) {
  found.walk = {.records = found.last_header.records_before,
                .received_at = found.last_header.received_before};
  if (found.header_missing) return {};
  const Position first = found.files.back();
  const std::string path = path_in(directory, file_name(first));
  const LogFile opened = TRY(open_log_file(disk, path));
  FrameScanner scanner(*opened.file, first);
  found.walk = TRY(walk_frames(scanner, found.last_size, found.walk));
  const Rest rest = TRY(look_at_rest(*opened.file, first, found.walk.end, found.last_size));
  if (rest.kind == Rest::Kind::damage) {
    return std::unexpected(
        damage_at(path, found.walk.end,
                  fmt::format("a record is damaged here; records written later are whole from offset {} on",
                              rest.next_frame)));
  }
  found.torn_bytes = rest.bytes;
  return {};
}

}  // namespace

std::string path_in(const std::string& directory, const std::string& name) { return directory + "/" + name; }

Error damage_at(const std::string& path, std::uint64_t offset, const std::string& what) {
  return {
      Error::Code::corrupt,
      fmt::format("the log is damaged in {} at offset {}: {}; nothing was changed: restore this file from a "
                  "backup",
                  path, offset, what)};
}

Result<Walk> walk_frames(FrameScanner& scanner, std::uint64_t size, Walk so_far) {
  ScannedFrame frame;
  while (TRY(scanner.read(so_far.end, size, frame))) {
    so_far.last_commit = so_far.end - std::min<std::uint64_t>(frame.back, so_far.end);
    so_far.received_at = received_at_of(frame.record);
    so_far.end += frame.raw.size();
    ++so_far.records;
  }
  return so_far;
}

Result<Rest> look_at_rest(const File& file, Position first, std::uint64_t offset, std::uint64_t size) {
  const std::string rest = TRY(read_all(file, offset, size));
  Rest found{.bytes = bytes_before_trailing_zeros(rest)};
  if (found.bytes == 0) return found;
  found.kind = Rest::Kind::torn;
  const std::string_view bytes(rest);
  TR_ASSERT(offset % kAlignment == 0);
  std::size_t at = 0;
  while (at < found.bytes && at + kFrameHeaderBytes <= bytes.size()) {
    const Position position{first.value + offset + at};
    const auto header = read_frame_header(bytes.data() + at, position);
    const std::size_t length = header ? frame_bytes(header->length) : 0;
    if (!header || length > bytes.size() - at ||
        !payload_is_whole(*header, position,
                          bytes.substr(at + kFrameHeaderBytes, length - kFrameHeaderBytes))) {
      at += kAlignment;
      continue;
    }
    if (found.next_frame == 0) found.next_frame = offset + at;
    if (offset + at - std::min<std::uint64_t>(header->back, offset + at) > offset) {
      found.kind = Rest::Kind::damage;
      found.next_frame = offset + at;
      return found;
    }
    at += length;
  }
  return found;
}

Result<Survey> survey_headers(Disk& disk, const std::string& directory) {
  Survey found;
  for (const auto& name : TRY(disk.list(directory))) {
    if (const auto first = parse_file_name(name)) found.files.push_back(*first);
    if (name.ends_with(kLeftoverSuffix)) found.leftovers.push_back(name);
  }
  if (found.files.empty()) return found;
  std::ranges::sort(found.files);
  if (found.files.front() != Position{}) {
    return std::unexpected(damage_at(path_in(directory, file_name(found.files.front())), 0,
                                     "it is the first file, and the files before it are missing"));
  }
  for (std::size_t i = 0; i + 1 < found.files.size(); ++i) {
    const Position first = found.files[i];
    const std::string path = path_in(directory, file_name(first));
    const LogFile opened = TRY(open_log_file(disk, path));
    const HeaderRead read = TRY(read_header(*opened.file, path, first));
    if (read.state == HeaderState::damaged)
      return std::unexpected(damage_at(path, 0, "its header is damaged"));
    const Position end{first.value + read.size};
    if (end != found.files[i + 1]) {
      return std::unexpected(gap_error(path, read.size, end, found.files[i + 1]));
    }
    if (!opened.compressed) found.plain.push_back(first);
  }
  TRY(survey_last_header(disk, directory, found));
  return found;
}

Result<Survey> survey(Disk& disk, const std::string& directory) {
  Survey found = TRY(survey_headers(disk, directory));
  if (!found.files.empty()) TRY(survey_last_frames(disk, directory, found));
  return found;
}

}  // namespace tailrace::log
