#include "columnar/parquet_writer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "columnar/thrift.h"

namespace tailrace::columnar {
namespace {

constexpr std::uint64_t kGroupRows = 122'880;               // as DuckDB has them: what one thread reads
constexpr std::size_t kGroupBytes = std::size_t{32} << 20;  // compressed, where rows are that large
constexpr std::size_t kPageBytes = std::size_t{256} << 10;
constexpr std::size_t kPageRows = 32'768;
// A dictionary is given up where of so many values more than half are new, and no longer used once it is so
// large.
constexpr std::size_t kTrialValues = 4'096;
constexpr std::size_t kDictionaryEntries = 65'536;
constexpr std::size_t kDictionaryBytes = std::size_t{1} << 20;
constexpr std::size_t kBoundBytes = 64;  // longer texts are no least and no greatest
constexpr int kCompressionLevel = 3;     // zstd's own choice
constexpr std::string_view kMagic = "PAR1";

// The format's numbers.
enum class Physical : std::int32_t { boolean = 0, int64 = 2, real = 5, byte_array = 6, fixed_byte_array = 7 };
enum class Encoding : std::int32_t { plain = 0, rle = 3, dictionary = 8 };
enum class Page : std::int32_t { data = 0, dictionary = 2 };
constexpr std::int32_t kZstd = 6;
constexpr std::int32_t kOptional = 1;
constexpr int kDecimalBytes = 16;

template <class Whole>
void put_little(std::string& out, Whole value) {
  static_assert(std::endian::native == std::endian::little);
  std::array<char, sizeof(value)> bytes;
  std::memcpy(bytes.data(), &value, sizeof(value));
  out.append(bytes.data(), bytes.size());
}

std::array<char, kDecimalBytes> big_endian(Decimal value) {
  std::array<char, kDecimalBytes> bytes;
  std::memcpy(bytes.data(), &value, sizeof(value));
  std::ranges::reverse(bytes);
  return bytes;
}

void put_packed(std::string& out, std::span<const std::uint32_t> values, unsigned width) {
  std::uint64_t bits = 0;
  unsigned used = 0;
  for (std::size_t i = 0; i < (values.size() + 7) / 8 * 8; ++i) {
    bits |= std::uint64_t{i < values.size() ? values[i] : 0} << used;
    for (used += width; used >= 8; used -= 8, bits >>= 8) out += static_cast<char>(bits);
  }
}

// The format's "RLE / bit-packing hybrid": runs of one value, and between them values of `width` bits, by
// eight.
void put_hybrid(std::string& out, std::span<const std::uint32_t> values, unsigned width) {
  constexpr std::size_t kRunMin = 16;  // the first seven may be needed to fill up the eight before
  const auto put_literals = [&](std::size_t begin, std::size_t end) {
    if (begin == end) return;
    put_varint(out, (((end - begin + 7) / 8) << 1) | 1);
    put_packed(out, values.subspan(begin, end - begin), width);
  };
  std::size_t literals = 0;
  std::size_t at = 0;
  while (at < values.size()) {
    std::size_t end = at + 1;
    while (end < values.size() && values[end] == values[at]) ++end;
    if (end - at >= kRunMin) {
      const std::size_t begin = at + (8 - (at - literals) % 8) % 8;
      put_literals(literals, begin);
      put_varint(out, (end - begin) << 1);
      for (unsigned bits = 0; bits < width; bits += 8) out += static_cast<char>(values[begin] >> bits);
      literals = end;
    }
    at = end;
  }
  put_literals(literals, values.size());
}

unsigned width_of(std::size_t entries) {
  return entries < 2 ? 1u : static_cast<unsigned>(std::bit_width(entries - 1));
}

// Distinct values in the order they came, as a dictionary page has them.
class Dictionary {
 public:
  // Of a value: its bytes, and whether their number stands before them.
  std::uint32_t place(std::string_view value, bool has_length) {
    if (!entries_.empty() && text(last_) == value) return last_;
    if ((entries_.size() + 1) * 2 > slots_.size()) grow();
    const std::uint64_t hash = hash64(value);
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = hash & mask;
    for (; slots_[slot] != 0; slot = (slot + 1) & mask) {
      const std::uint32_t entry = slots_[slot] - 1;
      if (entries_[entry].hash == hash && text(entry) == value) return last_ = entry;
    }
    if (has_length) put_little(bytes_, static_cast<std::uint32_t>(value.size()));
    entries_.push_back({hash, bytes_.size(), value.size()});
    bytes_ += value;
    slots_[slot] = static_cast<std::uint32_t>(entries_.size());
    return last_ = static_cast<std::uint32_t>(entries_.size() - 1);
  }

