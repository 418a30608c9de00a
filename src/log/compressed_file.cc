#include "log/compressed_file.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "log/frame.h"
#include "log/frame_scanner.h"
#include "log/survey.h"

namespace tailrace::log {
namespace {

// Higher levels take a multiple of the time for some per cent of the bytes.
constexpr int kLevel = 3;
constexpr std::size_t kWriteBytes = 1 << 20;
constexpr std::size_t kSyncBytes = 8 << 20;
constexpr std::size_t kEndBytes = 24;
constexpr std::size_t kBlockBytesMax = std::max(kBlockBytes, frame_bytes(kRecordBytesMax));
constexpr std::size_t kFrameFieldBytes = 8;  // length and back

struct BlockPlace {
  std::uint32_t plain_bytes = 0;
  std::uint32_t stored_bytes = 0;
  std::uint64_t check = 0;
};

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

std::uint64_t check_of_block(std::string_view stored, std::uint64_t offset) {
  return hash64(stored) ^ offset;
}

// Of header, index and what the end says before it.
std::uint64_t check_of_end(std::string_view header, std::string_view index, std::string_view end) {
  return hash64(end, hash64(index, hash64(header)));
}

// Frames without what can be computed.
class BlockWriter {
 public:
  void add(const ScannedFrame& frame) {
    const auto length = static_cast<std::uint32_t>(frame.record.size());
    fields_.put(length);
    fields_.put(frame.back - expected_back_);
    expected_back_ = frame.back + static_cast<std::uint32_t>(frame.raw.size());
    records_ += frame.record;
    plain_ += frame.raw;
    ++frames_;
  }
  bool fits(const ScannedFrame& frame) const { return plain_.size() + frame.raw.size() <= kBlockBytes; }
  bool empty() const { return frames_ == 0; }
  const std::string& plain() const { return plain_; }

  // Begins the next block.
  std::string take() {
    ByteWriter block;
    block.put(std::exchange(frames_, 0));
    std::string bytes = block.take();
    bytes += std::exchange(fields_, {}).take();
    bytes += records_;
    records_.clear();
    plain_.clear();
    expected_back_ = 0;
    return bytes;
  }

