// Small text work that the destinations share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/value.h"

namespace tailrace::destinations {

// Every byte but A-Z a-z 0-9 - . _ ~ as %XX: for a path segment, a query or a form.
std::string percent_encoded(std::string_view text);
// The same of everything but slashes: for a path.
std::string encoded_path(std::string_view path);

// The parts between runs of ASCII blanks.
std::vector<std::string_view> split_at_blanks(std::string_view text);

// The text without trailing slashes, so that a path can be appended.
std::string_view without_trailing_slash(std::string_view url);

// A Google account id is often written 123-456-7890, a Meta one act_123.
std::string without_dashes(std::string_view text);

// The character at the byte offset `at`, which moves past it; negative where the bytes are not UTF-8.
std::int32_t next_character(std::string_view text, std::size_t& at);
// The character that ends before `at`, which moves to its beginning; negative where the bytes are not UTF-8.
std::int32_t previous_character(std::string_view text, std::size_t& at);

// How many there are; bytes that are not UTF-8 count in some way.
std::size_t characters_in(std::string_view text);

// A string as it is, a number as it is written; "" of anything else.
std::string text_of(const Value& value);

// Whether the text is valid UTF-8 without control characters (JSON needs the first, log lines the second).
bool is_plain_text(std::string_view text);

}  // namespace tailrace::destinations