  std::string_view text(std::uint32_t entry) const {
    return std::string_view(bytes_).substr(entries_[entry].begin, entries_[entry].length);
  }
  std::size_t size() const { return entries_.size(); }
  const std::string& bytes() const { return bytes_; }
  bool is_full() const { return entries_.size() >= kDictionaryEntries || bytes_.size() >= kDictionaryBytes; }
  void clear() {
    bytes_.clear();
    entries_.clear();
    std::ranges::fill(slots_, 0);
    last_ = 0;
  }

 private:
  struct Entry {
    std::uint64_t hash;
    std::size_t begin, length;
  };

  void grow() {
    slots_.assign(std::max<std::size_t>(64, slots_.size() * 2), 0);
    const std::size_t mask = slots_.size() - 1;
    for (std::uint32_t entry = 0; entry < entries_.size(); ++entry) {
      std::size_t slot = entries_[entry].hash & mask;
      while (slots_[slot] != 0) slot = (slot + 1) & mask;
      slots_[slot] = entry + 1;
    }
  }

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;  // entry + 1, or 0
  std::uint32_t last_ = 0;
};

// Pages as they stand in the file: each a header and its compressed bytes.
class Pages {
 public:
  Pages() : context_(ZSTD_createCCtx(), &ZSTD_freeCCtx) {}

  // To `out`. The bytes it would take uncompressed.
  std::size_t put(std::string& out, Page kind, std::size_t values, Encoding encoding, std::string_view body) {
    compressed_.resize(ZSTD_compressBound(body.size()));
    const std::size_t size = ZSTD_compressCCtx(context_.get(), compressed_.data(), compressed_.size(),
                                               body.data(), body.size(), kCompressionLevel);
    TR_ASSERT(ZSTD_isError(size) == 0);  // there is room, and a context
    const std::size_t before = out.size();
    {
      ThriftStruct header(out);
      header.put_i32(1, static_cast<std::int32_t>(kind));
      header.put_i32(2, static_cast<std::int32_t>(body.size()));
      header.put_i32(3, static_cast<std::int32_t>(size));
      ThriftStruct page = header.put_struct(kind == Page::data ? 5 : 7);
      page.put_i32(1, static_cast<std::int32_t>(values));
      page.put_i32(2, static_cast<std::int32_t>(encoding));
      if (kind == Page::data) {
        page.put_i32(3, static_cast<std::int32_t>(Encoding::rle));
        page.put_i32(4, static_cast<std::int32_t>(Encoding::rle));
      }
    }
    const std::size_t header_bytes = out.size() - before;
    out.append(compressed_, 0, size);
    return header_bytes + body.size();
  }

 private:
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_;
  std::string compressed_;
};

// What the metadata at the end of the file says of one column of one group of rows.
struct ChunkFacts {
  std::uint64_t values = 0;  // nulls too
  std::uint64_t nulls = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_uncompressed = 0;
  std::uint64_t begin = 0;                  // in the file
  std::optional<std::uint64_t> data_begin;  // of the first page with values; missing: at `begin`
  std::optional<std::pair<std::string, std::string>> bounds;  // the least and the greatest
};

// One column of the group of rows under way.
class Column {
 public:
  explicit Column(ColumnType type) : type_(type), has_dictionary_(type != ColumnType::boolean) {}

  void put_text(std::string_view text) { put(text, true); }
  void put_whole(std::int64_t value) {
    ordered_ = value;
    std::array<char, sizeof(value)> bytes;
    std::memcpy(bytes.data(), &value, sizeof(value));
    put({bytes.data(), bytes.size()}, false);
  }
  void put_decimal(Decimal value) {
    ordered_ = value;
    const auto bytes = big_endian(value);
    put({bytes.data(), bytes.size()}, false);
  }
  void put_real(double value) {
    std::array<char, sizeof(value)> bytes;
    std::memcpy(bytes.data(), &value, sizeof(value));
    put({bytes.data(), bytes.size()}, false);
  }
  void put_boolean(bool value) {
    begin_value();
    places_.push_back(value ? 1 : 0);
  }

  void end_row(Pages& pages) {
    ++facts_.values;
    defined_.push_back(is_set_ ? 1 : 0);
    if (is_set_) {
      is_set_ = false;
      ++page_values_;
      if (is_ordered()) {
        least_ = std::min(least_, ordered_);
        greatest_ = std::max(greatest_, ordered_);
      }
      if (has_dictionary_ && places_.size() == kTrialValues) judge_dictionary();
    }
    const bool is_full = has_dictionary_ && dictionary_.is_full();
    if (is_full || defined_.size() == kPageRows || plain_.size() >= kPageBytes) end_page(pages);
    if (is_full) has_dictionary_ = false;
  }