 private:
  ByteWriter fields_;
  std::string records_;
  std::string plain_;
  std::uint32_t frames_ = 0;
  std::uint32_t expected_back_ = 0;
};

// The frames of a block, which begins at `first` and has so many bytes. Nothing when the block is none.
std::optional<std::string> frames_of(std::string_view block, Position first, std::size_t plain_bytes) {
  ByteReader fields(block);
  const auto frames = fields.get<std::uint32_t>();
  if (!frames || block.size() / kFrameFieldBytes < *frames) return std::nullopt;
  std::string_view records = block.substr(sizeof *frames);
  if (records.size() < *frames * kFrameFieldBytes) return std::nullopt;
  records.remove_prefix(*frames * kFrameFieldBytes);
  std::string plain;
  plain.reserve(plain_bytes);
  std::uint32_t expected_back = 0;
  for (std::uint32_t i = 0; i < *frames; ++i) {
    const auto length = fields.get<std::uint32_t>();
    const auto back = fields.get<std::uint32_t>();
    if (!length || !back || *length < kRecordBytesMin || *length > records.size() ||
        plain.size() + frame_bytes(*length) > plain_bytes) {
      return std::nullopt;
    }
    const std::size_t offset = plain.size();
    append_frame(plain, records.substr(0, *length));
    seal_frame(plain, offset, Position{first.value + offset}, *length, expected_back + *back);
    expected_back += *back + static_cast<std::uint32_t>(frame_bytes(*length));
    records.remove_prefix(*length);
  }
  if (!records.empty() || plain.size() != plain_bytes) return std::nullopt;
  return plain;
}

// Nothing when the bytes are no block of that size.
std::optional<std::string> undo_block(std::string_view stored, Position first, std::size_t plain_bytes) {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context(ZSTD_createDCtx());
  thread_local std::string block;
  // Without frame headers and checks it is shorter than its frames, but for the number of them.
  block.resize(plain_bytes);
  const std::size_t size =
      ZSTD_decompressDCtx(context.get(), block.data(), block.size(), stored.data(), stored.size());
  if (ZSTD_isError(size) != 0) return std::nullopt;
  return frames_of(std::string_view(block).substr(0, size), first, plain_bytes);
}

class CompressedFile final : public File {
 public:
  CompressedFile(std::unique_ptr<File> stored, std::string header, Position first,
                 std::vector<BlockPlace> blocks, std::shared_ptr<BlockCache> cache)
      : stored_(std::move(stored)),
        header_(std::move(header)),
        first_(first),
        blocks_(std::move(blocks)),
        cache_(std::move(cache)),
        number_(cache_->number_file()) {
    std::uint64_t plain = kFileHeaderBytes;
    std::uint64_t place = kFileHeaderBytes;
    for (const BlockPlace& block : blocks_) {
      plain_begins_.push_back(plain);
      stored_begins_.push_back(place);
      plain += block.plain_bytes;
      place += block.stored_bytes;
    }
    size_ = plain;
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) const override {
    if (offset >= size_) return 0;
    const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), size_ - offset);
    std::size_t done = 0;
    if (offset < kFileHeaderBytes) done = copy(header_, offset, buffer.first(wanted));
    while (done < wanted) {
      const auto after = std::ranges::upper_bound(plain_begins_, offset + done);
      const auto block = static_cast<std::size_t>(after - plain_begins_.begin()) - 1;
      const std::uint64_t within = offset + done - plain_begins_[block];
      const bool all_of_it = within == 0 && wanted - done >= blocks_[block].plain_bytes;
      const BlockCache::Block bytes = TRY(read_block(block, !all_of_it));
      done += copy(*bytes, within, buffer.subspan(done, wanted - done));
    }
    return done;
  }

  const std::vector<BlockPlace>& blocks() const { return blocks_; }
  // A block's bytes as they stand in the file.
  Result<std::string> stored(std::size_t block) const {
    std::string bytes(blocks_[block].stored_bytes, '\0');
    bytes.resize(TRY(stored_->read_at(stored_begins_[block], bytes)));
    return bytes;
  }

  Result<void> write_at(std::uint64_t, std::string_view) override { return refuse(); }
  Result<void> allocate(std::uint64_t) override { return refuse(); }
  Result<void> truncate(std::uint64_t) override { return refuse(); }
  Result<void> sync() override { return refuse(); }
  Result<std::uint64_t> size() const override { return size_; }

 private:
  static Result<void> refuse() { return invalid("a compressed file of the log is not written to"); }

  static std::size_t copy(std::string_view from, std::uint64_t offset, std::span<char> to) {
    const std::string_view part = from.substr(offset, to.size());
    std::memcpy(to.data(), part.data(), part.size());
    return part.size();
  }

  Result<BlockCache::Block> read_block(std::size_t block, bool keep) const {
    if (auto known = cache_->find(number_, block)) return known;
    const BlockPlace& place = blocks_[block];
    thread_local std::string stored;
    stored.resize(place.stored_bytes);
    stored.resize(TRY(stored_->read_at(stored_begins_[block], stored)));
    const std::uint64_t offset = plain_begins_[block];
    std::optional<std::string> plain;
    if (check_of_block(stored, offset) == place.check)
      plain = undo_block(stored, Position{first_.value + offset}, place.plain_bytes);
    if (!plain) plain.emplace(place.plain_bytes, '\0');
    auto bytes = std::make_shared<const std::string>(std::move(*plain));
    if (keep) cache_->keep(number_, block, bytes);
    return bytes;
  }

