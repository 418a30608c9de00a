// One strict pass over JSON text that hands out slices of it and builds nothing: what a message is made of
// stays where it came in until it is encoded.
//
// Why not simdjson's on-demand parser: it does not check what it skips, and one number beyond a double or one
// half surrogate pair, both of which real clients send, makes it (and its DOM) fail the whole text, where we
// refuse one message of a batch. The grammar here is RFC 8259; the test compares it with simdjson's DOM.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/result.h"

namespace tailrace {

enum class JsonType : std::uint8_t { missing, null, boolean, number, string, list, object };

// A value as it stands in the text. A string without its quotes, still escaped.
struct JsonSlice {
  JsonType type = JsonType::missing;
  bool escaped = false;  // a string with a backslash
  bool spaced = false;   // a list or object with white space between its tokens
  std::string_view text;
};

// What is JSON by its grammar but can't be kept: a reader of the stored text would fail on it.
enum class JsonFlaw : std::uint8_t { none, number_too_large, half_surrogate, too_deep };

class JsonScanner {
 public:
  // Deeper than kJsonDepthMax (model/json.h) is a flaw; deeper than this is an error.
  static constexpr int kNestingMax = 1024;

  // text must be valid UTF-8.
  explicit JsonScanner(std::string_view text)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  // Reads one value and the white space before it. False: an error, see error(); then the scanner is spent.
  bool value(JsonSlice& out, int depth = 0);

  // Reads an object, member by member: on_member(JsonSlice key) must read the value that follows with one of
  // these functions and return its success.
  template <class OnMember>
  bool members(JsonSlice& out, OnMember&& on_member) {
    const char* first = nullptr;
    const std::size_t spaces = open('{', first);
    if (first == nullptr) return false;
    if (!take('}')) {
      do {
        JsonSlice key;
        if (!member_key(key) || !on_member(key)) return false;
      } while (take(','));
      if (!take('}')) return expected("`,` or `}`");
    }
    out = {JsonType::object, false, spaces_ != spaces, {first, static_cast<std::size_t>(at_ - first)}};
    return true;
  }

  // Reads a list likewise; on_element() must read one value.
  template <class OnElement>
  bool elements(JsonSlice& out, OnElement&& on_element) {
    const char* first = nullptr;
    const std::size_t spaces = open('[', first);
    if (first == nullptr) return false;
    if (!take(']')) {
      do {
        if (!on_element()) return false;
      } while (take(','));
      if (!take(']')) return expected("`,` or `]`");
    }
    out = {JsonType::list, false, spaces_ != spaces, {first, static_cast<std::size_t>(at_ - first)}};
    return true;
  }

  // The next character that is not white space; 0 at the end.
  char peek() {
    skip_space();
    return at_ == end_ ? '\0' : *at_;
  }
  bool at_end() { return skip_space(), at_ == end_; }
  const char* position() const { return at_; }

  // The first flaw since the last call.
  JsonFlaw take_flaw() {
    const JsonFlaw flaw = flaw_;
    flaw_ = JsonFlaw::none;
    return flaw;
  }
  std::string error() const;
  bool expected(const char* what) {
    if (expected_ == nullptr) expected_ = what;
    return false;
  }

 private:
  [[gnu::always_inline]] void skip_space() {
    if (at_ == end_ || static_cast<unsigned char>(*at_) > ' ') return;
    skip_spaces();
  }
  void skip_spaces();
  [[gnu::always_inline]] bool take(char c) {
    skip_space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  // Skips to an opening bracket; returns the count of spaces before what it opens.
  std::size_t open(char bracket, const char*& first) {
    if (!take(bracket)) {
      expected(bracket == '{' ? "an object" : "a list");
      return 0;
    }
    first = at_ - 1;
    return spaces_;
  }
  bool member_key(JsonSlice& key) {
    if (peek() != '"') return expected("a member's name in quotes");
    if (!string(key)) return false;
    return take(':') || expected("`:`");
  }
  // at_: its opening quote. Strings without escapes, which most are, are read here.
  bool string(JsonSlice& out) {
#ifdef __SSE2__
    const char* const first = at_ + 1;
    for (const char* block = first; end_ - block >= kBlockBytes; block += kBlockBytes) {
      const unsigned ends = block_ends(block);
      if (ends == 0) continue;
      const char* const last = block + std::countr_zero(ends);
      if (*last != '"') break;
      out = {JsonType::string, false, false, {first, static_cast<std::size_t>(last - first)}};
      at_ = last + 1;
      return true;
    }
#endif
    return any_string(out);
  }
  bool any_string(JsonSlice& out);
#ifdef __SSE2__
  static constexpr std::ptrdiff_t kBlockBytes = 16;
  // A bit for each of the 16 bytes at `at` that ends a run of plain string characters: a quote, a backslash
  // or a control character.
  static unsigned block_ends(const char* at) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i quotes = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    const __m128i backslashes = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    const __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    return static_cast<unsigned>(
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls)));
  }
#endif
  static const char* run_end(const char* at, const char* end);
  bool escape();
  bool hex4(unsigned& unit);
  bool number(JsonSlice& out);
  bool word(std::string_view expected_word, JsonType type, JsonSlice& out);
  void found(JsonFlaw flaw) {
    if (flaw_ == JsonFlaw::none) flaw_ = flaw;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  std::size_t spaces_ = 0;  // white space skipped so far
  JsonFlaw flaw_ = JsonFlaw::none;
  const char* expected_ = nullptr;
};

// Appends what a string slice stands for; half of a surrogate pair becomes U+FFFD.
void append_unescaped(std::string& out, std::string_view escaped);

// Appends an object or list without the white space between its tokens.
void append_minified(std::string& out, const JsonSlice& slice);

}  // namespace tailrace
