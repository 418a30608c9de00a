#include "segments/scalar.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "model/json.h"

namespace tailrace::segments {
namespace {

using language::Comparison;
using language::Expr;

template <class T>
bool holds(Comparison op, const T& left, const T& right) {
  switch (op) {
    case Comparison::equal:
      return left == right;
    case Comparison::not_equal:
      return !(left == right);
    case Comparison::less:
      return left < right;
    case Comparison::less_equal:
      return !(right < left);
    case Comparison::greater:
      return right < left;
    case Comparison::greater_equal:
      return !(left < right);
  }
  return false;
}

Comparison mirrored(Comparison op) {
  switch (op) {
    case Comparison::less:
      return Comparison::greater;
    case Comparison::less_equal:
      return Comparison::greater_equal;
    case Comparison::greater:
      return Comparison::less;
    case Comparison::greater_equal:
      return Comparison::less_equal;
    default:
      return op;
  }
}

bool is_list(const Scalar& value) {
  return value.kind == Scalar::Kind::list && value.list->kind == Value::Kind::list;
}

std::optional<Time> as_time(const Scalar& value) {
  if (value.kind == Scalar::Kind::time) return value.time;
  if (value.kind != Scalar::Kind::string) return std::nullopt;
  const auto time = parse_time(value.text);
  return time ? std::optional(*time) : std::nullopt;
}

// All values at a path below an element; lists on the way are entered.
void collect(const Value& from, std::string_view path, std::vector<const Value*>& found) {
  if (path.empty()) {
    found.push_back(&from);
    return;
  }
  if (from.kind == Value::Kind::list) {
    for (const Value& element : from.list) collect(element, path, found);
    return;
  }
  if (from.kind != Value::Kind::object) return;
  if (const Value* whole = from.find(path)) {
    found.push_back(whole);
    return;
  }
  const std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) return;
  if (const Value* step = from.find(path.substr(0, dot))) collect(*step, path.substr(dot + 1), found);
}

// The values an expression inside `where` stands for: one, or several where a path enters a list.
std::vector<Scalar> values_of(const Expr& expr, const Value& element);

std::vector<Scalar> combine(const language::Arithmetic& node, const Value& element) {
  std::vector<Scalar> result;
  const auto rights = values_of(*node.right, element);
  for (const Scalar& left : values_of(*node.left, element)) {
    for (const Scalar& right : rights) result.push_back(compute(node.op, left, right));
  }
  return result;
}

std::vector<Scalar> values_of(const Expr& expr, const Value& element) {
  if (const auto* literal = language::as<language::Literal>(expr)) return {Scalar::of(*literal)};
  if (const auto* property = language::as<language::Property>(expr)) {
    std::vector<const Value*> found;
    collect(element, property->path, found);
    std::vector<Scalar> result;
    result.reserve(found.size());
    for (const Value* value : found) result.push_back(Scalar::of(*value));
    return result;
  }
  if (const auto* arithmetic = language::as<language::Arithmetic>(expr)) return combine(*arithmetic, element);
  if (const auto* conditional = language::as<language::Conditional>(expr)) {
    if (matches(*conditional->condition, element)) return values_of(*conditional->then, element);
    return conditional->otherwise ? values_of(*conditional->otherwise, element) : std::vector<Scalar>();
  }
  return {Scalar::of(matches(expr, element))};
}

bool quantified(const language::Quantified& node, const Value& element) {
  std::vector<const Value*> found;
  collect(element, node.path, found);
  std::vector<const Value*> elements;
  for (const Value* value : found) {
    if (value->kind == Value::Kind::list) {
      for (const Value& item : value->list) elements.push_back(&item);
    } else if (value->present()) {
      elements.push_back(value);
    }
  }
  const auto satisfies = [&](const Value* item) { return matches(*node.condition, *item); };
  switch (node.kind) {
    case language::Quantified::Kind::any:
      return std::any_of(elements.begin(), elements.end(), satisfies);
    case language::Quantified::Kind::all:
      return std::all_of(elements.begin(), elements.end(), satisfies);
    case language::Quantified::Kind::none:
      return std::none_of(elements.begin(), elements.end(), satisfies);
  }
  return false;
}

}  // namespace

