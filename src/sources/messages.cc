// Four layers, each of which knows only the one below: Bytes (the file, undone from gzip), Text (chunks, and
// lines), Rows (RFC 4180), and the two readers, of which the CSV one makes calls by a CallMapping.
#include "sources/messages.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>
#include <zlib.h>

#include "base/http.h"
#include "base/nearest.h"
#include "base/number.h"
#include "model/json.h"

namespace tailrace::sources {
namespace {

constexpr std::size_t kLineBytesMax = 16u << 20;
constexpr std::size_t kMappingBytesMax = 1u << 20;
constexpr std::size_t kChunkBytes = 64u << 10;
constexpr std::size_t kQuotedBytesMax = 100;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using OpenFile = std::unique_ptr<std::FILE, FileCloser>;

std::unexpected<Error> system_error(const std::string& path, int number) {
  return fail(number == ENOENT ? Error::Code::not_found : Error::Code::io,
              fmt::format("{}: {}", path, std::strerror(number)));
}

Result<OpenFile> open_file(const std::string& path) {
  OpenFile file(std::fopen(path.c_str(), "rb"));
  if (!file) return system_error(path, errno);
  return file;
}

// The bytes of a file, undone from gzip when they begin as gzip does.
class Bytes {
 public:
  static Result<std::unique_ptr<Bytes>> open(const std::string& path) {
    // Opened first: a TRY that returns from inside `new` leaves what was allocated behind.
    OpenFile file = TRY(open_file(path));
    auto bytes = std::unique_ptr<Bytes>(new Bytes(path, std::move(file)));
    std::error_code unknown;  // a pipe has no size
    const std::uintmax_t size = std::filesystem::file_size(path, unknown);
    bytes->total_ = unknown ? 0 : size;
    TRY(bytes->fill());
    if (bytes->left_ >= 2 && bytes->input_[0] == '\x1f' && bytes->input_[1] == '\x8b') {
      if (inflateInit2(&bytes->stream_, MAX_WBITS + 16) != Z_OK)
        return fail(Error::Code::io, fmt::format("{}: no memory to undo gzip", path));
      bytes->compressed_ = true;
    }
    return bytes;
  }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes() {
    if (compressed_) inflateEnd(&stream_);
  }

  // Fills some of out, at least one byte; 0 at the end.
  Result<std::size_t> read(std::span<char> out) {
    if (compressed_) return inflate_some(out);
    if (left_ == 0) TRY(fill());
    const std::size_t count = std::min(out.size(), left_);
    std::memcpy(out.data(), input_.data() + at_, count);
    at_ += count;
    left_ -= count;
    return count;
  }
  std::uint64_t taken() const { return taken_; }
  std::uint64_t total() const { return total_; }

 private:
  Bytes(std::string path, OpenFile file) : path_(std::move(path)), file_(std::move(file)) {}

  Result<void> fill() {
    at_ = 0;
    left_ = std::fread(input_.data(), 1, input_.size(), file_.get());
    taken_ += left_;
    if (left_ < input_.size() && std::ferror(file_.get()) != 0) return system_error(path_, errno);
    return {};
  }

  Result<std::size_t> inflate_some(std::span<char> out) {
    for (;;) {
      if (left_ == 0) TRY(fill());
      if (left_ == 0) {
        if (member_ended_) return 0;
        return damaged("ends too early");
      }
      if (member_ended_) {
        // What follows a member is another one; its header is checked by inflate.
        inflateReset(&stream_);
        member_ended_ = false;
      }
      stream_.next_in = reinterpret_cast<Bytef*>(input_.data() + at_);
      stream_.avail_in = static_cast<uInt>(left_);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data());
      stream_.avail_out = static_cast<uInt>(out.size());
      const int state = inflate(&stream_, Z_NO_FLUSH);
      at_ += left_ - stream_.avail_in;
      left_ = stream_.avail_in;
      if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) return damaged("is damaged");
      member_ended_ = state == Z_STREAM_END;
      const std::size_t count = out.size() - stream_.avail_out;
      if (count > 0) return count;
    }
  }

