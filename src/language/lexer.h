// Text to tokens. Comments and blanks are dropped; columns count code points.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/number.h"
#include "base/time.h"
#include "language/language.h"

namespace tailrace::language {

struct Token {
  enum class Kind : unsigned char {
    word,      // performed, ltv
    name,      // `plan type`
    string,    // "Order Placed"
    number,    // 12.5
    duration,  // 30m
    symbol,    // ( ) , . % = != < <= > >= + - * /
    end,
  };
  Kind kind = Kind::end;
  std::string text;   // a word as written; a string or name without quotes and escapes; a symbol
  std::string lower;  // of a word: what keywords are matched against
  Number number;
  Millis duration;
  Span span;
  std::size_t first_point = 0;  // the token's place in the text, in code points
};

// The tokens, with one of Kind::end last; or the first problem.
std::expected<std::vector<Token>, Problem> tokenize(std::string_view text);

}  // namespace tailrace::language
