#include <fmt/format.h>

#include "log/compressed_file.h"
#include "log/log.h"
#include "log/survey.h"

namespace tailrace::log {
namespace {

// Walks one file, over all its damage, and counts on from so_far.
Result<Walk> verify_file(const File& file, const std::string& path, Position first, bool is_last, Walk so_far,
                         Verification& result) {
  const std::uint64_t size = TRY(file.size());
  FrameScanner scanner(file, first);
  so_far.end = kFileHeaderBytes;
  for (;;) {
    so_far = TRY(walk_frames(scanner, size, so_far));
    if (so_far.end == size) return so_far;
    const Rest rest = TRY(look_at_rest(file, first, so_far.end, size));
    if (is_last && rest.kind != Rest::Kind::damage) {
      result.torn_bytes = rest.bytes;
      return so_far;
    }
    result.damage.push_back(fmt::format(
        "{} at offset {}: no whole record begins here; {}", path, so_far.end,
        rest.next_frame == 0 ? std::string("nothing behind it can be read")
                             : fmt::format("the next whole record begins at {}", rest.next_frame)));
    if (rest.next_frame == 0) return so_far;
    so_far.end = rest.next_frame;
  }
}

Result<FileHeader> header_of(const File& file) {
  std::string bytes(kFileHeaderBytes, '\0');
  bytes.resize(TRY(file.read_at(0, bytes)));
  FileHeader header;
  std::uint32_t version = 0;
  (void)decode_file_header(bytes, header, version);  // the survey has judged it
  return header;
}

}  // namespace

Result<Verification> verify(Disk& disk, const std::string& directory) {
  Verification result;
  const Survey found = TRY(survey_headers(disk, directory));
  result.files = found.files.size();
  Walk walk;
  for (const Position first : found.files) {
    const bool is_last = first == found.files.back();
    if (is_last && found.header_missing) break;
    const std::string path = path_in(directory, file_name(first));
    const LogFile opened = TRY(open_log_file(disk, path));
    const FileHeader header = TRY(header_of(*opened.file));
    // Behind damage the count is known to be off.
    if (result.damage.empty() && header != FileHeader{first, walk.records, walk.received_at}) {
      result.damage.push_back(
          fmt::format("{} at offset 0: its header does not fit the records of the files before it", path));
    }
    walk = TRY(verify_file(*opened.file, path, first, is_last, walk, result));
  }
  result.records = walk.records;
  return result;
}

}  // namespace tailrace::log