  std::unexpected<Error> damaged(const char* how) const {
    return invalid(fmt::format("{}: the gzip data {}, near byte {} of the file", path_, how, taken_ - left_));
  }

  std::string path_;
  OpenFile file_;
  std::uint64_t total_ = 0;
  std::uint64_t taken_ = 0;
  std::array<char, kChunkBytes> input_;
  std::size_t at_ = 0;
  std::size_t left_ = 0;
  z_stream stream_{};
  bool compressed_ = false;
  bool member_ended_ = false;
};

// The text of a file without its byte order mark, chunk by chunk.
class Text {
 public:
  explicit Text(std::unique_ptr<Bytes> bytes) : bytes_(std::move(bytes)) {}

  // What is read and not yet taken; empty only at the end.
  Result<std::string_view> chunk() {
    if (rest_.empty()) TRY(read_more());
    return rest_;
  }
  void take(std::size_t count) { rest_.remove_prefix(count); }
  const Bytes& bytes() const { return *bytes_; }

 private:
  Result<void> read_more() {
    std::size_t size = TRY(bytes_->read(buffer_));
    if (!begun_) {
      // A small gzip member may hold less than the mark.
      while (size > 0 && size < kByteOrderMark.size()) {
        const std::size_t more = TRY(bytes_->read(std::span(buffer_).subspan(size)));
        if (more == 0) break;
        size += more;
      }
    }
    rest_ = std::string_view(buffer_.data(), size);
    if (!begun_ && rest_.starts_with(kByteOrderMark)) {
      rest_.remove_prefix(kByteOrderMark.size());
      begun_ = true;
      if (rest_.empty()) return read_more();
    }
    begun_ = true;
    return {};
  }

  std::unique_ptr<Bytes> bytes_;
  std::array<char, kChunkBytes> buffer_;
  std::string_view rest_;
  bool begun_ = false;
};

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

std::unexpected<Error> too_long(const std::string& path, std::uint64_t line, std::string_view what) {
  return invalid(fmt::format("{}:{}: the {} is longer than {} MiB", path, line, what, kLineBytesMax >> 20));
}

// What both readers share. After an error the place in the file is unknown, so each later call gives it
// again.
class FileReader : public MessageReader {
 public:
  FileReader(std::string path, std::unique_ptr<Bytes> bytes)
      : path_(std::move(path)), text_(std::move(bytes)) {}

  Result<bool> next(Message& message) final {
    if (failure_) return std::unexpected(*failure_);
    Result<bool> found = read(message);
    if (!found) failure_ = found.error();
    return found;
  }
  std::uint64_t bytes_read() const final { return text_.bytes().taken(); }
  std::uint64_t bytes_total() const final { return text_.bytes().total(); }

 protected:
  virtual Result<bool> read(Message& message) = 0;
  std::string path_;
  Text text_;

 private:
  std::optional<Error> failure_;
};

class LineReader final : public FileReader {
 public:
  using FileReader::FileReader;

 private:
  Result<bool> read(Message& message) override {
    message.problem.clear();
    do {
      if (!TRY(read_line(message.json))) return false;
    } while (is_blank(message.json));
    if (message.json.ends_with('\r')) message.json.pop_back();
    message.line = line_;
    return true;
  }

  Result<bool> read_line(std::string& line) {
    line.clear();
    ++line_;
    bool begun = false;
    for (;;) {
      const std::string_view chunk = TRY(text_.chunk());
      if (chunk.empty()) return begun;
      begun = true;
      const std::size_t newline = chunk.find('\n');
      const std::string_view part = chunk.substr(0, newline);
      if (line.size() + part.size() > kLineBytesMax) return too_long(path_, line_, "line");
      line += part;
      text_.take(part.size() + (newline == std::string_view::npos ? 0 : 1));
      if (newline != std::string_view::npos) return true;
    }
  }

  std::uint64_t line_ = 0;
};

struct Row {
  std::uint64_t line = 0;
  std::string raw;  // without the line end
  std::vector<std::string> cells;
  std::string problem;
};

