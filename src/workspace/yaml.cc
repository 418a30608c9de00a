#include "workspace/yaml.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <unicode/utf8.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

namespace tailrace::workspace {

namespace {

constexpr std::size_t kFileBytesMax = 4u << 20;
constexpr int kDepthMax = 16;               // ours are five levels deep
constexpr std::size_t kNodesMax = 200'000;  // aliases of aliases may unfold without end

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size() && is_blank(text[at])) ++at;
  return at;
}

// Where each line of a file begins, so that a mark is found without counting lines from the top.
class LineStarts {
 public:
  explicit LineStarts(std::string_view text) : size_(text.size()), starts_{0} {
    for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1))
      starts_.push_back(at + 1);
  }
  std::size_t offset_of(const YAML::Mark& mark) const {
    if (mark.is_null()) return 0;
    const auto line = static_cast<std::size_t>(mark.line);
    if (line >= starts_.size()) return size_;
    return std::min(starts_[line] + static_cast<std::size_t>(mark.column), size_);
  }

 private:
  std::size_t size_;
  std::vector<std::size_t> starts_;
};

// Where each byte of the decoded scalar stands in the raw text, which begins at `start` (its first character,
// its quote, or the | or > of a block). Missing where they do not match, as after an escape such as \u00e9.
std::optional<std::vector<std::size_t>> align(std::string_view raw, std::size_t start,
                                              std::string_view decoded) {
  std::size_t at = start;
  const char style = at < raw.size() ? raw[at] : ' ';
  if (style == '"' || style == '\'') ++at;
  if (style == '|' || style == '>') at = std::min(raw.find('\n', at), raw.size());
  std::vector<std::size_t> places;
  for (const char c : decoded) {
    if (is_blank(c)) {
      places.push_back(std::min(at, raw.size()));
      if (at < raw.size() && is_blank(raw[at])) ++at;
      continue;
    }
    at = skip_blanks(raw, at);
    if ((style == '\'' && raw.substr(at, 2) == "''") || (style == '"' && raw.substr(at, 1) == "\\")) ++at;
    if (at >= raw.size() || raw[at] != c) return std::nullopt;
    places.push_back(at++);
  }
  places.push_back(at);
  return places;
}

// Where the text ceases to be UTF-8.
std::optional<std::size_t> first_broken_byte(std::string_view text) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  const auto size = static_cast<std::int32_t>(text.size());  // at most kFileBytesMax
  for (std::int32_t at = 0; at < size;) {
    const std::int32_t begin = at;
    UChar32 code_point = 0;
    U8_NEXT(bytes, at, size, code_point);
    if (code_point < 0) return static_cast<std::size_t>(begin);
  }
  return std::nullopt;
}

class Converter {
 public:
  Converter(const SourceFile& file, const LineStarts& lines, Problems& problems)
      : file_(file), lines_(lines), problems_(problems) {}

  YamlNode convert(const YAML::Node& node, int depth) {
    YamlNode out;
    out.spot = {&file_, lines_.offset_of(node.Mark()), 1};
    if (++nodes_ > kNodesMax || depth > kDepthMax) {
      if (!exhausted_)
        problems_.error(out.spot, "the file is nested too deep, or unfolds into too many values");
      exhausted_ = true;
      return out;
    }
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        break;
      case YAML::NodeType::Scalar:
        scalar(node, out);
        break;
      case YAML::NodeType::Sequence:
        out.kind = YamlNode::Kind::list;
        for (const YAML::Node& item : node) out.items.push_back(convert(item, depth + 1));
        break;
      case YAML::NodeType::Map:
        out.kind = YamlNode::Kind::mapping;
        for (const auto& pair : node) entry(pair.first, pair.second, out, depth + 1);
        break;
    }
    return out;
  }
  bool exhausted() const { return exhausted_; }

 private:
  void scalar(const YAML::Node& node, YamlNode& out) {
    out.kind = YamlNode::Kind::scalar;
    out.text = node.Scalar();
    if (const auto places = align(file_.text, out.spot.offset, out.text); places && !out.text.empty()) {
      out.spot.length = places->back() - places->front();
    }
  }

  void entry(const YAML::Node& key, const YAML::Node& value, YamlNode& out, int depth) {
    YamlNode name = convert(key, depth);
    YamlNode content = convert(value, depth);
    if (name.kind != YamlNode::Kind::scalar) {
      if (!exhausted_) problems_.error(name.spot, "a key must be text");
      return;
    }
    const bool repeated = std::ranges::any_of(
        out.entries, [&](const YamlNode::Entry& other) { return other.key.text == name.text; });
    if (repeated) {
      problems_.error(name.spot, fmt::format("the key {} stands here a second time", in_quotes(name.text)),
                      "keep one of them");
      return;
    }
    out.entries.push_back({std::move(name), std::move(content)});
  }

  const SourceFile& file_;
  const LineStarts& lines_;
  Problems& problems_;
  std::size_t nodes_ = 0;
  bool exhausted_ = false;
};

// Sees where documents begin, and keeps nothing else.
class Beginnings final : public YAML::EventHandler {
 public:
  const std::vector<YAML::Mark>& marks() const { return marks_; }

