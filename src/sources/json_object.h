// A JSON object as its members, each a slice of the text: what is passed on stays as it came, to the last
// digit. Objects within it are read when they are asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/json_scanner.h"

namespace tailrace::sources {

struct JsonMember {
  std::string name;
  JsonSlice value;
  std::string_view raw;  // the value as it stands in the text, a string with its quotes
  JsonFlaw flaw = JsonFlaw::none;

  bool present() const { return value.type != JsonType::missing && value.type != JsonType::null; }
  // A string, unescaped, or a number's digits; empty for anything else.
  std::string text() const;
  bool is(JsonType type) const { return value.type == type; }
  bool is_true() const { return value.type == JsonType::boolean && value.text == "true"; }
};

// What becomes of an object in which something is that no reader of the stored text could read (JsonFlaw).
enum class Flaws : unsigned char { refused, kept };

// The text lives longer.
class JsonObject {
 public:
  JsonObject() = default;
  // A whole text. Errors: invalid_argument (not JSON in UTF-8, something else than an object, a flaw).
  static Result<JsonObject> parse(std::string_view text, Flaws flaws = Flaws::refused);
  // Of a member: its object, or one without members.
  static JsonObject of(const JsonMember& member);

  const std::vector<JsonMember>& members() const& { return members_; }
  std::vector<JsonMember> members() && { return std::move(members_); }
  bool empty() const { return members_.empty(); }
  // The last of that name; one that is missing where there is none.
  const JsonMember& operator[](std::string_view name) const&;
  JsonMember operator[](std::string_view name) && { return std::as_const(*this)[name]; }

 private:
  std::vector<JsonMember> members_;
};

// In words, and how to mend it; empty: there is none.
std::string_view words_of(JsonFlaw flaw);

// The elements of a list, with empty names; none of anything else.
std::vector<JsonMember> elements_of(const JsonMember& list);

// An object that is written member by member.
class JsonText {
 public:
  JsonText& text(std::string_view name, std::string_view value);  // nothing where it is empty
  JsonText& raw(std::string_view name, std::string_view json);    // nothing where it is empty
  // As it came; nothing where it is missing or null.
  JsonText& value(std::string_view name, const JsonMember& member);
  bool empty() const { return out_.size() == 1; }
  std::string take();

 private:
  void name(std::string_view name);
  std::string out_ = "{";
};

// The value without white space between its tokens.
std::string minified(const JsonMember& member);

}  // namespace tailrace::sources
