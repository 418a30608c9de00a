#include "destinations/selection.h"

#include <algorithm>
#include <string_view>

#include "base/hash.h"

namespace tailrace::destinations {
namespace {

Value* find_in(Value& object, std::string_view name) {
  if (object.kind != Value::Kind::object) return nullptr;
  const auto found = std::ranges::find(object.members, name, &std::pair<std::string, Value>::first);
  return found == object.members.end() ? nullptr : &found->second;
}

// The object that has the path's last step, which is left in `path`.
Value* owner_of(Value& properties, std::string_view& path) {
  Value* object = &properties;
  for (std::size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
    if (find_in(*object, path) != nullptr) break;  // a name may have a dot in it
    object = find_in(*object, path.substr(0, dot));
    if (object == nullptr) return nullptr;
    path.remove_prefix(dot + 1);
  }
  return object;
}

void remove(Value& properties, std::string_view path) {
  if (Value* object = owner_of(properties, path); object != nullptr && object->kind == Value::Kind::object)
    std::erase_if(object->members, [&](const auto& member) { return member.first == path; });
}

template <class Change>
void change_texts(Value& value, const Change& change) {
  switch (value.kind) {
    case Value::Kind::list:
      for (Value& element : value.list) change_texts(element, change);
      return;
    case Value::Kind::object:
      for (auto& [name, member] : value.members) change_texts(member, change);
      return;
    case Value::Kind::string:
      value = Value::of(change(value.string));
      return;
    case Value::Kind::number:
      value = Value::of(change(value.number.to_string()));
      return;
    case Value::Kind::boolean:
      value = Value::of(change(value.boolean ? "true" : "false"));
      return;
    default:
      return;
  }
}

template <class Change>
void change_at(Value& properties, std::string_view path, const Change& change) {
  Value* const object = owner_of(properties, path);
  Value* const found = object == nullptr ? nullptr : find_in(*object, path);
  if (found != nullptr) change_texts(*found, change);
}

}  // namespace

Value Selection::apply(Value properties) const {
  if (properties.kind != Value::Kind::object) return properties;
  if (!include.empty()) {
    std::erase_if(properties.members, [&](const auto& member) {
      return std::ranges::find(include, member.first) == include.end();
    });
  }
  for (const std::string& path : exclude) remove(properties, path);
  for (const std::string& path : hash)
    change_at(properties, path, [](const std::string& text) { return sha256_hex(text); });
  for (const std::string& path : mask)
    change_at(properties, path, [](const std::string&) { return std::string("***"); });
  for (auto& [name, value] : properties.members) {
    if (const auto to = rename.find(name); to != rename.end()) name = to->second;
  }
  return properties;
}

}  // namespace tailrace::destinations
