#include "ingest/taxonomy.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace tailrace::ingest {
namespace {

std::string_view type_name(language::Type type) {
  switch (type) {
    case language::Type::any:
      return "any";
    case language::Type::boolean:
      return "boolean";
    case language::Type::number:
      return "number";
    case language::Type::string:
      return "string";
    case language::Type::time:
      return "time";
    case language::Type::list:
      return "list";
  }
  return "any";
}

bool fits(const Value& value, language::Type type) {
  switch (type) {
    case language::Type::any:
      return true;
    case language::Type::boolean:
      return value.kind == Value::Kind::boolean;
    case language::Type::number:
      return value.kind == Value::Kind::number;
    case language::Type::string:
      return value.kind == Value::Kind::string;
    case language::Type::time:
      return value.kind == Value::Kind::string && parse_time(value.string).has_value();
    case language::Type::list:
      return value.kind == Value::Kind::list;
  }
  return false;
}

std::optional<Number> number_in(const Value& value) {
  if (value.kind == Value::Kind::number) return value.number;
  if (value.kind != Value::Kind::string) return std::nullopt;
  const auto number = Number::parse(value.string);
  return number ? std::optional(*number) : std::nullopt;
}

// Of all values at the path, lists entered, the strings that read as numbers.
void convert_at(Value& value, std::string_view path) {
  if (value.kind == Value::Kind::list) {
    for (Value& element : value.list) convert_at(element, path);
    return;
  }
  if (path.empty()) {
    if (value.kind != Value::Kind::string) return;
    if (const auto number = number_in(value)) value = Value::of(*number);
    return;
  }
  if (value.kind != Value::Kind::object) return;
  const auto member = [&](std::string_view name) -> Value* {
    const auto found = std::find_if(value.members.begin(), value.members.end(),
                                    [&](const auto& one) { return one.first == name; });
    return found == value.members.end() ? nullptr : &found->second;
  };
  if (Value* whole = member(path)) {
    convert_at(*whole, "");
    return;
  }
  const std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) return;
  if (Value* step = member(path.substr(0, dot))) convert_at(*step, path.substr(dot + 1));
}

std::string_view kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::missing:
    case Value::Kind::null:
      return "nothing";
    case Value::Kind::boolean:
      return "a boolean";
    case Value::Kind::number:
      return "a number";
    case Value::Kind::string:
      return "a string";
    case Value::Kind::list:
      return "a list";
    case Value::Kind::object:
      return "an object";
  }
  return "nothing";
}

}  // namespace

std::string folded(std::string_view name) {
  while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
  while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
  std::string result(name);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return result;
}

Taxonomy::Taxonomy(const workspace::Taxonomy& rules)
    : admit_unknown_(rules.unknown_events == workspace::UnknownEvents::admit) {
  const auto add = [&](const workspace::EventRule& event) {
    Rule rule{.event = event.name, .checks = {}, .members = {}};
    for (const auto& property : event.properties) {
      if (!property.required && property.type == language::Type::any) continue;
      rule.checks.push_back(property);
      add_path(rule.members, property.name);
    }
    const auto add_name = [&](const std::string& name) {
      const auto [entry, added] = by_name_.emplace(folded(name), rules_.size());
      by_spelling_.emplace(name, entry->second);
    };
    add_name(event.name);
    for (const std::string& alias : event.aliases) add_name(alias);
    rules_.push_back(std::move(rule));
  };
  for (const auto& event : rules.events) add(event);
  for (const auto name : {kPageViewed, kScreenViewed}) {
    if (!by_name_.contains(folded(name)))
      add({.name = std::string(name), .aliases = {}, .owner = {}, .description = {}, .properties = {}});
  }
}

std::size_t Taxonomy::find(std::string_view name) const {
  // Most events come under their own spelling; folding allocates.
  if (const auto same = by_spelling_.find(name); same != by_spelling_.end()) return same->second;
  const auto found = by_name_.find(folded(name));
  return found == by_name_.end() ? Named::kNoRule : found->second;
}

Taxonomy::Named Taxonomy::name(const RecordView& record) const {
  const std::string_view name = record.kind == RecordKind::page     ? kPageViewed
                                : record.kind == RecordKind::screen ? kScreenViewed
                                                                    : record.event;
  const std::size_t rule = find(name);
  return {rule, rule == Named::kNoRule ? name : std::string_view(rules_[rule].event)};
}

std::span<const std::string> Taxonomy::looks_at(const Named& named) const {
  return named.rule == Named::kNoRule ? std::span<const std::string>() : rules_[named.rule].members;
}

std::string Taxonomy::judge(const Named& named, const Value& properties) const {
  if (named.rule == Named::kNoRule) {
    if (admit_unknown_) return {};
    return fmt::format("unknown event \"{}\": add it, or make it an alias, in taxonomy.yaml", named.event);
  }
  const Rule& rule = rules_[named.rule];
  for (const auto& check : rule.checks) {
    if (check.from_string) {
      std::vector<const Value*> values;
      properties.find_all(check.name, values);
      std::erase_if(values, [](const Value* value) { return !value->present(); });
      if (values.empty() && check.required)
        return fmt::format("\"{}\" without required property `{}`", rule.event, check.name);
      for (const Value* value : values) {
        if (!number_in(*value))
          return fmt::format("\"{}\" with `{}` as {} that reads as no number", rule.event, check.name,
                             kind_name(value->kind));
      }
      continue;
    }
    const Value* value = properties.kind == Value::Kind::object ? properties.find_path(check.name) : nullptr;
    if (value == nullptr || !value->present()) {
      if (check.required) return fmt::format("\"{}\" without required property `{}`", rule.event, check.name);
      continue;
    }
    if (!fits(*value, check.type)) {
      return fmt::format("\"{}\" with `{}` as {}, where the taxonomy says {}", rule.event, check.name,
                         kind_name(value->kind), type_name(check.type));
    }
  }
  return {};
}

void Taxonomy::convert(const Named& named, Value& properties) const {
  if (named.rule == Named::kNoRule) return;
  for (const auto& check : rules_[named.rule].checks) {
    if (check.from_string) convert_at(properties, check.name);
  }
}

}  // namespace tailrace::ingest