  std::unique_ptr<File> stored_;
  std::string header_;  // as in a plain file
  Position first_;
  std::vector<BlockPlace> blocks_;
  std::vector<std::uint64_t> plain_begins_;  // of each block
  std::vector<std::uint64_t> stored_begins_;
  std::uint64_t size_ = 0;  // plain
  std::shared_ptr<BlockCache> cache_;
  std::uint64_t number_;
};

Result<std::string> read_part(const File& file, std::uint64_t offset, std::size_t bytes) {
  std::string part(bytes, '\0');
  part.resize(TRY(file.read_at(offset, part)));
  return part;
}

// The index, checked. Nothing when it is not what was written.
Result<std::optional<std::vector<BlockPlace>>> read_index(const File& file, std::string_view header) {
  const std::uint64_t size = TRY(file.size());
  if (size < kFileHeaderBytes + kEndBytes) return std::nullopt;
  const std::string end = TRY(read_part(file, size - kEndBytes, kEndBytes));
  ByteReader reader(end);
  const std::uint64_t plain_bytes = TRY(reader.get<std::uint64_t>());
  const std::uint64_t count = TRY(reader.get<std::uint64_t>());
  const std::uint64_t check = TRY(reader.get<std::uint64_t>());
  const std::uint64_t room = size - kFileHeaderBytes - kEndBytes;
  if (count > room / sizeof(BlockPlace)) return std::nullopt;
  const std::size_t index_bytes = count * sizeof(BlockPlace);
  const std::string index = TRY(read_part(file, size - kEndBytes - index_bytes, index_bytes));
  if (check != check_of_end(header, index, std::string_view(end).substr(0, kEndBytes - sizeof check)))
    return std::nullopt;
  std::vector<BlockPlace> blocks(count);
  if (!blocks.empty()) std::memcpy(blocks.data(), index.data(), index_bytes);
  std::uint64_t plain = kFileHeaderBytes;
  std::uint64_t stored = kFileHeaderBytes;
  for (const BlockPlace& block : blocks) {
    if (block.plain_bytes == 0 || block.plain_bytes > kBlockBytesMax || block.plain_bytes % kAlignment != 0)
      return std::nullopt;
    plain += block.plain_bytes;
    stored += block.stored_bytes;
  }
  if (plain != plain_bytes || stored + index_bytes + kEndBytes != size) return std::nullopt;
  return blocks;
}

struct Opened {
  FileHeader header;                           // of a compressed one
  std::unique_ptr<CompressedFile> compressed;  // or:
  std::unique_ptr<File> plain;
};
Result<Opened> open_compressed(Disk& disk, const std::string& path, std::shared_ptr<BlockCache> cache) {
  Opened opened;
  auto file = TRY(disk.open(path, Disk::Mode::read));
  const std::string head = TRY(read_part(*file, 0, kFileHeaderBytes));
  std::uint32_t version = 0;
  if (decode_file_header(head, opened.header, version) != HeaderState::compressed) {
    opened.plain = std::move(file);
    return opened;
  }
  auto blocks = TRY(read_index(*file, head));
  if (!blocks)
    return std::unexpected(damage_at(path, TRY(file->size()), "the index of its blocks is damaged"));
  if (cache == nullptr) cache = std::make_shared<BlockCache>(0);
  opened.compressed =
      std::make_unique<CompressedFile>(std::move(file), encode_file_header(opened.header),
                                       opened.header.first, std::move(*blocks), std::move(cache));
  return opened;
}

// Writes the blocks of a file, one after another, and what stands behind them.
class Writing {
 public:
  Writing(File& to, const FileHeader& header)
      : to_(to),
        first_(header.first),
        header_(encode_file_header(header, kCompressedVersion)),
        out_(header_),
        context_(ZSTD_createCCtx()) {}

