// A JSON value with exact numbers: traits, properties, literals.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/number.h"
#include "base/result.h"

namespace tailrace {

// One struct, not a variant: gcc 12 warns falsely about a variant with a string inside a vector.
struct Value {
  enum class Kind : unsigned char { missing, null, boolean, number, string, list, object };

  Kind kind = Kind::missing;
  bool boolean = false;
  Number number;
  std::string string;
  std::vector<Value> list;  // elements of a list
  std::vector<std::pair<std::string, Value>>
      members;  // of an object, in order of appearance; the last of equal keys counts

  static Value of_null() { return with(Kind::null); }
  static Value of(bool b) {
    Value v = with(Kind::boolean);
    v.boolean = b;
    return v;
  }
  static Value of(Number n) {
    Value v = with(Kind::number);
    v.number = n;
    return v;
  }
  static Value of(std::string s) {
    Value v = with(Kind::string);
    v.string = std::move(s);
    return v;
  }
  static Value of(const char* s) { return of(std::string(s)); }
  static Value with(Kind kind) {
    Value v;
    v.kind = kind;
    return v;
  }
  // An explicit null counts as missing everywhere in the segment language.
  bool present() const { return kind != Kind::missing && kind != Kind::null; }

  // The member of that name, or nullptr.
  const Value* find(std::string_view key) const;
  // The value at a dotted path ("address.city"), or nullptr. Lists are not entered.
  const Value* find_path(std::string_view path) const;
  // Everything at a dotted path, nulls too: the elements of lists on the way and at its end one by one.
  void find_all(std::string_view path, std::vector<const Value*>& found) const;

  bool operator==(const Value&) const = default;
};

// Adds the members at the top level through which a dotted path may be found: its first step, and the whole,
// as a name may have dots of its own.
void add_path(std::vector<std::string>& members, std::string_view path);

}  // namespace tailrace