Scalar Scalar::of(bool value) {
  Scalar scalar;
  scalar.kind = Kind::boolean;
  scalar.boolean = value;
  return scalar;
}
Scalar Scalar::of(Number value) {
  Scalar scalar;
  scalar.kind = Kind::number;
  scalar.number = value;
  return scalar;
}
Scalar Scalar::of(Time value) {
  Scalar scalar;
  scalar.kind = Kind::time;
  scalar.time = value;
  return scalar;
}
Scalar Scalar::of(std::string_view value) {
  Scalar scalar;
  scalar.kind = Kind::string;
  scalar.text = value;
  return scalar;
}
Scalar Scalar::of(const Value& value) {
  switch (value.kind) {
    case Value::Kind::missing:
    case Value::Kind::null:
      return {};
    case Value::Kind::boolean:
      return of(value.boolean);
    case Value::Kind::number:
      return of(value.number);
    case Value::Kind::string:
      return of(std::string_view(value.string));
    case Value::Kind::list:
    case Value::Kind::object: {
      Scalar scalar;
      scalar.kind = Kind::list;
      scalar.list = &value;
      return scalar;
    }
  }
  return {};
}
Scalar Scalar::of(const language::Literal& literal) {
  switch (literal.kind) {
    case language::Literal::Kind::boolean:
      return of(literal.boolean);
    case language::Literal::Kind::number:
      return of(literal.number);
    case language::Literal::Kind::string:
      return of(std::string_view(literal.string));
    case language::Literal::Kind::time:
      return of(literal.time);
  }
  return {};
}

bool compare(Comparison op, const Scalar& left, const Scalar& right) {
  if (!left.present() || !right.present()) return false;
  if (is_list(left)) {
    return std::any_of(left.list->list.begin(), left.list->list.end(),
                       [&](const Value& element) { return compare(op, Scalar::of(element), right); });
  }
  if (is_list(right)) return compare(mirrored(op), right, left);
  if (left.kind == Scalar::Kind::time || right.kind == Scalar::Kind::time) {
    const auto left_time = as_time(left);
    const auto right_time = as_time(right);
    if (!left_time || !right_time) return op == Comparison::not_equal;
    return holds(op, *left_time, *right_time);
  }
  if (left.kind != right.kind) return op == Comparison::not_equal;
  switch (left.kind) {
    case Scalar::Kind::boolean:
      return holds(op, left.boolean, right.boolean);
    case Scalar::Kind::number:
      return holds(op, left.number, right.number);
    case Scalar::Kind::string:
      return holds(op, left.text, right.text);
    default:
      return false;
  }
}

Scalar compute(language::Arithmetic::Op op, const Scalar& left, const Scalar& right) {
  if (left.kind != Scalar::Kind::number || right.kind != Scalar::Kind::number) return {};
  switch (op) {
    case language::Arithmetic::Op::add:
      return Scalar::of(left.number + right.number);
    case language::Arithmetic::Op::subtract:
      return Scalar::of(left.number - right.number);
    case language::Arithmetic::Op::multiply:
      return Scalar::of(left.number * right.number);
    case language::Arithmetic::Op::divide: {
      const auto quotient = divide(left.number, right.number);
      return quotient ? Scalar::of(*quotient) : Scalar();
    }
  }
  return {};
}

std::string to_string(const Scalar& value) {
  switch (value.kind) {
    case Scalar::Kind::missing:
      return "missing";
    case Scalar::Kind::boolean:
      return value.boolean ? "true" : "false";
    case Scalar::Kind::number:
      return value.number.to_string();
    case Scalar::Kind::string: {
      std::string quoted;
      append_json_string(quoted, value.text);
      return quoted;
    }
    case Scalar::Kind::time:
      return format_time(value.time);
    case Scalar::Kind::list:
      return to_json(*value.list);
  }
  return "missing";
}

bool matches(const Expr& where, const Value& element) {
  if (const auto* node = language::as<language::Not>(where)) return !matches(*node->operand, element);
  if (const auto* node = language::as<language::Logical>(where)) {
    const auto holds_for = [&](const language::ExprPtr& operand) { return matches(*operand, element); };
    return node->kind == language::Logical::Kind::all_of
               ? std::all_of(node->operands.begin(), node->operands.end(), holds_for)
               : std::any_of(node->operands.begin(), node->operands.end(), holds_for);
  }
  if (const auto* node = language::as<language::Compare>(where)) {
    const auto rights = values_of(*node->right, element);
    const auto lefts = values_of(*node->left, element);
    return std::any_of(lefts.begin(), lefts.end(), [&](const Scalar& left) {
      return std::any_of(rights.begin(), rights.end(),
                         [&](const Scalar& right) { return compare(node->op, left, right); });
    });
  }
  if (const auto* node = language::as<language::InList>(where)) {
    const auto values = values_of(*node->value, element);
    return std::any_of(values.begin(), values.end(), [&](const Scalar& value) {
      return std::any_of(node->options.begin(), node->options.end(), [&](const language::Literal& option) {
        return compare(Comparison::equal, value, Scalar::of(option));
      });
    });
  }
  if (const auto* node = language::as<language::Exists>(where)) {
    const auto values = values_of(*node->value, element);
    return std::any_of(values.begin(), values.end(), [](const Scalar& value) { return value.present(); });
  }
  if (const auto* node = language::as<language::Quantified>(where)) return quantified(*node, element);
  // A bare property or literal: true where it is the boolean true.
  const auto values = values_of(where, element);
  return std::any_of(values.begin(), values.end(), [](const Scalar& value) {
    return value.kind == Scalar::Kind::boolean && value.boolean;
  });
}

}  // namespace tailrace::segments
