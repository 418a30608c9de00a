#include "log/log.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "log/compressed_file.h"
#include "log/frame.h"
#include "log/frame_scanner.h"
#include "log/redact.h"
#include "log/survey.h"

namespace tailrace::log {
namespace {

constexpr std::uint64_t kFileBytesMin = 4096;
constexpr std::uint64_t kFileBytesMax = 1ull << 30;
constexpr std::size_t kHandlesMax = 64;         // files kept open for single reads
constexpr std::size_t kSingleReadBytes = 1024;  // most records come with one read
constexpr std::size_t kCachedBlocksBytes = 16 << 20;
// The copy that is being compressed: one at a time. A leftover when the log is opened.
constexpr const char* kCompressedName = "compressed.log.tmp";

struct Extent {
  Position first;
  std::uint64_t end = 0;  // position of the next file's begin; the largest number for the last file
};

// One log file opened for reading. Shared, so that it may be dropped from the cache while it is being read.
struct Handle {
  Position first;
  std::shared_ptr<const File> file;
};

// The files of a log and how far they are committed: what readers share with the writer.
class Catalog {
 public:
  Catalog(Disk& disk, std::string directory) : disk_(&disk), directory_(std::move(directory)) {}

  void add_file(Position first) {
    const std::scoped_lock lock(mutex_);
    files_.push_back(first);
  }

  // Sealed and not compressed.
  void note_plain(Position first) {
    const std::scoped_lock lock(mutex_);
    plain_.insert(first);
  }
  // Compressed, or damaged so that it cannot be.
  void forget_plain(Position first) {
    const std::scoped_lock lock(mutex_);
    plain_.erase(first);
  }
  std::optional<Position> oldest_plain() const {
    const std::scoped_lock lock(mutex_);
    return plain_.empty() ? std::nullopt : std::optional(*plain_.begin());
  }

  // The file that position lies in.
  Extent find(Position position) const {
    const std::scoped_lock lock(mutex_);
    const auto after = std::ranges::upper_bound(files_, position);
    TR_ASSERT(after != files_.begin());
    const std::uint64_t end =
        after == files_.end() ? std::numeric_limits<std::uint64_t>::max() : after->value;
    return {*std::prev(after), end};
  }

  std::vector<Position> files() const {
    const std::scoped_lock lock(mutex_);
    return files_;
  }

  Position begin() const {
    const std::scoped_lock lock(mutex_);
    return Position{files_.front().value + kFileHeaderBytes};
  }

  std::string path(Position first) const { return path_in(directory_, file_name(first)); }
  const std::string& directory() const { return directory_; }
  Disk& disk() const { return *disk_; }

  Result<std::unique_ptr<File>> open_file(Position first) const {
    LogFile opened = TRY(open_log_file(*disk_, path(first)));
    return std::move(opened.file);
  }

  // The same file again for the next single read.
  Result<std::shared_ptr<const File>> handle(Position first) const {
    const std::scoped_lock lock(mutex_);
    const auto known = std::ranges::find(handles_, first, &Handle::first);
    if (known != handles_.end()) return known->file;
    if (handles_.size() == kHandlesMax) handles_.erase(handles_.begin());
    LogFile opened = TRY(open_log_file(*disk_, path(first), blocks_));
    handles_.push_back({first, std::move(opened.file)});
    return handles_.back().file;
  }

  // After a file was replaced: whoever has it open must open it again.
  void note_rewrite() {
    const std::scoped_lock lock(mutex_);
    handles_.clear();
    blocks_->clear();
    rewrites_.fetch_add(1, std::memory_order_release);
  }
  std::uint64_t rewrites() const { return rewrites_.load(std::memory_order_acquire); }

  Position committed() const { return Position{committed_.load(std::memory_order_acquire)}; }
  void set_committed(Position position) { committed_.store(position.value, std::memory_order_release); }

 private:
  Disk* disk_;
  std::string directory_;
  mutable std::mutex mutex_;
  std::vector<Position> files_;
  std::set<Position> plain_;
  std::shared_ptr<BlockCache> blocks_ = std::make_shared<BlockCache>(kCachedBlocksBytes);  // of handles_
  mutable std::vector<Handle> handles_;
  std::atomic<std::uint64_t> committed_{0};
  std::atomic<std::uint64_t> rewrites_{0};
};

Error no_record_at(const Catalog& catalog, Extent extent, Position position) {
  return damage_at(catalog.path(extent.first), position.value - extent.first.value,
                   "no whole record begins here");
}

class FileReader final : public Reader {
 public:
  FileReader(const Catalog& catalog, Position from)
      : catalog_(&catalog), cursor_(from.value), stop_(from.value) {}

