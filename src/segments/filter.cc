#include "segments/filter.h"

#include <algorithm>

#include "segments/scalar.h"

namespace tailrace::segments {
namespace {

using history::Needs;
using language::Expr;
using language::Literal;

// As compare() has it: a property is equal to a constant of its own kind and no other, but for times, which
// strings may be read as. Not every number can be looked up.
std::optional<Value> constant(const Literal& literal) {
  switch (literal.kind) {
    case Literal::Kind::string:
      return Value::of(literal.string);
    case Literal::Kind::boolean:
      return Value::of(literal.boolean);
    case Literal::Kind::number:
      if (!literal.number.as_decimal()) return std::nullopt;
      return Value::of(literal.number);
    case Literal::Kind::time:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Needs> one_of(const Expr& value, std::span<const Literal> literals) {
  const auto* property = language::as<language::Property>(value);
  if (property == nullptr || value.type == language::Type::time) return std::nullopt;
  Needs needs{.path = {property->path}, .values = {}, .suffice = true};
  for (const Literal& literal : literals) {
    auto found = constant(literal);
    if (!found) return std::nullopt;
    needs.values.push_back(std::move(*found));
  }
  return needs;
}

std::optional<Needs> of_equality(const language::Compare& node) {
  if (node.op != language::Comparison::equal) return std::nullopt;
  if (const auto* literal = language::as<Literal>(*node.right)) return one_of(*node.left, {literal, 1});
  if (const auto* literal = language::as<Literal>(*node.left)) return one_of(*node.right, {literal, 1});
  return std::nullopt;
}

// Any of the operands would do; the one with the fewest constants lets the fewest events through.
std::optional<Needs> of_all(const language::Logical& node) {
  std::optional<Needs> fewest;
  for (const auto& operand : node.operands) {
    auto needs = needs_of(*operand);
    if (needs && (!fewest || needs->values.size() < fewest->values.size())) fewest = std::move(needs);
  }
  if (fewest && node.operands.size() > 1) fewest->suffice = false;
  return fewest;
}

std::optional<Needs> of_any(const language::Logical& node) {
  std::optional<Needs> together;
  for (const auto& operand : node.operands) {
    const auto needs = needs_of(*operand);
    if (!needs || (together && together->path != needs->path)) return std::nullopt;
    if (!together) {
      together = needs;
      continue;
    }
    together->values.insert(together->values.end(), needs->values.begin(), needs->values.end());
    together->suffice = together->suffice && needs->suffice;
  }
  return together;
}

}  // namespace

std::optional<Needs> needs_of(const Expr& where) {
  if (const auto* node = language::as<language::Compare>(where)) return of_equality(*node);
  if (const auto* node = language::as<language::InList>(where)) return one_of(*node->value, node->options);
  if (const auto* node = language::as<language::Logical>(where))
    return node->kind == language::Logical::Kind::all_of ? of_all(*node) : of_any(*node);
  if (const auto* node = language::as<language::Property>(where))
    return Needs{.path = {node->path}, .values = {Value::of(true)}, .suffice = true};
  if (const auto* node = language::as<language::Quantified>(where)) {
    if (node->kind != language::Quantified::Kind::any) return std::nullopt;
    auto needs = needs_of(*node->condition);
    if (needs) needs->path.insert(needs->path.begin(), node->path);
    return needs;
  }
  return std::nullopt;
}

history::Filter filter_of(const language::ExprPtr& where) {
  return {.accepts = [where](const Value& properties) { return matches(*where, properties); },
          .looks_at = paths_in(*where),
          .needs = needs_of(*where)};
}

}  // namespace tailrace::segments