// Rows as RFC 4180 has them. A quote inside a cell that does not begin with one stands for itself, as in `12"
// disc`.
class Rows {
 public:
  Rows(const std::string& path, Text& text, char delimiter)
      : path_(path), text_(text), delimiter_(delimiter) {}

  // The next row that is not blank; false at the end.
  Result<bool> next(Row& row) {
    do {
      if (!TRY(read(row))) return false;
    } while (is_blank(row.raw));
    return true;
  }

 private:
  // closed: after a quote that ends a cell, or is the first of two; returned: and after the return of a CRLF.
  enum class State { begin, bare, quoted, closed, returned };

  Result<bool> read(Row& row) {
    row = Row{.line = line_, .raw = {}, .cells = {{}}, .problem = {}};
    state_ = State::begin;
    bool begun = false;
    for (;;) {
      const std::string_view chunk = TRY(text_.chunk());
      if (chunk.empty()) break;
      begun = true;
      for (std::size_t at = 0; at < chunk.size(); ++at) {
        if (chunk[at] == '\n') ++line_;
        if (chunk[at] == '\n' && state_ != State::quoted) {
          text_.take(at + 1);
          end(row);
          return true;
        }
        if (row.raw.size() == kLineBytesMax) return too_long(path_, row.line, "row (a quote left open?)");
        row.raw += chunk[at];
        read_character(row, chunk[at]);
      }
      text_.take(chunk.size());
    }
    if (begun) end(row);
    return begun;
  }

  void read_character(Row& row, char c) {
    std::string& cell = row.cells.back();
    if (state_ == State::quoted && c != '"') {
      cell += c;
    } else if (state_ == State::quoted) {
      state_ = State::closed;
    } else if (state_ == State::closed && c == '"') {
      cell += c;
      state_ = State::quoted;
    } else if (state_ == State::closed && c == '\r') {
      state_ = State::returned;
    } else if (c == delimiter_ && state_ != State::returned) {
      row.cells.emplace_back();
      state_ = State::begin;
    } else if (c == '"' && state_ == State::begin) {
      state_ = State::quoted;
    } else {
      if ((state_ == State::closed || state_ == State::returned) && row.problem.empty())
        row.problem = fmt::format("something follows the closing quote of cell {}", row.cells.size());
      cell += c;
      state_ = State::bare;
    }
  }

  void end(Row& row) const {
    if (state_ == State::quoted) row.problem = "a quote is opened and not closed";
    if (!row.raw.ends_with('\r') || state_ == State::quoted) return;
    row.raw.pop_back();
    if (state_ == State::bare) row.cells.back().pop_back();
  }

  const std::string& path_;
  Text& text_;
  char delimiter_;
  State state_ = State::begin;
  std::uint64_t line_ = 1;
};

std::string in_quotes(std::string_view word) {
  if (word.size() <= kQuotedBytesMax) return fmt::format("\"{}\"", word);
  return fmt::format("\"{}...\"", word.substr(0, kQuotedBytesMax));
}

// `; did you mean "event"?` when a known word is close.
std::string suggest(std::string_view word, std::span<const std::string> known) {
  const auto near = nearest(word, known);
  return near ? fmt::format("; did you mean {}?", in_quotes(*near)) : "";
}

enum class CellType { string, number, boolean, json };
const std::vector<std::string> kCellTypes = {"string", "number", "boolean", "json"};

// A member of the call: an object (with members), a literal, or the cell of a column.
struct Member {
  std::string key;
  std::vector<Member> members;
  std::string literal;  // as JSON
  std::string column;
  YAML::Mark column_mark;
  std::size_t cell = 0;  // the column's place in a row
  CellType type = CellType::string;
};

const std::vector<std::string> kCalls = {"identify", "track", "page", "screen", "group", "alias", "delete"};
const std::vector<std::string> kScalars = {"event",      "name",    "userId",    "anonymousId",
                                           "previousId", "groupId", "messageId", "timestamp"};
const std::vector<std::string> kObjects = {"properties", "traits", "context"};

