#include "sources/json_object.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "model/json.h"

namespace tailrace::sources {
namespace {

bool read_value(JsonScanner& scanner, JsonMember& member) {
  scanner.peek();
  const char* begin = scanner.position();
  if (!scanner.value(member.value)) return false;
  member.raw = {begin, static_cast<std::size_t>(scanner.position() - begin)};
  member.flaw = scanner.take_flaw();
  return true;
}

bool read_members(JsonScanner& scanner, std::vector<JsonMember>& members) {
  JsonSlice whole;
  return scanner.members(whole, [&](const JsonSlice& key) {
    JsonMember& member = members.emplace_back();
    append_unescaped(member.name, key.text);
    const JsonFlaw of_name = scanner.take_flaw();
    if (!read_value(scanner, member)) return false;
    if (of_name != JsonFlaw::none) member.flaw = of_name;
    return true;
  });
}

}  // namespace

std::string_view words_of(JsonFlaw flaw) {
  switch (flaw) {
    case JsonFlaw::none:
      break;
    case JsonFlaw::number_too_large:
      return "a number is larger than a double can hold; send it as text";
    case JsonFlaw::half_surrogate:
      return "a text has half of a surrogate pair (\\ud800 to \\udfff); send whole characters";
    case JsonFlaw::too_deep:
      return "it is nested too deep; send it flatter";
  }
  return "";
}

std::string JsonMember::text() const {
  if (value.type == JsonType::number) return std::string(value.text);
  std::string out;
  if (value.type == JsonType::string) append_unescaped(out, value.text);
  return out;
}

Result<JsonObject> JsonObject::parse(std::string_view text, Flaws flaws) {
  if (!simdjson::validate_utf8(text)) return invalid("not valid JSON: it must be UTF-8 text");
  JsonScanner scanner(text);
  if (scanner.peek() != '{') return invalid("the body must be a JSON object");
  JsonObject object;
  if (!read_members(scanner, object.members_)) return invalid(scanner.error());
  if (!scanner.at_end()) {
    scanner.expected("the end");
    return invalid(scanner.error());
  }
  for (const JsonMember& member : object.members_) {
    if (member.flaw != JsonFlaw::none && flaws == Flaws::refused)
      return invalid(std::string(words_of(member.flaw)));
  }
  return object;
}

JsonObject JsonObject::of(const JsonMember& member) {
  JsonObject object;
  if (!member.is(JsonType::object)) return object;
  // It was scanned with what it is part of.
  JsonScanner scanner(member.raw);
  read_members(scanner, object.members_);
  return object;
}

const JsonMember& JsonObject::operator[](std::string_view name) const& {
  static const JsonMember kMissing;
  for (auto member = members_.rbegin(); member != members_.rend(); ++member) {
    if (member->name == name) return *member;
  }
  return kMissing;
}

std::vector<JsonMember> elements_of(const JsonMember& list) {
  std::vector<JsonMember> elements;
  if (!list.is(JsonType::list)) return elements;
  JsonScanner scanner(list.raw);
  JsonSlice whole;
  scanner.elements(whole, [&] { return read_value(scanner, elements.emplace_back()); });
  return elements;
}

void JsonText::name(std::string_view name) {
  if (!empty()) out_ += ',';
  append_json_string(out_, name);
  out_ += ':';
}

JsonText& JsonText::text(std::string_view key, std::string_view value) {
  if (value.empty()) return *this;
  name(key);
  append_json_string(out_, value);
  return *this;
}

JsonText& JsonText::raw(std::string_view key, std::string_view json) {
  if (json.empty()) return *this;
  name(key);
  out_ += json;
  return *this;
}

JsonText& JsonText::value(std::string_view key, const JsonMember& member) {
  return member.present() ? raw(key, minified(member)) : *this;
}

std::string JsonText::take() {
  out_ += '}';
  return std::exchange(out_, "{");
}

std::string minified(const JsonMember& member) {
  if (!member.value.spaced) return std::string(member.raw);
  std::string out;
  JsonSlice slice = member.value;
  slice.text = member.raw;
  append_minified(out, slice);
  return out;
}

}  // namespace tailrace::sources
