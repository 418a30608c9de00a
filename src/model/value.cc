#include "model/value.h"

#include <algorithm>

namespace tailrace {

const Value* Value::find(std::string_view key) const {
  for (auto member = members.rbegin(); member != members.rend(); ++member) {
    if (member->first == key) return &member->second;
  }
  return nullptr;
}

const Value* Value::find_path(std::string_view path) const {
  const Value* value = this;
  while (true) {
    if (value->kind != Kind::object) return nullptr;
    // A member whose own name has dots wins over a path.
    if (const Value* whole = value->find(path)) return whole;
    const std::size_t dot = path.find('.');
    if (dot == std::string_view::npos) return nullptr;
    value = value->find(path.substr(0, dot));
    if (value == nullptr) return nullptr;
    path.remove_prefix(dot + 1);
  }
}

void Value::find_all(std::string_view path, std::vector<const Value*>& found) const {
  if (kind == Kind::list) {
    for (const Value& element : list) element.find_all(path, found);
    return;
  }
  if (path.empty()) {
    found.push_back(this);
    return;
  }
  if (kind != Kind::object) return;
  if (const Value* whole = find(path)) {
    whole->find_all("", found);
    return;
  }
  const std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) return;
  if (const Value* step = find(path.substr(0, dot))) step->find_all(path.substr(dot + 1), found);
}

void add_path(std::vector<std::string>& members, std::string_view path) {
  for (const std::string_view name : {path, path.substr(0, path.find('.'))}) {
    if (std::find(members.begin(), members.end(), name) == members.end()) members.emplace_back(name);
  }
}

}  // namespace tailrace