bool is_among(std::string_view word, std::span<const std::string> words) {
  return std::ranges::find(words, word) != words.end();
}

struct CallMapping {
  std::vector<Member> members;
  char delimiter = ',';
};

// Reads a mapping and collects all that is wrong in it.
class MappingParser {
 public:
  explicit MappingParser(std::string path) : path_(std::move(path)) {}

  Result<CallMapping> parse(const std::string& text) {
    try {
      read(YAML::Load(text));
    } catch (const YAML::Exception& failure) {
      error(failure.mark, fmt::format("this is not YAML: {}", failure.msg));
    }
    if (!errors_.empty()) return invalid(fmt::format("{}", fmt::join(errors_, "\n")));
    return std::move(mapping_);
  }

  // Finds the mapping's columns in the header.
  Result<void> bind(std::vector<Member>& members, const std::vector<std::string>& header,
                    const std::string& file) {
    look_up(members, header, file);
    if (!errors_.empty()) return invalid(fmt::format("{}", fmt::join(errors_, "\n")));
    return {};
  }

 private:
  void read(const YAML::Node& root) {
    if (!root.IsMap()) return error(root.Mark(), "a mapping is `key: value` lines; type is one of the keys");
    std::vector<std::string> seen;
    for (const auto& entry : root) {
      const std::string key = key_of(entry.first);
      if (is_among(key, seen))
        error(entry.first.Mark(), fmt::format("{} stands a second time", in_quotes(key)));
      seen.push_back(key);
      read_entry(key, entry.first.Mark(), entry.second);
    }
    if (!is_among("type", seen)) error(root.Mark(), "`type` is missing: add `type: track` or another call");
    if (is_track_ && !is_among("event", seen)) error(root.Mark(), "a track needs `event`");
  }

  void read_entry(const std::string& key, const YAML::Mark& mark, const YAML::Node& value) {
    if (key == "type") return read_type(value);
    if (key == "delimiter") return read_delimiter(value);
    if (is_among(key, kScalars)) {
      Member& member = mapping_.members.emplace_back();
      member.key = key;
      return read_value(member, value, Typed::no);
    }
    if (is_among(key, kObjects)) return read_object(key, value);
    std::vector<std::string> known = {"type", "delimiter"};
    known.insert(known.end(), kScalars.begin(), kScalars.end());
    known.insert(known.end(), kObjects.begin(), kObjects.end());
    error(mark, fmt::format("a mapping has no key {}{}", in_quotes(key), suggest(key, known)));
  }

  void read_type(const YAML::Node& value) {
    const std::string type = value.IsScalar() ? value.Scalar() : "";
    if (!is_among(type, kCalls)) {
      return error(value.Mark(),
                   fmt::format("type must be one of {}{}", fmt::join(kCalls, ", "), suggest(type, kCalls)));
    }
    is_track_ = type == "track";
    Member& member = mapping_.members.emplace_back();
    member.key = "type";
    append_json_string(member.literal, type);
  }

  void read_delimiter(const YAML::Node& value) {
    const std::string text = value.IsScalar() ? value.Scalar() : "";
    if (text.size() != 1 || text == "\"" || text == "\r" || text == "\n") {
      return error(value.Mark(), R"(delimiter must be one ASCII character, such as ";" or "\t")");
    }
    mapping_.delimiter = text[0];
  }

  void read_object(const std::string& key, const YAML::Node& value) {
    if (!value.IsMap()) return error(value.Mark(), fmt::format("{} must be `key: value` lines", key));
    Member object;
    object.key = key;
    for (const auto& entry : value) {
      if (Member* member = place(object, key_of(entry.first), entry.first.Mark()))
        read_value(*member, entry.second, Typed::yes);
    }
    mapping_.members.push_back(std::move(object));
  }

