#include <array>
#include <cstdint>

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>

#include "destinations/identifiers/identifiers.h"
#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

// RFC 5321: 64 bytes before the @, 254 in all, 63 in a label of the domain.
constexpr std::size_t kEmailBytesMax = 254;
constexpr std::size_t kLocalBytesMax = 64;
constexpr std::size_t kLabelCharactersMax = 63;

constexpr bool is_ascii_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_unicode_blank(std::int32_t code) { return code >= 0 && u_isUWhiteSpace(code); }

// What may stand before the @ (RFC 5322's atoms, and dots anywhere: some mailbox providers give out such
// addresses), and in a label of the domain. Bytes beyond ASCII have been judged as characters before.
struct ByteClasses {
  std::array<bool, 256> local{};
  std::array<bool, 256> label{};
  constexpr ByteClasses() {
    for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyz0123456789")) {
      local[static_cast<unsigned char>(c)] = true;
      label[static_cast<unsigned char>(c)] = true;
    }
    for (const char c : std::string_view("!#$%&'*+-/=?^_`{|}~.")) local[static_cast<unsigned char>(c)] = true;
    label['-'] = true;
    for (std::size_t byte = 0x80; byte < 256; ++byte) {
      local[byte] = true;
      label[byte] = true;
    }
  }
};
constexpr ByteClasses kBytes;

std::unexpected<Error> refuse(std::string_view reason) { return invalid(std::string(reason)); }

enum class Script : unsigned char { ascii, unicode, with_blanks, broken };

Script scan_unicode(std::string_view text) {
  bool blanks = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::int32_t code = next_character(text, at);
    if (code < 0) return Script::broken;
    const auto type = u_charType(code);
    blanks = blanks || u_isUWhiteSpace(code) || type == U_CONTROL_CHAR || type == U_FORMAT_CHAR;
  }
  return blanks ? Script::with_blanks : Script::unicode;
}

// One pass over what nearly all addresses are; anything beyond ASCII goes the longer way.
Script lower_ascii(std::string_view text, std::string& lowered) {
  lowered.resize(text.size());
  unsigned char all = 0;
  bool blanks = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    all |= static_cast<unsigned char>(c);
    blanks |= (c >= 0 && c <= ' ') || c == 0x7f;
    lowered[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  if (all >= 0x80) return scan_unicode(text);
  return blanks ? Script::with_blanks : Script::ascii;
}

bool lower_unicode(std::string_view text, std::string& lowered) {
  UErrorCode status = U_ZERO_ERROR;
  lowered.clear();
  icu::StringByteSink<std::string> sink(&lowered);
  icu::CaseMap::utf8ToLower("", 0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())),
                            sink, nullptr, status);
  return U_SUCCESS(status);
}

bool is_local_part(std::string_view local) {
  if (local.empty() || local.size() > kLocalBytesMax) return false;
  for (const char c : local) {
    if (!kBytes.local[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

bool is_label(std::string_view label) {
  if (label.empty() || label.front() == '-' || label.back() == '-') return false;
  std::size_t characters = 0;
  for (const char c : label) {
    const auto byte = static_cast<unsigned char>(c);
    if (!kBytes.label[byte]) return false;
    characters += (byte & 0xc0) != 0x80;  // bytes that continue a character do not count
  }
  return characters <= kLabelCharactersMax;
}

bool is_all_digits(std::string_view text) {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_domain(std::string_view domain) {
  std::string_view rest = domain;
  std::size_t labels = 0;
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (!is_label(label)) return false;
    ++labels;
    // A last label of digits alone is an IP address, never a top-level domain.
    if (dot == std::string_view::npos) return labels >= 2 && !is_all_digits(label);
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_ascii_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_ascii_blank(text.back())) text.remove_suffix(1);
  const bool ascii_ends = text.empty() || (static_cast<unsigned char>(text.front()) < 0x80 &&
                                           static_cast<unsigned char>(text.back()) < 0x80);
  if (ascii_ends) return text;

  std::size_t begin = 0;
  for (std::size_t next = 0; next < text.size(); begin = next) {
    if (!is_unicode_blank(next_character(text, next))) break;
  }
  std::size_t end = text.size();
  for (std::size_t previous = end; previous > begin; end = previous) {
    if (!is_unicode_blank(previous_character(text, previous))) break;
  }
  return text.substr(begin, end - begin);
}

Result<std::string> normalise_email(std::string_view raw, GmailDots dots) {
  // Blanks around an address do not count, but a megabyte of them is no address either.
  if (raw.size() > kEmailBytesMax * 4) return refuse(kTooLong);
  const std::string_view text = trimmed(raw);
  if (text.empty()) return refuse(kEmpty);
  if (text.size() > kEmailBytesMax) return refuse(kTooLong);

  std::string lowered;
  const Script script = lower_ascii(text, lowered);
  if (script == Script::broken) return refuse(kNotUtf8);
  if (script == Script::with_blanks) return refuse(kEmailBlank);
  if (script == Script::unicode && !lower_unicode(text, lowered)) return refuse(kNotUtf8);

  const std::size_t at = lowered.find('@');
  if (at == std::string::npos || lowered.find('@', at + 1) != std::string::npos) return refuse(kEmailOneAt);
  if (!is_local_part(std::string_view(lowered).substr(0, at))) return refuse(kEmailLocal);
  const std::string_view domain = std::string_view(lowered).substr(at + 1);
  if (!is_domain(domain)) return refuse(kEmailDomain);

  if (dots == GmailDots::remove && (domain == "gmail.com" || domain == "googlemail.com")) {
    std::string local = lowered.substr(0, at);
    std::erase(local, '.');
    if (local.empty()) return refuse(kEmailLocal);
    lowered.replace(0, at, local);
  }
  return lowered;
}

}  // namespace tailrace::destinations
