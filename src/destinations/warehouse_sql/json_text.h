// JSON bodies in one expression:  to_json(object_of({{"name", "a"}, {"rows", 3}, {"deep", object_of({})}}))
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/value.h"

namespace tailrace::destinations {

struct JsonValue {
  Value value;
  JsonValue(Value of) : value(std::move(of)) {}
  JsonValue(std::string of) : value(Value::of(std::move(of))) {}
  JsonValue(std::string_view of) : value(Value::of(std::string(of))) {}
  JsonValue(const char* of) : value(Value::of(of)) {}
  JsonValue(bool of) : value(Value::of(of)) {}
  JsonValue(int of) : value(Value::of(Number::integer(of))) {}
  JsonValue(std::uint64_t of) : value(Value::of(Number::integer(static_cast<std::int64_t>(of)))) {}
};

inline Value object_of(std::initializer_list<std::pair<std::string, JsonValue>> members) {
  Value object = Value::with(Value::Kind::object);
  for (const auto& [name, of] : members) object.members.emplace_back(name, of.value);
  return object;
}

inline Value list_of(std::vector<Value> elements) {
  Value list = Value::with(Value::Kind::list);
  list.list = std::move(elements);
  return list;
}

}  // namespace tailrace::destinations