  // The new member at a path such as address.city.
  Member* place(Member& object, const std::string& path, const YAML::Mark& mark) {
    Member* parent = &object;
    for (std::size_t begin = 0, depth = 0;; ++depth) {
      const std::size_t dot = path.find('.', begin);
      const std::string key = path.substr(begin, dot == std::string::npos ? dot : dot - begin);
      if (key.empty() || depth == kJsonDepthMax / 2) {
        error(mark, fmt::format("{} is no path of names with dots between them", in_quotes(path)));
        return nullptr;
      }
      const bool last = dot == std::string::npos;
      const auto known = std::ranges::find(parent->members, key, &Member::key);
      if (known == parent->members.end()) {
        parent->members.emplace_back().key = key;
        if (last) return &parent->members.back();
        parent = &parent->members.back();
      } else if (last || known->members.empty()) {
        error(mark, fmt::format("{} stands here a second time", in_quotes(path)));
        return nullptr;
      } else {
        parent = &*known;
      }
      begin = dot + 1;
    }
  }

  enum class Typed { no, yes };

  void read_value(Member& member, const YAML::Node& value, Typed typed) {
    if (value.IsMap()) return read_column(member, value, typed);
    if (!value.IsScalar() || value.Scalar().empty())
      return error(value.Mark(), fmt::format("{} must be a literal or {{column: NAME}}", member.key));
    const std::string& text = value.Scalar();
    // YAML's tag of what stands without quotes.
    const bool plain = typed == Typed::yes && value.Tag() == "?";
    if (plain && (text == "true" || text == "false" || Number::parse(text)))
      member.literal = text;
    else
      append_json_string(member.literal, text);
  }

  void read_column(Member& member, const YAML::Node& value, Typed typed) {
    static const std::vector<std::string> kKeys = {"column", "type"};
    for (const auto& entry : value) {
      const std::string key = key_of(entry.first);
      if (key == "column" && entry.second.IsScalar()) {
        member.column = entry.second.Scalar();
        member.column_mark = entry.second.Mark();
      } else if (key == "type" && typed == Typed::yes) {
        read_cell_type(member, entry.second);
      } else if (key == "type") {
        error(entry.first.Mark(), fmt::format("{} is text and takes no type", member.key));
      } else if (!is_among(key, kKeys)) {
        error(entry.first.Mark(),
              fmt::format("a column has no key {}{}", in_quotes(key), suggest(key, kKeys)));
      }
    }
    if (member.column.empty()) error(value.Mark(), fmt::format("{} needs {{column: NAME}}", member.key));
  }

  void read_cell_type(Member& member, const YAML::Node& value) {
    const std::string type = value.IsScalar() ? value.Scalar() : "";
    const auto found = std::ranges::find(kCellTypes, type);
    if (found == kCellTypes.end()) {
      return error(value.Mark(), fmt::format("a column's type must be one of {}{}",
                                             fmt::join(kCellTypes, ", "), suggest(type, kCellTypes)));
    }
    member.type = static_cast<CellType>(found - kCellTypes.begin());
  }

  std::string key_of(const YAML::Node& key) { return key.IsScalar() ? key.Scalar() : ""; }

  void look_up(std::vector<Member>& members, const std::vector<std::string>& header,
               const std::string& file) {
    for (Member& member : members) {
      look_up(member.members, header, file);
      if (member.column.empty()) continue;
      const auto count = std::ranges::count(header, member.column);
      if (count == 0) {
        error(member.column_mark, fmt::format("{} has no column {}{}", file, in_quotes(member.column),
                                              suggest(member.column, header)));
      } else if (count > 1) {
        error(member.column_mark, fmt::format("{} has {} columns {}: which is meant is not clear", file,
                                              count, in_quotes(member.column)));
      }
      member.cell = static_cast<std::size_t>(std::ranges::find(header, member.column) - header.begin());
    }
  }

  void error(const YAML::Mark& mark, const std::string& what) {
    errors_.push_back(fmt::format("{}:{}:{}: {}", path_, mark.line + 1, mark.column + 1, what));
  }

