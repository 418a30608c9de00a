#include "segments/scalar.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "model/json.h"

namespace tailrace::segments {
namespace {

using language::Comparison;
using language::Expr;

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

// The one value of an expression inside `where`; lists are not entered.
Scalar value_of(const Expr& expr, const Value& element) {
  if (const auto* literal = language::as<language::Literal>(expr)) return Scalar::of(*literal);
  if (const auto* property = language::as<language::Property>(expr)) {
    const Value* found = property->path.empty() ? &element : element.find_path(property->path);
    return typed(expr.type, found == nullptr ? Scalar() : Scalar::of(*found));
  }
  if (const auto* arithmetic = language::as<language::Arithmetic>(expr))
    return compute(arithmetic->op, value_of(*arithmetic->left, element),
                   value_of(*arithmetic->right, element));
  if (const auto* conditional = language::as<language::Conditional>(expr)) {
    if (matches(*conditional->condition, element)) return value_of(*conditional->then, element);
    return conditional->otherwise ? value_of(*conditional->otherwise, element) : Scalar();
  }
  return Scalar::of(matches(expr, element));
}

// The values an operand of a condition stands for: one, or several where a list is met.
std::vector<Scalar> candidates(const Expr& expr, const Value& element) {
  std::vector<Scalar> result;
  if (const auto* property = language::as<language::Property>(expr)) {
    collect(element, property->path, result);
    for (Scalar& value : result) value = typed(expr.type, value);
    return result;
  }
  const Scalar value = value_of(expr, element);
  if (is_list(value)) {
    collect(*value.list, "", result);
  } else {
    result.push_back(value);
  }
  return result;
}

bool exists(const Expr& expr, const Value& element) {
  // An empty list is there, though it has no element to be found.
  if (value_of(expr, element).present()) return true;
  const auto found = candidates(expr, element);
  return std::any_of(found.begin(), found.end(), [](const Scalar& value) { return value.present(); });
}

// Objects are equal by their members, whatever their order; numbers by value.
bool same(const Value& a, const Value& b) {
  if (!a.present() || !b.present()) return a.present() == b.present();
  if (a.kind != b.kind) return false;
  if (a.kind == Value::Kind::list)
    return std::equal(a.list.begin(), a.list.end(), b.list.begin(), b.list.end(), same);
  if (a.kind != Value::Kind::object) return a == b;
  const auto has_members_of = [](const Value& object, const Value& other) {
    return std::all_of(other.members.begin(), other.members.end(), [&](const auto& member) {
      const Value* here = object.find(member.first);
      return here != nullptr && same(*here, *other.find(member.first));
    });
  };
  return has_members_of(a, b) && has_members_of(b, a);
}

bool quantified(const language::Quantified& node, const Value& element) {
  std::vector<const Value*> elements;
  element.find_all(node.path, elements);
  // A null where the list should be is no list; a null inside one is an element.
  const Value* whole = node.path.empty() ? &element : element.find_path(node.path);
  if (whole == nullptr || !whole->present())
    std::erase_if(elements, [](const Value* value) { return !value->present(); });
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

void collect(const Value& from, std::string_view path, std::vector<Scalar>& found) {
  std::vector<const Value*> values;
  from.find_all(path, values);
  for (const Value* value : values) found.push_back(Scalar::of(*value));
}

Scalar typed(language::Type type, const Scalar& value) {
  if (type != language::Type::time || value.kind != Scalar::Kind::string) return value;
  const auto time = parse_time(value.text);
  return time ? Scalar::of(*time) : value;
}

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

bool satisfies(Comparison op, std::strong_ordering order) {
  switch (op) {
    case Comparison::equal:
      return order == 0;
    case Comparison::not_equal:
      return order != 0;
    case Comparison::less:
      return order < 0;
    case Comparison::less_equal:
      return order <= 0;
    case Comparison::greater:
      return order > 0;
    case Comparison::greater_equal:
      return order >= 0;
  }
  return false;
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
    return satisfies(op, *left_time <=> *right_time);
  }
  if (left.kind != right.kind) return op == Comparison::not_equal;
  // Booleans and objects have no order.
  const auto equality = [&](bool equal) {
    return op == Comparison::equal ? equal : op == Comparison::not_equal && !equal;
  };
  switch (left.kind) {
    case Scalar::Kind::boolean:
      return equality(left.boolean == right.boolean);
    case Scalar::Kind::number:
      return satisfies(op, left.number <=> right.number);
    case Scalar::Kind::string:
      return satisfies(op, left.text <=> right.text);
    case Scalar::Kind::list:
      return equality(same(*left.list, *right.list));
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

namespace {

void add_paths(const language::ExprPtr& expr, std::vector<std::string>& paths) {
  if (expr == nullptr) return;
  if (const auto* node = language::as<language::Property>(*expr)) paths.push_back(node->path);
  // Within it, paths are of the elements.
  if (const auto* node = language::as<language::Quantified>(*expr)) paths.push_back(node->path);
  if (const auto* node = language::as<language::Not>(*expr)) add_paths(node->operand, paths);
  if (const auto* node = language::as<language::Logical>(*expr)) {
    for (const auto& operand : node->operands) add_paths(operand, paths);
  }
  if (const auto* node = language::as<language::Compare>(*expr)) {
    add_paths(node->left, paths);
    add_paths(node->right, paths);
  }
  if (const auto* node = language::as<language::InList>(*expr)) add_paths(node->value, paths);
  if (const auto* node = language::as<language::Exists>(*expr)) add_paths(node->value, paths);
  if (const auto* node = language::as<language::Arithmetic>(*expr)) {
    add_paths(node->left, paths);
    add_paths(node->right, paths);
  }
  if (const auto* node = language::as<language::Conditional>(*expr)) {
    add_paths(node->condition, paths);
    add_paths(node->then, paths);
    add_paths(node->otherwise, paths);
  }
}

}  // namespace

std::vector<std::string> paths_in(const Expr& where) {
  std::vector<std::string> paths;
  add_paths(std::make_shared<const Expr>(where), paths);
  return paths;
}

bool matches(const Expr& where, const Value& properties) {
  if (const auto* node = language::as<language::Not>(where)) return !matches(*node->operand, properties);
  if (const auto* node = language::as<language::Logical>(where)) {
    const auto holds_for = [&](const language::ExprPtr& operand) { return matches(*operand, properties); };
    return node->kind == language::Logical::Kind::all_of
               ? std::all_of(node->operands.begin(), node->operands.end(), holds_for)
               : std::any_of(node->operands.begin(), node->operands.end(), holds_for);
  }
  if (const auto* node = language::as<language::Compare>(where)) {
    const auto rights = candidates(*node->right, properties);
    const auto lefts = candidates(*node->left, properties);
    return std::any_of(lefts.begin(), lefts.end(), [&](const Scalar& left) {
      return std::any_of(rights.begin(), rights.end(),
                         [&](const Scalar& right) { return compare(node->op, left, right); });
    });
  }
  if (const auto* node = language::as<language::InList>(where)) {
    const auto values = candidates(*node->value, properties);
    return std::any_of(values.begin(), values.end(), [&](const Scalar& value) {
      return std::any_of(node->options.begin(), node->options.end(), [&](const language::Literal& option) {
        return compare(Comparison::equal, value, Scalar::of(option));
      });
    });
  }
  if (const auto* node = language::as<language::Exists>(where)) return exists(*node->value, properties);
  if (const auto* node = language::as<language::Quantified>(where)) return quantified(*node, properties);
  // A bare property or literal: true where it is the boolean true.
  const auto values = candidates(where, properties);
  return std::any_of(values.begin(), values.end(), [](const Scalar& value) {
    return value.kind == Scalar::Kind::boolean && value.boolean;
  });
}

}  // namespace tailrace::segments