  // Compressed, of the group's pages that are full.
  std::size_t bytes() const { return pages_.size(); }

  // To the end of `out`, which begins at `position` of the file.
  ChunkFacts end_group(Pages& pages, std::string& out, std::uint64_t position) {
    judge_dictionary();
    if (!defined_.empty()) end_page(pages);
    facts_.begin = position + out.size();
    if (dictionary_.size() > 0) {
      facts_.bytes_uncompressed +=
          pages.put(out, Page::dictionary, dictionary_.size(), Encoding::plain, dictionary_.bytes());
      facts_.data_begin = position + out.size();
    }
    out += pages_;
    facts_.bytes = position + out.size() - facts_.begin;
    facts_.bounds = bounds();
    pages_.clear();
    dictionary_.clear();
    has_dictionary_ = type_ != ColumnType::boolean;
    all_in_dictionary_ = true;
    least_ = kGreatest;
    greatest_ = -kGreatest;
    return std::exchange(facts_, {});
  }

 private:
  static constexpr Decimal kGreatest = ~(Decimal{1} << 127);

  bool is_text() const { return type_ == ColumnType::text || type_ == ColumnType::json; }
  bool is_ordered() const {
    return type_ == ColumnType::integer || type_ == ColumnType::time || type_ == ColumnType::decimal;
  }

  // Of two values for one row the second counts.
  void begin_value() {
    if (std::exchange(is_set_, true)) {
      if (has_dictionary_ || type_ == ColumnType::boolean) {
        places_.pop_back();
      } else {
        plain_.resize(value_begin_);
      }
    }
    value_begin_ = plain_.size();
  }

  void put(std::string_view value, bool has_length) {
    begin_value();
    if (has_dictionary_) {
      places_.push_back(dictionary_.place(value, has_length));
    } else {
      put_plain(value, has_length);
    }
  }
  void put_plain(std::string_view value, bool has_length) {
    if (has_length) put_little(plain_, static_cast<std::uint32_t>(value.size()));
    plain_ += value;
  }

  // At a group's beginning, or where it ends sooner.
  void judge_dictionary() {
    if (!has_dictionary_ || !pages_.empty() || dictionary_.size() * 2 <= places_.size()) return;
    for (const std::uint32_t place : places_) put_plain(dictionary_.text(place), is_text());
    places_.clear();
    dictionary_.clear();
    has_dictionary_ = false;
  }

  void end_page(Pages& pages) {
    body_.assign(sizeof(std::uint32_t), '\0');
    const std::size_t rows = defined_.size();
    facts_.nulls += rows - page_values_;
    if (page_values_ == rows || page_values_ == 0) {
      put_varint(body_, rows << 1);
      body_ += page_values_ == 0 ? '\0' : '\1';
    } else {
      put_hybrid(body_, defined_, 1);
    }
    const auto levels = static_cast<std::uint32_t>(body_.size() - sizeof(std::uint32_t));
    std::memcpy(body_.data(), &levels, sizeof(levels));
    Encoding encoding = Encoding::plain;
    if (type_ == ColumnType::boolean) {
      put_packed(body_, places_, 1);
    } else if (has_dictionary_ && page_values_ > 0) {
      encoding = Encoding::dictionary;
      const unsigned width = width_of(dictionary_.size());
      body_ += static_cast<char>(width);
      put_hybrid(body_, places_, width);
    } else {
      all_in_dictionary_ = all_in_dictionary_ && page_values_ == 0;
      body_ += plain_;
    }
    facts_.bytes_uncompressed += pages.put(pages_, Page::data, rows, encoding, body_);
    defined_.clear();
    places_.clear();
    plain_.clear();
    page_values_ = 0;
  }

  std::optional<std::pair<std::string, std::string>> bounds() const {
    if (facts_.nulls == facts_.values) return std::nullopt;
    if (is_ordered()) return std::pair(encoded(least_), encoded(greatest_));
    if (!is_text() || !all_in_dictionary_) return std::nullopt;
    std::string_view least = dictionary_.text(0);
    std::string_view greatest = least;
    for (std::uint32_t entry = 1; entry < dictionary_.size(); ++entry) {
      least = std::min(least, dictionary_.text(entry));
      greatest = std::max(greatest, dictionary_.text(entry));
    }
    if (least.size() > kBoundBytes || greatest.size() > kBoundBytes) return std::nullopt;
    return std::pair(std::string(least), std::string(greatest));
  }
  std::string encoded(Decimal value) const {
    if (type_ == ColumnType::decimal) {
      const auto bytes = big_endian(value);
      return {bytes.data(), bytes.size()};
    }
    std::string bytes;
    put_little(bytes, static_cast<std::int64_t>(value));
    return bytes;
  }