  std::string path_;
  CallMapping mapping_;
  bool is_track_ = false;
  std::vector<std::string> errors_;
};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// False when the cell is not of the type.
bool append_cell(std::string& out, const std::string& cell, CellType type) {
  const std::string_view word = trimmed(cell);
  switch (type) {
    case CellType::string:
      append_json_string(out, cell);
      return true;
    case CellType::number:
      if (!Number::parse(word)) return false;
      out += word;
      return true;
    case CellType::boolean: {
      const bool yes = word == "1" || equal_ignoring_case(word, "true");
      if (!yes && word != "0" && !equal_ignoring_case(word, "false")) return false;
      out += yes ? "true" : "false";
      return true;
    }
    case CellType::json: {
      const Result<Value> value = parse_json(cell);
      if (value) append_json(out, *value);
      return value.has_value();
    }
  }
  return false;
}

class RowReader final : public FileReader {
 public:
  RowReader(std::string path, std::unique_ptr<Bytes> bytes, CallMapping mapping)
      : FileReader(std::move(path), std::move(bytes)),
        mapping_(std::move(mapping)),
        rows_(path_, text_, mapping_.delimiter) {}

  Result<void> read_header(MappingParser& parser) {
    if (!TRY(rows_.next(row_))) return invalid(fmt::format("{}: there is no header row", path_));
    if (!row_.problem.empty()) return invalid(fmt::format("{}:{}: {}", path_, row_.line, row_.problem));
    columns_ = row_.cells.size();
    return parser.bind(mapping_.members, row_.cells, path_);
  }

 private:
  Result<bool> read(Message& message) override {
    if (!TRY(rows_.next(row_))) return false;
    message.line = row_.line;
    message.json.clear();
    message.problem = row_.problem;
    if (message.problem.empty() && row_.cells.size() != columns_)
      message.problem = fmt::format("the row has {} cells, and the header {}", row_.cells.size(), columns_);
    if (message.problem.empty()) append_object(message, mapping_.members);
    if (!message.problem.empty()) message.json = row_.raw;
    return true;
  }

  // Leaves out what is empty; returns whether anything was not.
  bool append_object(Message& message, const std::vector<Member>& members) {
    const std::size_t begin = message.json.size();
    char separator = '{';
    for (const Member& member : members) {
      const std::size_t before = message.json.size();
      message.json += separator;
      append_json_string(message.json, member.key);
      message.json += ':';
      if (append_value(message, member))
        separator = ',';
      else
        message.json.resize(before);
    }
    if (message.json.size() == begin) return false;
    message.json += '}';
    return true;
  }

  bool append_value(Message& message, const Member& member) {
    if (!member.members.empty()) return append_object(message, member.members);
    if (!member.literal.empty()) return message.json += member.literal, true;
    if (member.column.empty()) return false;  // an object of which the mapping says nothing
    const std::string& cell = row_.cells[member.cell];
    if (trimmed(cell).empty()) return false;
    if (!append_cell(message.json, cell, member.type) && message.problem.empty()) {
      message.problem = fmt::format("the cell of column {} is not a {}", in_quotes(member.column),
                                    kCellTypes[static_cast<std::size_t>(member.type)]);
    }
    return true;
  }

  CallMapping mapping_;
  Rows rows_;
  Row row_;
  std::size_t columns_ = 0;
};

Result<std::string> read_mapping(const std::string& path) {
  const OpenFile file = TRY(open_file(path));
  std::string text(kMappingBytesMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return system_error(path, errno);
  if (text.size() > kMappingBytesMax) return invalid(fmt::format("{}: the mapping is over 1 MiB", path));
  return text;
}

}  // namespace

Result<std::unique_ptr<MessageReader>> MessageReader::open(const std::string& path,
                                                           const std::string& mapping) {
  std::unique_ptr<Bytes> bytes = TRY(Bytes::open(path));
  if (mapping.empty()) return std::make_unique<LineReader>(path, std::move(bytes));
  MappingParser parser(mapping);
  const std::string text = TRY(read_mapping(mapping));
  CallMapping calls = TRY(parser.parse(text));
  auto reader = std::make_unique<RowReader>(path, std::move(bytes), std::move(calls));
  TRY(reader->read_header(parser));
  return reader;
}

}  // namespace tailrace::sources