  Result<bool> next(Frame& frame) override {
    if (cursor_ == stop_ || catalog_->rewrites() != rewrites_) {
      if (!TRY(find_more())) {
        frame = {Position{cursor_}, Position{cursor_}, {}};
        return false;
      }
    }
    ScannedFrame scanned;
    const std::uint64_t first = extent_.first.value;
    if (!TRY(scanner_->read(cursor_ - first, stop_ - first, scanned))) {
      return std::unexpected(no_record_at(*catalog_, extent_, Position{cursor_}));
    }
    frame.position = Position{cursor_};
    cursor_ += scanned.raw.size();
    frame.next = Position{cursor_};
    frame.record = scanned.record;
    return true;
  }

 private:
  // Opens the file the cursor is in, where needed, and learns how far it is committed. False: no further.
  Result<bool> find_more() {
    // The count before the file: a rewrite in between is then noticed by the next call.
    const std::uint64_t rewrites = catalog_->rewrites();
    const Position committed = catalog_->committed();
    if (committed.value <= cursor_) return false;
    const Extent extent = catalog_->find(Position{cursor_});
    if (!scanner_ || extent.first != extent_.first || rewrites != rewrites_) {
      file_ = TRY(catalog_->open_file(extent.first));
      scanner_.emplace(*file_, extent.first);
      rewrites_ = rewrites;
    }
    extent_ = extent;
    cursor_ = std::max(cursor_, extent.first.value + kFileHeaderBytes);
    stop_ = std::min(extent.end, committed.value);
    return cursor_ < stop_;
  }

  const Catalog* catalog_;
  std::uint64_t cursor_;  // position of the next frame
  std::uint64_t stop_;    // frames before this are committed, and in the same file
  Extent extent_;
  std::uint64_t rewrites_ = 0;
  std::unique_ptr<File> file_;
  std::optional<FrameScanner> scanner_;
};

class FileLog final : public Log {
 public:
  FileLog(Disk& disk, std::string directory, Options options)
      : catalog_(disk, std::move(directory)), options_(options) {}

  // Brings the files into the state in which appending goes on.
  Result<void> start() {
    const std::string& directory = catalog_.directory();
    TRY(disk().make_directories(directory));
    const Survey found = TRY(survey(disk(), directory));
    TRY(remove_leftovers(found));
    if (found.files.empty()) {
      TRY(create_file(Position{}));
    } else {
      TRY(continue_last(found));
    }
    catalog_.set_committed(end());
    recovery_.records = records_;
    return finish_redaction();
  }

  Result<Position> append(std::string_view record, Time now) override {
    TRY(check_alive());
    if (record.size() < kRecordBytesMin || record.size() > kRecordBytesMax) {
      return invalid(fmt::format("a record has {} to {} bytes; this one has {}", kRecordBytesMin,
                                 kRecordBytesMax, record.size()));
    }
    const std::uint64_t used = end().value - first_.value;
    if (used > kFileHeaderBytes && used + frame_bytes(record.size()) > options_.file_bytes) {
      TRY(poison_on_error(rotate()));
    }
    const Position position = end();
    const std::size_t offset = buffer_.size();
    last_received_at_ = std::max(now, last_received_at_);
    append_frame(buffer_, record);
    stamp_received_at(buffer_, offset + kFrameHeaderBytes, last_received_at_);
    seal_frame(buffer_, offset, position, static_cast<std::uint32_t>(record.size()),
               static_cast<std::uint32_t>(position.value - written_.value));
    ++records_;
    return position;
  }

  Result<void> commit() override {
    TRY(check_alive());
    if (end() == committed()) return {};
    TRY(poison_on_error(write_and_sync()));
    catalog_.set_committed(written_);
    return {};
  }

  Position begin() const override { return catalog_.begin(); }
  Position end() const override { return Position{written_.value + buffer_.size()}; }
  Position committed() const override { return catalog_.committed(); }
  Time last_received_at() const override { return last_received_at_; }
  const Recovery& recovery() const override { return recovery_; }

  Result<std::unique_ptr<Reader>> read_from(Position position) const override {
    if (position > committed()) {
      return invalid(
          fmt::format("position {} is beyond the end of the log at {}: this log and whoever asks do not "
                      "belong together",
                      position.value, committed().value));
    }
    return std::make_unique<FileReader>(catalog_, position);
  }