  void OnDocumentStart(const YAML::Mark&) override { begins_ = true; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { node(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { node(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string&) override {
    node(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    node(mark);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    node(mark);
  }
  void OnMapEnd() override {}

 private:
  void node(const YAML::Mark& mark) {
    if (begins_) marks_.push_back(mark);
    begins_ = false;
  }
  std::vector<YAML::Mark> marks_;
  bool begins_ = false;
};

// Of the first two documents. Not of all: there is broken text of which the library begins documents for
// ever.
std::vector<YAML::Mark> beginnings_of(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  Beginnings beginnings;
  for (int documents = 0; documents < 2 && parser.HandleNextDocument(beginnings); ++documents) {
  }
  return beginnings.marks();
}

}  // namespace

std::optional<YamlNode> read_yaml(const SourceFile& file, Problems& problems) {
  if (file.text.size() > kFileBytesMax) {
    problems.error_in(file.name, fmt::format("the file is larger than {} MiB", kFileBytesMax >> 20));
    return std::nullopt;
  }
  if (const auto broken = first_broken_byte(file.text)) {
    problems.error({&file, *broken, 1}, "the file is not UTF-8 from here on", "save it as UTF-8");
    return std::nullopt;
  }
  const LineStarts lines(file.text);
  try {
    const std::vector<YAML::Mark> documents = beginnings_of(file.text);
    if (documents.empty())
      return YamlNode{
          .kind = YamlNode::Kind::null, .text = {}, .spot = {&file, 0, 0}, .items = {}, .entries = {}};
    if (documents.size() > 1) {
      problems.error({&file, lines.offset_of(documents[1]), 1}, "the file holds more than one YAML document",
                     "remove the `---`, or use a file for each");
      return std::nullopt;
    }
    Converter converter(file, lines, problems);
    YamlNode root = converter.convert(YAML::Load(file.text), 0);
    if (converter.exhausted()) return std::nullopt;
    return root;
  } catch (const YAML::Exception& failure) {
    problems.error({&file, lines.offset_of(failure.mark), 1},
                   fmt::format("this is not YAML: {}", failure.msg),
                   "values that hold a colon, a quote or a # need quotes around them");
    return std::nullopt;
  }
}

Spot spot_within(const YamlNode& scalar, const language::Span& span) {
  const auto places = align(scalar.spot.file->text, scalar.spot.offset, scalar.text);
  if (!places) return scalar.spot;
  const std::size_t begin = offset_of(scalar.text, span.line, span.column);
  const std::size_t end = offset_of(std::string_view(scalar.text).substr(begin), 1, span.length + 1) + begin;
  const std::size_t first = (*places)[begin];
  return {scalar.spot.file, first, std::max((*places)[end], first) - first};
}

Fields::Fields(const YamlNode& node, std::string what, Problems& problems)
    : node_(node), what_(std::move(what)), problems_(problems) {
  if (!usable()) {
    problems_.error(node.spot, fmt::format("{} must be a mapping of keys to values", what_),
                    "write `key: value` lines");
  }
}

const YamlNode* Fields::find(std::string_view key, Need need) {
  asked_.emplace_back(key);
  if (!usable()) return nullptr;
  for (const YamlNode::Entry& entry : node_.entries) {
    if (entry.key.text == key && entry.value.kind != YamlNode::Kind::null) return &entry.value;
  }
  if (need == Need::required) {
    problems_.error(spot_of(key), fmt::format("{} needs `{}`", what_, key),
                    fmt::format("add `{}: ...`", key));
  }
  return nullptr;
}

std::string Fields::text(std::string_view key, Need need) {
  const YamlNode* value = find(key, need);
  if (value == nullptr) return "";
  return scalar_text(*value, fmt::format("`{}`", key), problems_).value_or("");
}

Spot Fields::spot_of(std::string_view key) const {
  for (const YamlNode::Entry& entry : node_.entries) {
    if (entry.key.text != key) continue;
    return entry.value.kind == YamlNode::Kind::null ? entry.key.spot : entry.value.spot;
  }
  return node_.spot;
}

void Fields::report_choice(std::string_view key, const YamlNode& value,
                           const std::vector<std::string>& names) {
  const std::optional<std::string> text = scalar_text(value, fmt::format("`{}`", key), problems_);
  if (text)
    problems_.error(value.spot, fmt::format("`{}` cannot be {}", key, in_quotes(*text)),
                    suggest(*text, names));
}

void Fields::finish() {
  for (const YamlNode::Entry& entry : node_.entries) {
    if (std::ranges::find(asked_, entry.key.text) != asked_.end()) continue;
    problems_.error(entry.key.spot, fmt::format("{} has no key {}", what_, in_quotes(entry.key.text)),
                    suggest(entry.key.text, asked_));
  }
}

std::optional<std::string> scalar_text(const YamlNode& node, std::string_view what, Problems& problems) {
  if (node.kind != YamlNode::Kind::scalar) {
    const char* found = node.kind == YamlNode::Kind::list      ? "a list"
                        : node.kind == YamlNode::Kind::mapping ? "a mapping"
                                                               : "empty";
    problems.error(node.spot, fmt::format("{} must be text, and is {}", what, found));
    return std::nullopt;
  }
  if (node.text.find_first_not_of(" \t\r\n") == std::string::npos) {
    problems.error(node.spot, fmt::format("{} is empty", what));
    return std::nullopt;
  }
  return node.text;
}

std::optional<bool> scalar_boolean(const YamlNode& node, std::string_view what, Problems& problems) {
  if (node.kind == YamlNode::Kind::scalar && node.text == "true") return true;
  if (node.kind == YamlNode::Kind::scalar && node.text == "false") return false;
  problems.error(node.spot, fmt::format("{} must be true or false", what));
  return std::nullopt;
}

std::span<const YamlNode> one_or_many(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::list) return node.items;
  return {&node, 1};
}

}  // namespace tailrace::workspace
