#include "model/json_scanner.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>
#include <simdjson.h>

#include "base/number.h"
#include "model/json.h"

namespace tailrace {
namespace {

constexpr std::uint64_t repeat(unsigned char byte) { return 0x0101010101010101ull * byte; }

// The high bit of each byte of the result is set where the byte of word ends a run of plain string
// characters: a quote, a backslash or a control character. Bytes above a set one may be set falsely (a
// borrow), never missed; only the lowest is used.
constexpr std::uint64_t ends_run(std::uint64_t word) {
  const std::uint64_t quote = word ^ repeat('"');
  const std::uint64_t backslash = word ^ repeat('\\');
  return (((quote - repeat(1)) & ~quote) | ((backslash - repeat(1)) & ~backslash) |
          ((word - repeat(0x20)) & ~word)) &
         repeat(0x80);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool is_high_surrogate(unsigned unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_low_surrogate(unsigned unit) { return unit >= 0xdc00 && unit < 0xe000; }

// at: four hexadecimal digits, known to be there.
unsigned unit_at(const char* at) {
  unsigned unit = 0;
  for (int i = 0; i < 4; ++i) unit = unit * 16 + static_cast<unsigned>(hex_value(at[i]));
  return unit;
}

void append_utf8(std::string& out, unsigned code) {
  const auto byte = [&](unsigned value) { out += static_cast<char>(value); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | (code >> 6));
    byte(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    byte(0xe0 | (code >> 12));
    byte(0x80 | ((code >> 6) & 0x3f));
    byte(0x80 | (code & 0x3f));
  } else {
    byte(0xf0 | (code >> 18));
    byte(0x80 | ((code >> 12) & 0x3f));
    byte(0x80 | ((code >> 6) & 0x3f));
    byte(0x80 | (code & 0x3f));
  }
}

}  // namespace

const char* JsonScanner::run_end(const char* at, const char* end) {
  static_assert(std::endian::native == std::endian::little);
#ifdef __SSE2__
  for (; end - at >= kBlockBytes; at += kBlockBytes) {
    if (const unsigned ends = block_ends(at); ends != 0) return at + std::countr_zero(ends);
  }
#endif
  for (; end - at >= 8; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    if (const std::uint64_t ends = ends_run(word); ends != 0) return at + std::countr_zero(ends) / 8;
  }
  while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
  return at;
}

bool JsonScanner::value(JsonSlice& out, int depth) {
  if (depth > kNestingMax) return expected("less nesting: at most 1024 levels");
  if (depth > kJsonDepthMax) found(JsonFlaw::too_deep);
  const auto nested = [this, depth] {
    JsonSlice inner;
    return value(inner, depth + 1);
  };
  switch (peek()) {
    case '{':
      return members(out, [&](const JsonSlice&) { return nested(); });
    case '[':
      return elements(out, nested);
    case '"':
      return string(out);
    case 't':
      return word("true", JsonType::boolean, out);
    case 'f':
      return word("false", JsonType::boolean, out);
    case 'n':
      return word("null", JsonType::null, out);
    default:
      return number(out);
  }
}

void JsonScanner::skip_spaces() {
  const char* from = at_;
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  spaces_ += static_cast<std::size_t>(at_ - from);
}

bool JsonScanner::any_string(JsonSlice& out) {
  const char* first = ++at_;
  bool escaped = false;
  for (;;) {
    at_ = run_end(at_, end_);
    if (at_ == end_) return expected("the closing quote of a string");
    if (*at_ == '"') break;
    if (*at_ != '\\') return expected("control characters in strings to be escaped");
    escaped = true;
    if (!escape()) return false;
  }
  out = {JsonType::string, escaped, false, {first, static_cast<std::size_t>(at_ - first)}};
  ++at_;
  return true;
}

bool JsonScanner::escape() {
  ++at_;
  if (at_ == end_ || std::string_view("\"\\/bfnrtu").find(*at_) == std::string_view::npos) {
    return expected("one of \"\\/bfnrtu after a backslash");
  }
  if (*at_++ != 'u') return true;
  unsigned unit = 0;
  if (!hex4(unit)) return false;
  if (is_low_surrogate(unit)) found(JsonFlaw::half_surrogate);
  if (!is_high_surrogate(unit)) return true;
  if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') {
    found(JsonFlaw::half_surrogate);
    return true;
  }
  const char* second = at_;
  at_ += 2;
  if (!hex4(unit)) return false;
  if (!is_low_surrogate(unit)) {
    found(JsonFlaw::half_surrogate);
    at_ = second;  // it is a character of its own, perhaps the first half of a pair
  }
  return true;
}

bool JsonScanner::hex4(unsigned& unit) {
  for (int i = 0; i < 4; ++i) {
    if (end_ - at_ <= i || hex_value(at_[i]) < 0) return expected("four hexadecimal digits after \\u");
  }
  unit = unit_at(at_);
  at_ += 4;
  return true;
}

bool JsonScanner::number(JsonSlice& out) {
  const char* first = at_;
  const auto digits = [this] {
    const char* from = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return at_ != from;
  };
  if (at_ != end_ && *at_ == '-') ++at_;
  if (at_ != end_ && *at_ == '0') {
    ++at_;
  } else if (!digits()) {
    return expected("a value");
  }
  if (at_ != end_ && *at_ == '.') {
    ++at_;
    if (!digits()) return expected("digits after the decimal point");
  }
  bool exponent = false;
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    exponent = true;
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (!digits()) return expected("digits in the exponent");
  }
  out = {JsonType::number, false, false, {first, static_cast<std::size_t>(at_ - first)}};
  // Fewer digits without an exponent always fit a double.
  if ((exponent || out.text.size() > 300) && !Number::parse(out.text)) found(JsonFlaw::number_too_large);
  return true;
}

bool JsonScanner::word(std::string_view expected_word, JsonType type, JsonSlice& out) {
  const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
  if (!rest.starts_with(expected_word)) return expected("a value");
  out = {type, false, false, rest.substr(0, expected_word.size())};
  at_ += expected_word.size();
  return true;
}

std::string JsonScanner::error() const {
  return fmt::format("not valid JSON: expected {} at byte {}", expected_, at_ - begin_);
}

void append_unescaped(std::string& out, std::string_view escaped) {
  static constexpr std::string_view kLetters = "bfnrt", kMeanings = "\b\f\n\r\t";
  std::size_t at = 0;
  while (at < escaped.size()) {
    const std::size_t backslash = std::min(escaped.find('\\', at), escaped.size());
    out.append(escaped, at, backslash - at);
    if (backslash == escaped.size()) return;
    const char letter = escaped[backslash + 1];
    at = backslash + 2;
    if (letter != 'u') {
      const std::size_t known = kLetters.find(letter);
      out += known == std::string_view::npos ? letter : kMeanings[known];
      continue;
    }
    unsigned code = unit_at(escaped.data() + at);
    at += 4;
    if (is_high_surrogate(code) && escaped.substr(at, 2) == "\\u" &&
        is_low_surrogate(unit_at(escaped.data() + at + 2))) {
      code = 0x10000 + ((code - 0xd800) << 10) + (unit_at(escaped.data() + at + 2) - 0xdc00);
      at += 6;
    } else if (is_high_surrogate(code) || is_low_surrogate(code)) {
      code = 0xfffd;
    }
    append_utf8(out, code);
  }
}

void append_minified(std::string& out, const JsonSlice& slice) {
  if (!slice.spaced) {
    out += slice.text;
    return;
  }
  const std::size_t before = out.size();
  std::size_t written = 0;
  out.resize(before + slice.text.size());
  // The slice is valid JSON, which is all simdjson's minifier can fail on.
  if (simdjson::minify(slice.text.data(), slice.text.size(), out.data() + before, written) !=
      simdjson::SUCCESS) {
    written = 0;
  }
  out.resize(before + written);
}

}  // namespace tailrace
