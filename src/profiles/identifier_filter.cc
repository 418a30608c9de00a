#include "profiles/identifier_filter.h"

#include <algorithm>

namespace tailrace::profiles {
namespace {

// What senders write where they have nothing, in lower case.
constexpr std::array<std::string_view, 12> kPlaceholders{
    "null", "undefined", "none",  "nil",       "nan",       "unknown",
    "-1",   "n/a",       "guest", "(not set)", "anonymous", "[object object]"};
constexpr std::size_t kPlaceholderMax = 15;
constexpr std::size_t kZerosMin = 6;  // fewer may be somebody's number

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_placeholder(std::string_view value) {
  // An advertising id that the device keeps to itself, and its like.
  if (value.size() >= kZerosMin && value.find_first_not_of("0-") == std::string_view::npos) return true;
  if (value.size() > kPlaceholderMax) return false;
  return std::ranges::any_of(kPlaceholders, [&](std::string_view placeholder) {
    return std::ranges::equal(placeholder, value, {}, {}, lower);
  });
}

}  // namespace

std::string_view compared_form(IdentifierKind kind, std::string_view value, std::string& buffer) {
  if (kind == IdentifierKind::email) {
    buffer = value;
    std::ranges::transform(buffer, buffer.begin(), lower);
    return buffer;
  }
  if (kind == IdentifierKind::phone) {
    buffer = value;
    std::erase_if(buffer, [](char c) { return std::string_view(" -().").find(c) != std::string_view::npos; });
    return buffer.empty() ? value : std::string_view(buffer);
  }
  return value;
}

bool is_same(IdentifierKind kind, std::string_view a, std::string_view b) {
  if (a == b) return true;
  std::string a_form, b_form;
  return compared_form(kind, a, a_form) == compared_form(kind, b, b_form);
}

bool matches(std::string_view pattern, std::string_view text) {
  // At a mismatch the latest star takes one character more.
  std::size_t star = std::string_view::npos, resume = 0, at = 0, i = 0;
  while (i < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      resume = i;
    } else if (at < pattern.size() && pattern[at] == text[i]) {
      ++at;
      ++i;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      i = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

IdentifierFilter::IdentifierFilter(const IdentityRules& rules) : placeholders_(rules.blocks_placeholders) {
  for (std::size_t i = 0; i < kinds_.size(); ++i) {
    for (const std::string& written : rules.kinds[i].blocked) {
      std::string buffer;
      std::string form(compared_form(static_cast<IdentifierKind>(i), written, buffer));
      const bool is_pattern = form.find('*') != std::string::npos;
      (is_pattern ? kinds_[i].patterns : kinds_[i].values).push_back(std::move(form));
    }
    std::ranges::sort(kinds_[i].values);
  }
}

bool IdentifierFilter::blocks(IdentifierKind kind, std::string_view value) const {
  if (placeholders_ && is_placeholder(value)) return true;
  const OfKind& of_kind = kinds_[static_cast<std::size_t>(kind)];
  if (of_kind.values.empty() && of_kind.patterns.empty()) return false;
  std::string buffer;
  const std::string_view form = compared_form(kind, value, buffer);
  return std::ranges::binary_search(of_kind.values, form) ||
         std::ranges::any_of(of_kind.patterns,
                             [&](const std::string& pattern) { return matches(pattern, form); });
}

}  // namespace tailrace::profiles
