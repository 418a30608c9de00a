#include "destinations/text.h"

#include <algorithm>

#include <unicode/uchar.h>
#include <unicode/utf8.h>

namespace tailrace::destinations {
namespace {

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

std::string percent_encoded(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string encoded_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    out += percent_encoded(path.substr(0, slash));
    if (slash < path.size()) out += '/';
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return out;
}

std::vector<std::string_view> split_at_blanks(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t at = 0;
  while (at < text.size()) {
    if (is_blank(text[at])) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < text.size() && !is_blank(text[at])) ++at;
    parts.push_back(text.substr(begin, at - begin));
  }
  return parts;
}

std::string_view without_trailing_slash(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  return url;
}

std::string without_dashes(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != '-') out += c;
  }
  return out;
}

// ICU's macros convert between signed and unsigned bytes.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
std::int32_t next_character(std::string_view text, std::size_t& at) {
  std::int32_t code = 0;
  U8_NEXT(text.data(), at, text.size(), code);
  return code;
}

std::int32_t previous_character(std::string_view text, std::size_t& at) {
  std::int32_t code = 0;
  auto offset = static_cast<std::int32_t>(at);
  U8_PREV(text.data(), 0, offset, code);
  at = static_cast<std::size_t>(offset);
  return code;
}
#pragma GCC diagnostic pop

std::size_t characters_in(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string text_of(const Value& value) {
  if (value.kind == Value::Kind::string) return value.string;
  if (value.kind == Value::Kind::number) return value.number.to_string();
  return "";
}

bool is_plain_text(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::int32_t code = next_character(text, at);
    if (code < 0 || u_charType(code) == U_CONTROL_CHAR) return false;
  }
  return true;
}

}  // namespace tailrace::destinations
