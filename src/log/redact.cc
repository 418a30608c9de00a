#include "log/redact.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/whole_file.h"
#include "log/compressed_file.h"
#include "log/frame.h"
#include "log/frame_scanner.h"
#include "log/survey.h"

namespace tailrace::log {
namespace {

constexpr std::size_t kWriteBytes = 1 << 20;
constexpr std::string_view kMagic = "TRREDAC2";
constexpr std::string_view kMagicBefore = "TRREDAC1";

std::string intent_path(const std::string& directory) { return path_in(directory, kRedactionName); }

// Appends the frame as a tombstone of the same length.
void append_tombstone(std::string& out, const ScannedFrame& frame, Position position, bool created_person) {
  const std::size_t offset = out.size();
  out += frame.raw;
  make_tombstone(out, offset + kFrameHeaderBytes, frame.record.size(), created_person);
  seal_frame(out, offset, position, static_cast<std::uint32_t>(frame.record.size()), frame.back);
}

void append_pinned(std::string& out, const ScannedFrame& frame, const Pin& pinned) {
  const std::size_t offset = out.size();
  out += frame.raw;
  pin(out, offset + kFrameHeaderBytes, pinned.kinds);
  seal_frame(out, offset, pinned.position, static_cast<std::uint32_t>(frame.record.size()), frame.back);
}

// Gives the frames of a file as they are to be, in their order.
class Redactor {
 public:
  explicit Redactor(const Redaction& part)
      : part_(part), tombstone_(part.positions.begin()), pin_(part.pins.begin()) {}

  void append(std::string& out, const ScannedFrame& frame, Position position) {
    const bool is_pinned = pin_ != part_.pins.end() && pin_->position == position;
    if (tombstone_ != part_.positions.end() && *tombstone_ == position) {
      append_tombstone(out, frame, position, std::ranges::binary_search(part_.creators, position));
      ++tombstone_;
    } else if (is_pinned) {
      append_pinned(out, frame, *pin_);
    } else {
      out += frame.raw;
    }
    if (is_pinned) ++pin_;
  }
  bool done() const { return tombstone_ == part_.positions.end() && pin_ == part_.pins.end(); }

 private:
  const Redaction& part_;
  std::vector<Position>::const_iterator tombstone_;
  std::vector<Pin>::const_iterator pin_;
};

Result<void> copy_frames(const File& from, File& to, const Rewrite& rewrite, Redactor& redactor) {
  std::string out(kFileHeaderBytes, '\0');
  out.resize(TRY(from.read_at(0, out)));
  std::uint64_t written = 0;
  FrameScanner scanner(from, rewrite.first);
  ScannedFrame frame;
  for (std::uint64_t offset = kFileHeaderBytes; offset < rewrite.frames_end; offset += frame.raw.size()) {
    if (!TRY(scanner.read(offset, rewrite.frames_end, frame))) {
      return std::unexpected(damage_at(rewrite.path, offset, "no whole record begins here"));
    }
    redactor.append(out, frame, Position{rewrite.first.value + offset});
    if (out.size() < kWriteBytes) continue;
    TRY(to.write_at(written, out));
    written += out.size();
    out.clear();
  }
  if (!out.empty()) TRY(to.write_at(written, out));
  return {};
}

// Where something changes, ascending.
std::vector<Position> positions_of(const Redaction& part) {
  std::vector<Position> all = part.positions;
  for (const Pin& pin : part.pins) all.push_back(pin.position);
  std::ranges::sort(all);
  return all;
}

Result<std::unique_ptr<File>> write_copy(Disk& disk, const Rewrite& rewrite, const Redaction& part) {
  const LogFile from = TRY(open_log_file(disk, rewrite.path));
  Redactor redactor(part);
  std::unique_ptr<File> to;
  if (from.compressed) {
    TRY(rewrite_compressed(
        disk, rewrite.path, rewrite.first, positions_of(part),
        [&](std::string& out, const ScannedFrame& frame, Position position) {
          redactor.append(out, frame, position);
        },
        temporary_path(rewrite.path)));
  } else {
    to = TRY(disk.open(temporary_path(rewrite.path), Disk::Mode::create_or_open));
    TRY(copy_frames(*from.file, *to, rewrite, redactor));
    if (rewrite.size > rewrite.frames_end) TRY(to->allocate(rewrite.size));
    TRY(to->sync());
  }
  TR_ASSERT(redactor.done());
  return to;
}

}  // namespace

Result<void> write_down(Disk& disk, const std::string& directory, const Redaction& redaction) {
  ByteWriter body;
  body.put_array(redaction.positions);
  body.put_array(redaction.creators);
  body.put<std::uint64_t>(redaction.pins.size());
  for (const Pin& pin : redaction.pins) {
    body.put(pin.position);
    body.put(pin.kinds);
  }
  const std::string bytes = body.take();
  ByteWriter whole;
  whole.put(hash64(bytes));
  // A crash leaves what is removed as a leftover when the log is opened.
  return write_whole(disk, directory, {.name = kRedactionName, .suffix = kLeftoverSuffix},
                     std::string(kMagic) + whole.take(), bytes);
}

Result<std::optional<Redaction>> find_written_down(Disk& disk, const std::string& directory) {
  const std::string path = intent_path(directory);
  if (!disk.exists(path)) return std::nullopt;
  const auto damaged = [&] {
    return fail(
        Error::Code::corrupt,
        fmt::format("{} is damaged: a deletion was under way and cannot be finished; restore the store "
                    "from a backup, or remove the file and delete the person again",
                    path));
  };
  const std::string bytes = TRY(read_whole(disk, path));
  const bool has_pins = bytes.starts_with(kMagic);
  if (!has_pins && !bytes.starts_with(kMagicBefore)) return damaged();
  ByteReader reader(std::string_view(bytes).substr(kMagic.size()));
  const auto checksum = reader.get<std::uint64_t>();
  if (!checksum || *checksum != hash64(std::string_view(bytes).substr(kMagic.size() + sizeof *checksum)))
    return damaged();
  Redaction redaction;
  redaction.positions = TRY(reader.get_array<Position>());
  redaction.creators = TRY(reader.get_array<Position>());
  for (auto left = has_pins ? TRY(reader.get_count(9)) : 0; left > 0; --left) {
    const auto position = TRY(reader.get<Position>());
    redaction.pins.push_back({ position, TRY(reader.get<std::uint8_t>()) });
  }
  return redaction;
}

Result<void> cross_out(Disk& disk, const std::string& directory) {
  TRY(disk.remove(intent_path(directory)));
  return disk.sync_directory(directory);
}

std::string temporary_path(const std::string& path) { return path + ".tmp"; }

bool is_tombstone(std::string_view record) {
  std::string tombstone(record);
  make_tombstone(tombstone, 0, tombstone.size());
  return record == tombstone;
}

bool is_pinned(std::string_view record, const Pin& pinned) {
  std::string changed(record);
  pin(changed, 0, pinned.kinds);
  return record == changed;
}

Result<std::unique_ptr<File>> write_redacted(Disk& disk, const Rewrite& rewrite, const Redaction& part) {
  auto copy = write_copy(disk, rewrite, part);
  // A copy that stays is removed when the log is opened next, so a failure here changes nothing.
  if (!copy && disk.exists(temporary_path(rewrite.path))) (void)disk.remove(temporary_path(rewrite.path));
  return copy;
}

}  // namespace tailrace::log