  Result<std::string_view> read(Position position, std::string& bytes) const override {
    if (position < begin() || position >= committed()) {
      return fail(Error::Code::not_found,
                  fmt::format("the log has no record at position {}", position.value));
    }
    const Extent extent = catalog_.find(position);
    const auto file = TRY(catalog_.handle(extent.first));
    const std::uint64_t offset = position.value - extent.first.value;
    bytes.resize(kSingleReadBytes);
    std::size_t got = TRY(file->read_at(offset, bytes));
    const auto header = got < kFrameHeaderBytes ? std::nullopt : read_frame_header(bytes.data(), position);
    if (!header) return std::unexpected(no_record_at(catalog_, extent, position));
    const std::size_t wanted = frame_bytes(header->length);
    bytes.resize(std::max(wanted, got));
    if (got < wanted) got += TRY(file->read_at(offset + got, std::span(bytes).subspan(got)));
    const std::string_view frame = std::string_view(bytes).substr(0, wanted);
    if (got < wanted || !payload_is_whole(*header, position, frame.substr(kFrameHeaderBytes))) {
      return std::unexpected(no_record_at(catalog_, extent, position));
    }
    return frame.substr(kFrameHeaderBytes, header->length);
  }

  Result<Position> received_since(Time t) const override {
    // The last file that begins before that instant.
    Position from = begin();
    std::string bytes(kFileHeaderBytes, '\0');
    for (const Position first : catalog_.files()) {
      const auto file = TRY(catalog_.open_file(first));
      FileHeader header;
      std::uint32_t version = 0;
      const std::size_t got = TRY(file->read_at(0, bytes));
      if (got < kFileHeaderBytes || decode_file_header(bytes, header, version) != HeaderState::good)
        return fail(Error::Code::corrupt, fmt::format("the head of {} is damaged", catalog_.path(first)));
      if (header.received_before >= t) break;
      from = Position{first.value + kFileHeaderBytes};
    }
    if (from >= committed()) return committed();
    const auto reader = TRY(read_from(from));
    Frame frame;
    Position end = from;
    while (TRY(reader->next(frame))) {
      if (received_at_of(frame.record) >= t) return frame.position;
      end = frame.next;
    }
    return end;
  }

  Result<void> redact(std::vector<Position> positions, std::vector<Position> creators,
                      std::vector<Pin> pins) override {
    TRY(commit());
    const auto no_compression = cut_off_compression();
    TRY(remove_copy());
    std::ranges::sort(creators);
    std::ranges::sort(positions);
    const auto repeated = std::ranges::unique(positions);
    positions.erase(repeated.begin(), repeated.end());
    std::ranges::sort(pins);
    std::vector<Pin> merged;
    for (const Pin& pin : pins) {
      if (merged.empty() || merged.back().position != pin.position) {
        merged.push_back(pin);
      } else {
        merged.back().kinds |= pin.kinds;
      }
    }
    Redaction redaction{std::move(positions), std::move(creators), std::move(merged)};
    TRY(drop_redacted(redaction));
    if (redaction.empty()) return {};
    TRY(write_down(disk(), catalog_.directory(), redaction));
    return carry_out(redaction);
  }

  Result<bool> compress_file(const std::function<bool()>& stop) override {
    const std::scoped_lock lock(compressing_);
    const auto first = catalog_.oldest_plain();
    // A copy of the log ends where it is committed, and its last file is never compressed.
    if (!first || catalog_.find(*first).end >= committed().value || !files_kept_.try_lock()) return false;
    files_kept_.unlock();
    const std::string path = catalog_.path(*first);
    const auto written = write_compressed(disk(), path, *first, copy_path(),
                                          [&] { return waiting_to_redact_ > 0 || (stop && stop()); });
    if (!written) {
      // The others need not wait until it is restored.
      if (written.error().code == Error::Code::corrupt) catalog_.forget_plain(*first);
      return std::unexpected(written.error());
    }
    // A backup that has begun meanwhile comes first.
    const std::unique_lock files(files_kept_, std::try_to_lock);
    if (!files) {
      TRY(remove_copy());
      return false;
    }
    if (const auto renamed = disk().rename(copy_path(), path); !renamed) {
      TRY(remove_copy());
      return std::unexpected(renamed.error());
    }
    catalog_.forget_plain(*first);
    catalog_.note_rewrite();
    // A crash before this may bring the plain file back, which holds the same.
    TRY(disk().sync_directory(catalog_.directory()));
    return true;
  }

  std::shared_lock<std::shared_mutex> keep_files() const override { return std::shared_lock(files_kept_); }

 private:
  Disk& disk() const { return catalog_.disk(); }

  std::string copy_path() const { return path_in(catalog_.directory(), kCompressedName); }
  // It may hold what is to be deleted, where the disk would not remove it before.
  Result<void> remove_copy() {
    return disk().exists(copy_path()) ? disk().remove(copy_path()) : Result<void>();
  }

