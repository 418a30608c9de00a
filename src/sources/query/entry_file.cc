#include "sources/query/entry_file.h"

#include <bit>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include "base/hash.h"

namespace tailrace::sources {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "TRROWS01";
constexpr std::size_t kBlockBytes = std::size_t{256} << 10;  // and at most one entry more
constexpr std::size_t kBlockBytesMax = kBlockBytes + kEntryRecordBytesMax + kEntryKeyBytesMax + 64;
constexpr unsigned kRejected = 1;
constexpr unsigned kStands = 2;
constexpr std::size_t kEntryHeadBytes = 2 + 1 + 16 + 4;

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
T take(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::string_view bytes_of(const std::uint64_t& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

ContentHash content_hash(std::string_view bytes) {
  constexpr std::uint64_t kOther = 0x9e37'79b9'7f4a'7c15;
  return {hash64(bytes), hash64(bytes, kOther)};
}

Result<std::unique_ptr<EntryWriter>> EntryWriter::create(Disk& disk, const std::string& path,
                                                         std::string_view header) {
  auto file = TRY(disk.open(path, Disk::Mode::create_or_open));
  TRY(file->truncate(0));
  std::unique_ptr<EntryWriter> writer(new EntryWriter(std::move(file)));
  TRY(writer->write(kMagic));
  writer->payload_ = header;
  TRY(writer->write_block());
  return writer;
}

Result<void> EntryWriter::write(std::string_view bytes) {
  TRY(file_->write_at(offset_, bytes));
  offset_ += bytes.size();
  return {};
}

Result<void> EntryWriter::write_block() {
  std::string head;
  append(head, static_cast<std::uint32_t>(payload_.size()));
  append(head, hash64(payload_));
  TRY(write(head));
  TRY(write(payload_));
  payload_.clear();
  return {};
}

Result<void> EntryWriter::put(const Entry& entry) {
  if (entry.key.size() > kEntryKeyBytesMax || entry.record.size() > kEntryRecordBytesMax)
    return invalid("a row is too long to be kept");
  append(payload_, static_cast<std::uint16_t>(entry.key.size()));
  append(payload_,
         static_cast<std::uint8_t>((entry.rejected ? kRejected : 0) | (entry.stands ? kStands : 0)));
  append(payload_, entry.hash[0]);
  append(payload_, entry.hash[1]);
  append(payload_, static_cast<std::uint32_t>(entry.record.size()));
  payload_ += entry.key;
  payload_ += entry.record;
  ++entries_;
  return payload_.size() < kBlockBytes ? Result<void>() : write_block();
}

Result<void> EntryWriter::finish() {
  if (!payload_.empty()) TRY(write_block());
  std::string end;
  append(end, std::uint32_t{0});
  append(end, hash64(bytes_of(entries_)));
  append(end, entries_);
  TRY(write(end));
  return file_->sync();
}

Result<std::unique_ptr<EntryReader>> EntryReader::open(Disk& disk, const std::string& path) {
  if (!disk.exists(path)) return fail(Error::Code::not_found, fmt::format("{} is not there", path));
  auto file = TRY(disk.open(path, Disk::Mode::read));
  std::unique_ptr<EntryReader> reader(new EntryReader(std::move(file), path));
  std::string magic(kMagic.size(), '\0');
  TRY(reader->read(magic));
  if (magic != kMagic) return reader->damaged("does not begin as a file of rows");
  if (!TRY(reader->read_block(reader->header_))) return reader->damaged("has no header");
  return reader;
}

std::unexpected<Error> EntryReader::damaged(std::string_view what) const {
  return fail(Error::Code::corrupt, fmt::format("{} {}", path_, what));
}

Result<void> EntryReader::read(std::span<char> into) {
  const std::size_t got = TRY(file_->read_at(offset_, into));
  if (got < into.size()) return damaged("ends too early");
  offset_ += got;
  return {};
}

// False: it was the end.
Result<bool> EntryReader::read_block(std::string& payload) {
  std::string head(4 + 8, '\0');
  TRY(read(head));
  const auto bytes = take<std::uint32_t>(head, 0);
  const auto checksum = take<std::uint64_t>(head, 4);
  if (bytes > kBlockBytesMax) return damaged("has a block of an impossible length");
  if (bytes == 0) {
    std::string count(8, '\0');
    TRY(read(count));
    if (hash64(count) != checksum || take<std::uint64_t>(count, 0) != entries_)
      return damaged("has fewer rows than it says");
    ended_ = true;
    return false;
  }
  payload.resize(bytes);
  TRY(read(payload));
  if (hash64(payload) != checksum) return damaged("fails its checksum");
  return true;
}

Result<bool> EntryReader::next(Entry& entry) {
  if (at_ == payload_.size()) {
    if (ended_) return false;
    at_ = 0;
    payload_.clear();
    if (!TRY(read_block(payload_))) {
      payload_.clear();
      return false;
    }
  }
  const std::string_view rest = std::string_view(payload_).substr(at_);
  if (rest.size() < kEntryHeadBytes) return damaged("has half an entry");
  const auto key_bytes = take<std::uint16_t>(rest, 0);
  const auto flags = static_cast<unsigned char>(rest[2]);
  entry.rejected = (flags & kRejected) != 0;
  entry.stands = (flags & kStands) != 0;
  entry.hash = {take<std::uint64_t>(rest, 3), take<std::uint64_t>(rest, 11)};
  const auto record_bytes = take<std::uint32_t>(rest, 19);
  if (rest.size() - kEntryHeadBytes < std::size_t{key_bytes} + record_bytes)
    return damaged("has half an entry");
  entry.key = rest.substr(kEntryHeadBytes, key_bytes);
  entry.record = rest.substr(kEntryHeadBytes + key_bytes, record_bytes);
  at_ += kEntryHeadBytes + key_bytes + record_bytes;
  ++entries_;
  return true;
}

}  // namespace tailrace::sources
