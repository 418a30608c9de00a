#include "language/lexer.h"

#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "language/words.h"

namespace tailrace::language {
namespace {

struct Mistake {
  std::string_view written;
  std::string_view mend;
};
// What people bring along from other languages and from word processors.
constexpr std::array<Mistake, 10> kMistakes{{
    {"==", "write `=`"},
    {"<>", "write `!=`"},
    {"&&", "write `and`"},
    {"||", "write `or`"},
    {"!", "write `not`"},
    {"'", "write text in double quotes: \"Order Placed\""},
    {"\u201c", "write text in straight double quotes: \"Order Placed\""},
    {"\u201d", "write text in straight double quotes: \"Order Placed\""},
    {"\u00a0", "this is a no-break space; write an ordinary one"},
    {"//", "a comment begins with `#`"},
}};
constexpr std::array<std::string_view, 15> kSymbols{"!=", "<=", ">=", "(", ")", ",", ".", "%",
                                                    "=",  "<",  ">",  "+", "-", "*", "/"};

// The length of the well-formed UTF-8 sequence at the start of the text; 0: there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[i])); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f)) return 0;
  if ((lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f)) return 0;
  return length;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::expected<std::vector<Token>, Problem> run() {
    if (text_.size() > kTextBytesMax)
      fail(fmt::format("the expression is longer than {} bytes", kTextBytesMax), "split it with definitions");
    while (!problem_) {
      skip_blanks();
      if (problem_) break;
      begin_token();
      if (at_ == text_.size()) {
        token_.span.length = 1;
        tokens_.push_back(token_);
        return std::move(tokens_);
      }
      scan();
    }
    return std::unexpected(*std::move(problem_));
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool starts_with(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  // One code point on.
  void step() {
    const std::size_t length = utf8_length(text_.substr(at_));
    if (length == 0) {
      begin_token();
      fail("this byte is not valid UTF-8", "save the text as UTF-8");
      return;
    }
    if (text_[at_] == '\n') {
      ++line_;
      column_ = 0;
    }
    at_ += length;
    ++column_;
    ++point_;
  }
  void step(std::size_t bytes) {
    for (const std::size_t end = at_ + bytes; at_ < end && !problem_;) step();
  }

  void skip_blanks() {
    while (at_ < text_.size() && !problem_) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n' && !problem_) step();
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        step();
      } else {
        return;
      }
    }
  }

  void begin_token() {
    token_ = Token{};
    token_.span = {line_, column_, 1};
    token_.first_point = point_;
  }
  void push(Token::Kind kind) {
    if (problem_) return;
    token_.kind = kind;
    token_.span.length = static_cast<std::uint32_t>(point_ - token_.first_point);
    tokens_.push_back(token_);
  }
  void fail(std::string message, std::string mend) {
    if (problem_) return;
    Span span = token_.span;
    if (point_ > token_.first_point) span.length = static_cast<std::uint32_t>(point_ - token_.first_point);
    problem_ = Problem{Problem::Severity::error, span, std::move(message), std::move(mend)};
  }

  void scan() {
    if (mistake()) return;
    const char c = peek();
    if (c == '"') return scan_quoted(Token::Kind::string, '"');
    if (c == '`') return scan_quoted(Token::Kind::name, '`');
    if (is_digit(c)) return scan_number();
    if (is_word_start(c)) return scan_word();
    for (const std::string_view symbol : kSymbols) {
      if (!starts_with(symbol)) continue;
      step(symbol.size());
      token_.text = symbol;
      return push(Token::Kind::symbol);
    }
    const std::string shown = static_cast<unsigned char>(c) < 0x20 || c == 0x7f
                                  ? fmt::format("the control character U+{:04X}", static_cast<unsigned>(c))
                                  : fmt::format("`{}`", c);
    fail(shown + " means nothing here", c == ';' ? "one expression needs no end mark; leave it out" : "");
  }

  bool mistake() {
    if (starts_with("!=")) return false;
    for (const Mistake& mistake : kMistakes) {
      if (!starts_with(mistake.written)) continue;
      step(mistake.written.size());
      fail(fmt::format("`{}` means nothing here", mistake.written), std::string(mistake.mend));
      return true;
    }
    return false;
  }

  void scan_word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word_part(text_[at_]) && !problem_) step();
    token_.text = text_.substr(begin, at_ - begin);
    token_.lower = to_lower(token_.text);
    push(Token::Kind::word);
  }

  void scan_number() {
    const std::size_t begin = at_;
    while (is_digit(peek())) step();
    if (peek() == '.' && is_digit(peek(1))) {
      step();
      while (is_digit(peek())) step();
    }
    if (const std::size_t exponent = exponent_length(); exponent > 0) step(exponent);
    const bool has_unit = is_word_start(peek());
    while (at_ < text_.size() && is_word_part(text_[at_]) && !problem_) step();
    if (problem_) return;
    const std::string_view written = text_.substr(begin, at_ - begin);
    if (has_unit) {
      const auto duration = parse_duration(written);
      if (!duration) return fail(duration.error().message, "");
      token_.duration = *duration;
      token_.text = written;
      return push(Token::Kind::duration);
    }
    auto number = Number::parse(written);
    if (!number) return fail(number.error().message, "");
    token_.number = *number;
    token_.text = written;
    push(Token::Kind::number);
  }
  std::size_t exponent_length() const {
    if (peek() != 'e' && peek() != 'E') return 0;
    std::size_t length = 1;
    if (peek(length) == '+' || peek(length) == '-') ++length;
    if (!is_digit(peek(length))) return 0;
    while (is_digit(peek(length))) ++length;
    return length;
  }

  void scan_quoted(Token::Kind kind, char quote) {
    step();
    while (true) {
      if (at_ == text_.size() || text_[at_] == '\n')
        return fail(kind == Token::Kind::string ? "this text is not closed" : "this name is not closed",
                    fmt::format("close it with {} on the same line", quote));
      if (text_[at_] == quote) break;
      if (text_[at_] == '\\') {
        if (!scan_escape(quote)) return;
        continue;
      }
      const std::size_t begin = at_;
      step();
      if (problem_) return;
      token_.text += text_.substr(begin, at_ - begin);
    }
    step();
    push(kind);
  }

  bool scan_escape(char quote) {
    step();
    const char c = peek();
    if (c == 'u') return scan_code_unit();
    if (c != quote && c != '\\' && c != 'n' && c != 't' && c != '"') {
      fail("after a backslash stands one of \" \\ n t u", "write \\\\ for a backslash");
      return false;
    }
    token_.text += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    step();
    return true;
  }
  // \u00XX, for the control characters no other escape names; everything else is written as itself.
  bool scan_code_unit() {
    const std::string_view digits = text_.substr(at_ + 1, 4);
    unsigned code = 0x80;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 4 || read.ptr != digits.data() + 4 || code >= 0x80) {
      fail("\\u takes four hexadecimal digits below 0080", "write other characters as themselves");
      return false;
    }
    token_.text += static_cast<char>(code);
    step(5);
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t point_ = 0;
  std::uint32_t line_ = 1;
  std::uint32_t column_ = 1;
  Token token_;
  std::vector<Token> tokens_;
  std::optional<Problem> problem_;
};

}  // namespace

std::expected<std::vector<Token>, Problem> tokenize(std::string_view text) { return Lexer(text).run(); }

}  // namespace tailrace::language