  // Waits for the block that is being compressed at most, or for the last sync of the copy.
  std::unique_lock<std::mutex> cut_off_compression() {
    ++waiting_to_redact_;
    std::unique_lock lock(compressing_);
    --waiting_to_redact_;
    return lock;
  }
  bool durable() const { return options_.durability == Durability::every_commit; }

  Result<void> check_alive() const {
    if (!failure_) return {};
    return fail(
        failure_->code,
        fmt::format(
            "the log takes nothing more since this failed: {}. What was acknowledged is safe; mend the "
            "cause and start again",
            failure_->message));
  }

  Result<void> poison_on_error(Result<void> result) {
    if (!result) failure_ = result.error();
    return result;
  }

  Result<void> remove_leftovers(const Survey& found) {
    for (const auto& name : found.leftovers) TRY(disk().remove(path_in(catalog_.directory(), name)));
    if (!found.leftovers.empty()) add_note("an unfinished rewrite was removed");
    return {};
  }

  void add_note(std::string_view note) {
    if (!recovery_.note.empty()) recovery_.note += "; ";
    recovery_.note += note;
  }

  // The file is on disk, with its name, before the first frame is written to it.
  Result<void> create_file(Position first) {
    file_ = TRY(disk().open(catalog_.path(first), Disk::Mode::create_or_open));
    TRY(write_header({first, records_, last_received_at_}));
    TRY(disk().sync_directory(catalog_.directory()));
    first_ = first;
    written_ = Position{first.value + kFileHeaderBytes};
    file_size_ = kFileHeaderBytes;
    catalog_.add_file(first);
    return {};
  }

  Result<void> write_header(const FileHeader& header) {
    TRY(file_->write_at(0, encode_file_header(header)));
    return file_->sync();
  }

  Result<void> continue_last(const Survey& found) {
    for (const auto first : found.files) catalog_.add_file(first);
    for (const auto first : found.plain) catalog_.note_plain(first);
    first_ = found.files.back();
    records_ = found.walk.records;
    last_received_at_ = found.walk.received_at;
    written_ = Position{first_.value + found.walk.end};
    file_size_ = found.last_size;
    file_ = TRY(disk().open(catalog_.path(first_), Disk::Mode::create_or_open));
    if (found.header_missing) {
      TRY(write_header(found.last_header));
      file_size_ = std::max<std::uint64_t>(file_size_, kFileHeaderBytes);
    }
    if (found.torn_bytes > 0) TRY(cut_tail(found));
    if (durable()) TRY(make_durable(found));
    return {};
  }

  Result<void> cut_tail(const Survey& found) {
    TRY(file_->truncate(found.walk.end));
    // On disk before anything is written behind it, so that no piece of it can come back to life there.
    TRY(file_->sync());
    file_size_ = found.walk.end;
    recovery_.cut_bytes = found.torn_bytes;
    add_note(fmt::format("cut {} bytes that were never acknowledged from {} at offset {}", found.torn_bytes,
                         catalog_.path(first_), found.walk.end));
    return {};
  }

  // What was read may stand in the system's cache alone: the process died before its sync, or the sync
  // failed. Only the last commit can be so, since one is begun when the one before is on disk. A system that
  // has failed to write a page may take it for clean, so a sync alone is not enough: the bytes are written
  // again.
  Result<void> make_durable(const Survey& found) {
    const std::uint64_t from = found.walk.last_commit;
    std::string bytes(found.walk.end - from, '\0');
    bytes.resize(TRY(file_->read_at(from, bytes)));
    TRY(file_->write_at(from, bytes));
    TRY(file_->sync());
    return disk().sync_directory(catalog_.directory());
  }

  Result<void> write_buffer() {
    const std::uint64_t offset = written_.value - first_.value;
    const std::uint64_t end = offset + buffer_.size();
    if (end > file_size_ && options_.preallocate_bytes > 0) {
      const std::uint64_t steps = (end + options_.preallocate_bytes - 1) / options_.preallocate_bytes;
      const std::uint64_t size =
          std::max(end, std::min(steps * options_.preallocate_bytes, options_.file_bytes));
      TRY(file_->allocate(size));
      file_size_ = size;
    }
    TRY(file_->write_at(offset, buffer_));
    file_size_ = std::max(file_size_, end);
    written_ = Position{written_.value + buffer_.size()};
    buffer_.clear();
    return {};
  }

  Result<void> write_and_sync() {
    TRY(write_buffer());
    if (durable()) TRY(file_->sync());
    return {};
  }

