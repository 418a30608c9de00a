// YAML as a plain tree in which every node knows its place, and a reader of mappings that notices the keys
// nobody asked for.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "workspace/source.h"

namespace tailrace::workspace {

struct YamlNode {
  enum class Kind : unsigned char { null, scalar, list, mapping };
  struct Entry;

  Kind kind = Kind::null;
  std::string text;             // of a scalar, decoded
  Spot spot;                    // of a scalar: its content, without quotes where that is certain
  std::vector<YamlNode> items;  // of a list
  std::vector<Entry> entries;   // of a mapping, in order; keys are scalars and differ
};
struct YamlNode::Entry {
  YamlNode key;
  YamlNode value;
};

// Missing where the file cannot be read as one YAML document; the problems say why. An empty file is null.
std::optional<YamlNode> read_yaml(const SourceFile& file, Problems& problems);

// Where the code points of a decoded scalar stand in its file: the spot of [line:column, length] of its text.
// Folded, quoted and block scalars are followed as far as their characters can be told apart; else the
// scalar's beginning.
Spot spot_within(const YamlNode& scalar, const language::Span& span);

enum class Need : unsigned char { optional, required };

// Reads the keys of a mapping. Every reader reports what is wrong and gives the default; finish() reports
// the keys that were not asked for.
class Fields {
 public:
  // what: how messages name the thing, such as `a segment`.
  Fields(const YamlNode& node, std::string what, Problems& problems);
  bool usable() const { return node_.kind == YamlNode::Kind::mapping; }
  const Spot& spot() const { return node_.spot; }

  // The value, or nullptr where the key is absent (or null). Required: its absence is a problem.
  const YamlNode* find(std::string_view key, Need need = Need::optional);
  // A text that is not empty; "" where absent.
  std::string text(std::string_view key, Need need = Need::optional);
  // Where the value stands, or the mapping itself where it is absent.
  Spot spot_of(std::string_view key) const;

  template <class Enum>
  Enum choice(std::string_view key, Enum fallback,
              std::initializer_list<std::pair<std::string_view, Enum>> options, Need need = Need::optional) {
    const YamlNode* value = find(key, need);
    if (value == nullptr) return fallback;
    std::vector<std::string> names;
    for (const auto& [name, option] : options) {
      if (value->kind == YamlNode::Kind::scalar && value->text == name) return option;
      names.emplace_back(name);
    }
    report_choice(key, *value, names);
    return fallback;
  }

  void finish();

 private:
  void report_choice(std::string_view key, const YamlNode& value, const std::vector<std::string>& names);

  const YamlNode& node_;
  std::string what_;
  Problems& problems_;
  std::vector<std::string> asked_;
};

// The text of a scalar; missing (and reported) for anything else, and for an empty one. what: `"owner"`.
std::optional<std::string> scalar_text(const YamlNode& node, std::string_view what, Problems& problems);
std::optional<bool> scalar_boolean(const YamlNode& node, std::string_view what, Problems& problems);
// The items of a list, or the node itself as the only one.
std::span<const YamlNode> one_or_many(const YamlNode& node);

}  // namespace tailrace::workspace