  ColumnType type_;
  bool has_dictionary_;
  bool all_in_dictionary_ = true;  // of the group so far
  bool is_set_ = false;            // in the row under way
  Dictionary dictionary_;

  // The page under way.
  std::vector<std::uint32_t> defined_;  // by row: 1, or 0 for a null
  std::vector<std::uint32_t> places_;   // in the dictionary; of a boolean column, its values
  std::string plain_;
  std::size_t value_begin_ = 0;  // of the newest value in plain_
  std::size_t page_values_ = 0;

  std::string pages_;  // of the group, whole
  ChunkFacts facts_;
  Decimal ordered_ = 0, least_ = kGreatest, greatest_ = -kGreatest;
  std::string body_;
};

Physical physical(ColumnType type) {
  switch (type) {
    case ColumnType::text:
    case ColumnType::json:
      return Physical::byte_array;
    case ColumnType::boolean:
      return Physical::boolean;
    case ColumnType::integer:
    case ColumnType::time:
      return Physical::int64;
    case ColumnType::decimal:
      return Physical::fixed_byte_array;
    case ColumnType::real:
      return Physical::real;
  }
  return Physical::byte_array;
}

// The column's SchemaElement: its old name for what it means, and the new one.
void describe(ThriftStruct element, const WarehouseColumn& column) {
  constexpr std::int32_t kUtf8 = 0, kDecimal = 5, kMicros = 10, kInt64 = 18;
  constexpr std::int32_t kScale = 9, kDigits = 38;
  element.put_i32(1, static_cast<std::int32_t>(physical(column.type)));
  if (column.type == ColumnType::decimal) element.put_i32(2, kDecimalBytes);
  element.put_i32(3, kOptional);
  element.put_binary(4, column.name);
  switch (column.type) {
    case ColumnType::text:
    case ColumnType::json: {
      element.put_i32(6, kUtf8);
      ThriftStruct logical = element.put_struct(10);
      static_cast<void>(logical.put_struct(1));
      break;
    }
    case ColumnType::integer:
      element.put_i32(6, kInt64);
      break;
    case ColumnType::decimal: {
      element.put_i32(6, kDecimal);
      element.put_i32(7, kScale);
      element.put_i32(8, kDigits);
      ThriftStruct logical = element.put_struct(10);
      ThriftStruct decimal = logical.put_struct(5);
      decimal.put_i32(1, kScale);
      decimal.put_i32(2, kDigits);
      break;
    }
    case ColumnType::time: {
      element.put_i32(6, kMicros);
      ThriftStruct logical = element.put_struct(10);
      ThriftStruct time = logical.put_struct(8);
      time.put_bool(1, true);  // UTC
      ThriftStruct unit = time.put_struct(2);
      static_cast<void>(unit.put_struct(2));
      break;
    }
    case ColumnType::boolean:
    case ColumnType::real:
      break;
  }
}

struct Group {
  std::uint64_t rows = 0;
  std::vector<ChunkFacts> columns;
};

void describe(ThriftStruct chunk, const WarehouseColumn& column, const ChunkFacts& facts) {
  chunk.put_i64(2, static_cast<std::int64_t>(facts.begin));
  ThriftStruct meta = chunk.put_struct(3);
  meta.put_i32(1, static_cast<std::int32_t>(physical(column.type)));
  constexpr std::array kEncodings{Encoding::plain, Encoding::rle, Encoding::dictionary};
  const std::size_t encodings = facts.data_begin ? 3 : 2;
  meta.begin_i32s(2, encodings);
  for (std::size_t i = 0; i < encodings; ++i) meta.put_element(static_cast<std::int32_t>(kEncodings[i]));
  meta.begin_binaries(3, 1);
  meta.put_element(column.name);
  meta.put_i32(4, kZstd);
  meta.put_i64(5, static_cast<std::int64_t>(facts.values));
  meta.put_i64(6, static_cast<std::int64_t>(facts.bytes_uncompressed));
  meta.put_i64(7, static_cast<std::int64_t>(facts.bytes));
  meta.put_i64(9, static_cast<std::int64_t>(facts.data_begin.value_or(facts.begin)));
  if (facts.data_begin) meta.put_i64(11, static_cast<std::int64_t>(facts.begin));
  ThriftStruct statistics = meta.put_struct(12);
  statistics.put_i64(3, static_cast<std::int64_t>(facts.nulls));
  if (facts.bounds) {
    statistics.put_binary(5, facts.bounds->second);
    statistics.put_binary(6, facts.bounds->first);
  }
}

class Body final : public ParquetWriter {
 public:
  Body(const WarehouseTable& table, const std::string& path)
      : table_(table), path_(path), file_(path, std::ios::binary) {
    for (const WarehouseColumn& column : table.columns) columns_.emplace_back(column.type);
  }