  // Seals the open file and begins the next. The seal is synced whatever the durability, so that the files of
  // a log always fit together.
  Result<void> rotate() {
    if (!buffer_.empty()) TRY(write_buffer());
    TRY(file_->truncate(written_.value - first_.value));
    TRY(file_->sync());
    const Position sealed = first_;
    TRY(create_file(written_));
    catalog_.note_plain(sealed);
    return {};
  }

  // Leaves the positions whose records are no tombstones yet, and the pins that are not there yet.
  Result<void> drop_redacted(Redaction& redaction) const {
    std::vector<Position> left;
    std::string bytes;
    for (const Position position : redaction.positions) {
      if (!is_tombstone(TRY(read(position, bytes)))) left.push_back(position);
    }
    redaction.positions = std::move(left);
    std::vector<Pin> pins;
    for (const Pin& pin : redaction.pins) {
      if (!is_pinned(TRY(read(pin.position, bytes)), pin)) pins.push_back(pin);
    }
    redaction.pins = std::move(pins);
    return {};
  }

  // File by file.
  Result<void> carry_out(const Redaction& redaction) {
    auto position = redaction.positions.begin();
    auto pin = redaction.pins.begin();
    while (position != redaction.positions.end() || pin != redaction.pins.end()) {
      Position first = position != redaction.positions.end() ? *position : pin->position;
      if (pin != redaction.pins.end()) first = std::min(first, pin->position);
      const Extent extent = catalog_.find(first);
      const auto is_behind = [&](Position p) { return p.value >= extent.end; };
      const auto position_end = std::find_if(position, redaction.positions.end(), is_behind);
      const auto pin_end =
          std::find_if(pin, redaction.pins.end(), [&](const Pin& one) { return is_behind(one.position); });
      TRY(redact_file(extent, {{position, position_end}, redaction.creators, {pin, pin_end}}));
      position = position_end;
      pin = pin_end;
    }
    return cross_out(disk(), catalog_.directory());
  }

  // What a crash has interrupted.
  Result<void> finish_redaction() {
    auto redaction = TRY(find_written_down(disk(), catalog_.directory()));
    if (!redaction) return {};
    // Without durability a power cut may have taken the last of them.
    std::erase_if(redaction->positions, [&](Position position) { return position >= end(); });
    std::erase_if(redaction->pins, [&](const Pin& pin) { return pin.position >= end(); });
    TRY(drop_redacted(*redaction));
    TRY(carry_out(*redaction));
    add_note("a deletion that was under way was finished");
    return {};
  }

  Result<void> redact_file(Extent extent, const Redaction& part) {
    const bool is_open = extent.first == first_;
    const std::uint64_t end = std::min(extent.end, written_.value) - extent.first.value;
    const Rewrite rewrite{.path = catalog_.path(extent.first),
                          .first = extent.first,
                          .frames_end = end,
                          .size = is_open ? file_size_ : end};
    auto file = write_redacted(disk(), rewrite, part);
    if (!file) return std::unexpected(file.error());
    TRY(disk().rename(temporary_path(rewrite.path), rewrite.path));
    if (is_open) {
      file_ = std::move(*file);
    } else if (*file != nullptr) {
      catalog_.note_plain(extent.first);
    }
    catalog_.note_rewrite();
    // Until the new name is on disk a crash may bring the old file back, without what is appended to the new.
    return poison_on_error(disk().sync_directory(catalog_.directory()));
  }

  Catalog catalog_;
  Options options_;
  Recovery recovery_;
  std::optional<Error> failure_;
  std::unique_ptr<File> file_;   // the open file
  Position first_;               // its first position
  std::uint64_t file_size_ = 0;  // its size, space allocated ahead included
  Position written_;             // up to here frames are in the file; the buffer goes here
  std::string buffer_;           // frames appended since the last write
  std::uint64_t records_ = 0;
  Time last_received_at_ = kForeverAgo;

  std::mutex compressing_;
  std::atomic<int> waiting_to_redact_{0};
  mutable std::shared_mutex files_kept_;  // shared by those who keep_files()
};

}  // namespace

Result<std::unique_ptr<Log>> Log::open(Disk& disk, std::string directory, Options options) {
  if (options.file_bytes < kFileBytesMin || options.file_bytes > kFileBytesMax) {
    return invalid(fmt::format("a log file has {} to {} bytes; {} was asked for", kFileBytesMin,
                               kFileBytesMax, options.file_bytes));
  }
  auto log = std::make_unique<FileLog>(disk, std::move(directory), options);
  TRY(log->start());
  return log;
}

}  // namespace tailrace::log
