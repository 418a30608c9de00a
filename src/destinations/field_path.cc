#include "destinations/field_path.h"

#include <algorithm>

#include <fmt/format.h>

namespace tailrace::destinations {

struct FieldPath::Node {
  enum class Kind : unsigned char { path, literal, first, add, subtract, multiply, divide };
  Kind kind = Kind::path;
  std::string path;
  Value literal;
  std::shared_ptr<const Node> left, right;
};

namespace {

using Node = FieldPath::Node;
using NodePtr = std::shared_ptr<const Node>;
constexpr int kDepthMax = 64;

bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool continues_name(char c) { return starts_name(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<NodePtr> whole() {
    NodePtr node = TRY(alternatives());
    blanks();
    if (at_ < text_.size()) return wrong("not understood from here on");
    return node;
  }

 private:
  Result<NodePtr> alternatives() {
    NodePtr left = TRY(sum());
    while (take("??")) left = both(Node::Kind::first, std::move(left), TRY(sum()));
    return left;
  }

  Result<NodePtr> sum() {
    NodePtr left = TRY(product());
    while (true) {
      if (take("+")) {
        left = both(Node::Kind::add, std::move(left), TRY(product()));
      } else if (take("-")) {
        left = both(Node::Kind::subtract, std::move(left), TRY(product()));
      } else {
        return left;
      }
    }
  }

  Result<NodePtr> product() {
    NodePtr left = TRY(operand());
    while (true) {
      if (take("*")) {
        left = both(Node::Kind::multiply, std::move(left), TRY(operand()));
      } else if (take("/")) {
        left = both(Node::Kind::divide, std::move(left), TRY(operand()));
      } else {
        return left;
      }
    }
  }

  Result<NodePtr> operand() {
    blanks();
    if (at_ == text_.size()) return wrong("a path, a number or a text in quotes belongs here");
    if (take("(")) {
      if (++depth_ > kDepthMax) return wrong("too deep");
      NodePtr inner = TRY(alternatives());
      --depth_;
      if (!take(")")) return wrong("a closing parenthesis belongs here");
      return inner;
    }
    const char c = text_[at_];
    if (c == '"' || c == '\'') return quoted(c);
    if (c >= '0' && c <= '9') return number();
    if (starts_name(c)) return path();
    return wrong("a path, a number or a text in quotes belongs here");
  }

  Result<NodePtr> quoted(char quote) {
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return wrong("the text in quotes does not end");
    Node node{.kind = Node::Kind::literal, .path = {}, .literal = {}, .left = {}, .right = {}};
    node.literal = Value::of(std::string(text_.substr(at_ + 1, end - at_ - 1)));
    at_ = end + 1;
    return std::make_shared<const Node>(std::move(node));
  }

  Result<NodePtr> number() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && ((text_[at_] >= '0' && text_[at_] <= '9') || text_[at_] == '.')) ++at_;
    const auto value = Number::parse(text_.substr(begin, at_ - begin));
    if (!value) return wrong("not a number");
    Node node{.kind = Node::Kind::literal, .path = {}, .literal = Value::of(*value), .left = {}, .right = {}};
    return std::make_shared<const Node>(std::move(node));
  }

  Result<NodePtr> path() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && continues_name(text_[at_])) ++at_;
    Node node{.kind = Node::Kind::path, .path = {}, .literal = {}, .left = {}, .right = {}};
    node.path = std::string(text_.substr(begin, at_ - begin));
    return std::make_shared<const Node>(std::move(node));
  }

  static NodePtr both(Node::Kind kind, NodePtr left, NodePtr right) {
    Node node{.kind = kind, .path = {}, .literal = {}, .left = std::move(left), .right = std::move(right)};
    return std::make_shared<const Node>(std::move(node));
  }

  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  bool take(std::string_view word) {
    blanks();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  std::unexpected<Error> wrong(std::string_view what) const {
    return invalid(fmt::format("`{}`, column {}: {}", text_, at_ + 1, what));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

std::optional<Number> number_of(const Value& value) {
  if (value.kind == Value::Kind::number) return value.number;
  if (value.kind != Value::Kind::string) return std::nullopt;
  const auto number = Number::parse(value.string);
  return number ? std::optional(*number) : std::nullopt;
}

std::optional<Number> reckon(Node::Kind kind, const Number& left, const Number& right) {
  switch (kind) {
    case Node::Kind::add:
      return left + right;
    case Node::Kind::subtract:
      return left - right;
    case Node::Kind::multiply:
      return left * right;
    default:
      return divide(left, right);
  }
}

// find: from a path to what is there, or nullptr.
template <class Find>
const Value* evaluate(const Node& node, const Find& find, Value& room) {
  switch (node.kind) {
    case Node::Kind::literal:
      return &node.literal;
    case Node::Kind::path: {
      const Value* found = find(node.path);
      return found != nullptr && found->present() ? found : nullptr;
    }
    case Node::Kind::first: {
      const Value* left = evaluate(*node.left, find, room);
      const bool blank = left != nullptr && left->kind == Value::Kind::string && left->string.empty();
      return left != nullptr && !blank ? left : evaluate(*node.right, find, room);
    }
    default:
      break;
  }
  const auto operand = [&](const Node& side) {
    const Value* value = evaluate(side, find, room);
    return value == nullptr ? std::nullopt : number_of(*value);
  };
  const auto left = operand(*node.left);
  const auto right = operand(*node.right);
  if (!left || !right) return nullptr;
  const auto result = reckon(node.kind, *left, *right);
  if (!result) return nullptr;
  room = Value::of(*result);
  return &room;
}

}  // namespace

Result<FieldPath> FieldPath::parse(std::string_view text) {
  FieldPath path;
  path.root_ = TRY(Parser(text).whole());
  path.text_ = std::string(text);
  return path;
}

Value FieldPath::read(const Value& record) const {
  if (root_ == nullptr) return {};
  Value room;
  const Value* found = evaluate(*root_, [&](std::string_view path) { return record.find_path(path); }, room);
  return found == nullptr ? Value{} : *found;
}

const Value* FieldPath::find(RecordParts record, Value& room) const {
  if (root_ == nullptr) return nullptr;
  const auto find = [&](std::string_view path) -> const Value* {
    const std::string_view first = path.substr(0, path.find('.'));
    const auto part = std::ranges::find(record, first, &RecordParts::value_type::first);
    if (part == record.end()) return nullptr;
    return first.size() == path.size() ? part->second
                                       : part->second->find_path(path.substr(first.size() + 1));
  };
  return evaluate(*root_, find, room);
}

}  // namespace tailrace::destinations