  Result<void> add(const ScannedFrame& frame) {
    if (!block_.empty() && !block_.fits(frame)) TRY(end_block());
    block_.add(frame);
    return {};
  }
  // To the block that is begun, which end_block() ends.
  void add_to_block(const ScannedFrame& frame) { block_.add(frame); }
  // A block of another writing, at the same place.
  Result<void> put_block(std::string_view stored, const BlockPlace& place) {
    index_.put(place);
    ++blocks_;
    plain_end_ += place.plain_bytes;
    out_ += stored;
    return out_.size() < kWriteBytes ? Result<void>() : flush();
  }

  Result<void> end_block() {
    const std::string plain = block_.plain();
    const std::string bytes = block_.take();
    stored_.resize(ZSTD_compressBound(bytes.size()));
    const std::size_t size =
        ZSTD_compressCCtx(context_.get(), stored_.data(), stored_.size(), bytes.data(), bytes.size(), kLevel);
    TR_ASSERT(ZSTD_isError(size) == 0);
    const std::string_view stored = std::string_view(stored_).substr(0, size);
    // It takes the place of what cannot be made again, so it is undone once before.
    const Position begin{first_.value + plain_end_};
    if (undo_block(stored, begin, plain.size()) != plain) {
      return fail(Error::Code::corrupt,
                  fmt::format("the frames of the log from position {} on do not read the same once they are "
                              "compressed; their file stays plain",
                              begin.value));
    }
    return put_block(stored, {.plain_bytes = static_cast<std::uint32_t>(plain.size()),
                              .stored_bytes = static_cast<std::uint32_t>(size),
                              .check = check_of_block(stored, plain_end_)});
  }

  Result<void> finish() {
    if (!block_.empty()) TRY(end_block());
    const std::string index = index_.take();
    ByteWriter end;
    end.put(plain_end_);
    end.put(blocks_);
    std::string tail = end.take();
    ByteWriter check;
    check.put(check_of_end(header_, index, tail));
    out_ += index;
    out_ += tail;
    out_ += check.take();
    TRY(flush());
    return to_.sync();
  }

 private:
  Result<void> flush() {
    TRY(to_.write_at(written_, out_));
    written_ += out_.size();
    out_.clear();
    // Whoever waits for the last sync does not wait for all of them.
    if (written_ - synced_ < kSyncBytes) return {};
    synced_ = written_;
    return to_.sync();
  }

  File& to_;
  Position first_;
  std::string header_;
  std::string out_;  // not written yet
  std::uint64_t written_ = 0;
  std::uint64_t synced_ = 0;
  std::unique_ptr<ZSTD_CCtx, FreeCompressor> context_;
  BlockWriter block_;
  ByteWriter index_;
  std::string stored_;
  std::uint64_t blocks_ = 0;
  std::uint64_t plain_end_ = kFileHeaderBytes;
};

std::unexpected<Error> stopped() {
  return fail(Error::Code::unavailable, "compressing a file of the log was stopped");
}

Result<void> compress_into(Disk& disk, const std::string& path, Position first, const std::string& to,
                           const std::function<bool()>& stop) {
  const auto from = TRY(disk.open(path, Disk::Mode::read));
  const std::uint64_t size = TRY(from->size());
  FileHeader header;
  std::uint32_t version = 0;
  if (decode_file_header(TRY(read_part(*from, 0, kFileHeaderBytes)), header, version) != HeaderState::good ||
      header.first != first) {
    return std::unexpected(damage_at(path, 0, "this is no header of this file"));
  }
  const auto file = TRY(disk.open(to, Disk::Mode::create_or_open));
  TRY(file->truncate(0));
  Writing writing(*file, header);
  FrameScanner scanner(*from, first);
  ScannedFrame frame;
  std::uint64_t until_question = kFileHeaderBytes;
  for (std::uint64_t offset = kFileHeaderBytes; offset < size; offset += frame.raw.size()) {
    if (offset >= until_question) {
      if (stop && stop()) return stopped();
      until_question = offset + kBlockBytes;
    }
    if (!TRY(scanner.read(offset, size, frame)))
      return std::unexpected(damage_at(path, offset, "no whole record begins here"));
    TRY(writing.add(frame));
  }
  if (stop && stop()) return stopped();
  return writing.finish();
}

