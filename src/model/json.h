// JSON text to Value and back. Numbers keep their decimals; the whole text is validated (UTF-8, grammar,
// nothing after it).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/value.h"

namespace tailrace {

constexpr int kJsonDepthMax = 64;

// Errors: invalid_argument, with the reason and the byte offset where it is known.
Result<Value> parse_json(std::string_view text);

// Reads those members of an object, at its top level, that one of two lists of names asks for; what `out`
// held goes, but its memory is used again. For texts that were validated when they came in, a fraction of the
// work of parse_json. False: not an object, or not valid.
bool read_members(std::string_view text, std::span<const std::string> wanted,
                  std::span<const std::string> wanted_too, Value& out);

// Compact JSON, members in their order. Control characters and quotes are escaped; other UTF-8 is kept.
std::string to_json(const Value& value);
void append_json(std::string& out, const Value& value);
void append_json_string(std::string& out, std::string_view text);  // with the quotes

}  // namespace tailrace