  Result<void> open() { return write(kMagic); }

  void put(std::size_t column, std::string_view text) override { columns_[column].put_text(text); }
  void put_boolean(std::size_t column, bool value) override { columns_[column].put_boolean(value); }
  void put_integer(std::size_t column, std::int64_t value) override { columns_[column].put_whole(value); }
  void put_decimal(std::size_t column, Decimal value) override { columns_[column].put_decimal(value); }
  void put_real(std::size_t column, double value) override { columns_[column].put_real(value); }
  void put_time(std::size_t column, Time value) override { columns_[column].put_whole(value.ms * 1000); }

  Result<void> end_row() override {
    std::size_t bytes = 0;
    for (Column& column : columns_) {
      column.end_row(pages_);
      bytes += column.bytes();
    }
    ++rows_;
    ++group_rows_;
    return group_rows_ == kGroupRows || bytes >= kGroupBytes ? end_group() : Result<void>();
  }

  std::uint64_t rows() const override { return rows_; }

  Result<void> finish() override {
    if (group_rows_ > 0) TRY(end_group());
    std::string footer;
    describe_file(footer);
    put_little(footer, static_cast<std::uint32_t>(footer.size()));
    footer += kMagic;
    TRY(write(footer));
    file_.close();
    return file_ ? Result<void>() : failed();
  }

 private:
  Result<void> end_group() {
    std::string bytes;
    Group& group = groups_.emplace_back();
    group.rows = std::exchange(group_rows_, 0);
    for (Column& column : columns_) group.columns.push_back(column.end_group(pages_, bytes, position_));
    return write(bytes);
  }

  void describe_file(std::string& out) const {
    ThriftStruct file(out);
    file.put_i32(1, 1);
    file.begin_structs(2, table_.columns.size() + 1);
    {
      ThriftStruct root = file.element();
      root.put_binary(4, table_.name);
      root.put_i32(5, static_cast<std::int32_t>(table_.columns.size()));
    }
    for (const WarehouseColumn& column : table_.columns) describe(file.element(), column);
    file.put_i64(3, static_cast<std::int64_t>(rows_));
    file.begin_structs(4, groups_.size());
    for (const Group& group : groups_) {
      ThriftStruct element = file.element();
      element.begin_structs(1, group.columns.size());
      std::uint64_t uncompressed = 0;
      for (std::size_t i = 0; i < group.columns.size(); ++i) {
        uncompressed += group.columns[i].bytes_uncompressed;
        describe(element.element(), table_.columns[i], group.columns[i]);
      }
      element.put_i64(2, static_cast<std::int64_t>(uncompressed));
      element.put_i64(3, static_cast<std::int64_t>(group.rows));
    }
    file.put_binary(6, "tailrace");
    // Without these no reader believes the least and the greatest values.
    file.begin_structs(7, table_.columns.size());
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
      ThriftStruct order = file.element();
      static_cast<void>(order.put_struct(1));
    }
  }

  Result<void> write(std::string_view bytes) {
    file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    position_ += bytes.size();
    return file_ ? Result<void>() : failed();
  }
  std::unexpected<Error> failed() const {
    return fail(Error::Code::io, fmt::format("cannot write {}", path_));
  }

  WarehouseTable table_;
  std::string path_;
  std::ofstream file_;
  std::uint64_t position_ = 0;
  std::vector<Column> columns_;
  Pages pages_;
  std::uint64_t rows_ = 0;
  std::uint64_t group_rows_ = 0;  // of the group under way
  std::vector<Group> groups_;
};

}  // namespace

std::optional<Decimal> to_decimal(const Number& number) {
  constexpr int kScale = 9;
  const auto decimal = number.as_decimal();
  if (!decimal || decimal->scale > kScale) return std::nullopt;
  Decimal value = decimal->mantissa;
  for (int scale = decimal->scale; scale < kScale; ++scale) value *= 10;
  return value;  // 18 digits and 9 zeros at most
}

Result<std::unique_ptr<ParquetWriter>> ParquetWriter::create(const WarehouseTable& table,
                                                             const std::string& path) {
  TR_ASSERT(!table.columns.empty());
  auto body = std::make_unique<Body>(table, path);
  TRY(body->open());
  return body;
}

}  // namespace tailrace::columnar