Result<void> rewrite_into(Disk& disk, const std::string& path, Position first,
                          std::span<const Position> positions, const AppendFrame& append,
                          const std::string& to) {
  auto opened = TRY(open_compressed(disk, path, {}));
  if (opened.plain != nullptr || opened.header.first != first)
    return std::unexpected(damage_at(path, 0, "this is no header of this file"));
  const CompressedFile& from = *opened.compressed;
  const auto file = TRY(disk.open(to, Disk::Mode::create_or_open));
  TRY(file->truncate(0));
  Writing writing(*file, opened.header);
  FrameScanner scanner(from, first);
  ScannedFrame frame;
  std::string changed;
  std::uint64_t begin = kFileHeaderBytes;
  auto next = positions.begin();
  for (std::size_t i = 0; i < from.blocks().size(); ++i) {
    const BlockPlace& block = from.blocks()[i];
    const std::uint64_t end = begin + block.plain_bytes;
    const auto behind = std::lower_bound(next, positions.end(), Position{first.value + end});
    if (next == behind) {
      TRY(writing.put_block(TRY(from.stored(i)), block));
    } else {
      for (std::uint64_t offset = begin; offset < end; offset += frame.raw.size()) {
        if (!TRY(scanner.read(offset, end, frame)))
          return std::unexpected(damage_at(path, offset, "no whole record begins here"));
        changed.clear();
        append(changed, frame, Position{first.value + offset});
        const std::string_view raw = changed;
        writing.add_to_block({raw.substr(kFrameHeaderBytes, frame.record.size()), raw, frame.back});
      }
      TRY(writing.end_block());
    }
    begin = end;
    next = behind;
  }
  return writing.finish();
}

// What stays is removed when the log is opened next, so a failure here changes nothing.
Result<void> or_nothing(Disk& disk, const std::string& to, Result<void> written) {
  if (!written && disk.exists(to)) (void)disk.remove(to);
  return written;
}

}  // namespace

std::uint64_t BlockCache::number_file() {
  const std::scoped_lock lock(mutex_);
  return files_++;
}

BlockCache::Block BlockCache::find(std::uint64_t file, std::size_t block) {
  const std::scoped_lock lock(mutex_);
  const auto known = by_key_.find(key_of(file, block));
  if (known == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, known->second);
  return known->second->bytes;
}

void BlockCache::keep(std::uint64_t file, std::size_t block, Block bytes) {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t key = key_of(file, block);
  if (by_key_.contains(key)) return;  // another thread was faster
  bytes_ += bytes->size();
  entries_.push_front({key, std::move(bytes)});
  by_key_[key] = entries_.begin();
  while (bytes_ > bytes_max_ && entries_.size() > 1) {
    bytes_ -= entries_.back().bytes->size();
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

void BlockCache::clear() {
  const std::scoped_lock lock(mutex_);
  entries_.clear();
  by_key_.clear();
  bytes_ = 0;
}

Result<LogFile> open_log_file(Disk& disk, const std::string& path, std::shared_ptr<BlockCache> cache) {
  Opened opened = TRY(open_compressed(disk, path, std::move(cache)));
  if (opened.plain != nullptr) return LogFile{.file = std::move(opened.plain)};
  return LogFile{.file = std::move(opened.compressed), .compressed = true};
}

Result<void> write_compressed(Disk& disk, const std::string& path, Position first, const std::string& to,
                              const std::function<bool()>& stop) {
  return or_nothing(disk, to, compress_into(disk, path, first, to, stop));
}

Result<void> rewrite_compressed(Disk& disk, const std::string& path, Position first,
                                std::span<const Position> positions, const AppendFrame& append,
                                const std::string& to) {
  return or_nothing(disk, to, rewrite_into(disk, path, first, positions, append, to));
}

}  // namespace tailrace::log
