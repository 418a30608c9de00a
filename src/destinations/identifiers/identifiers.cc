#include "destinations/identifiers/identifiers.h"

#include "base/hash.h"
#include "destinations/text.h"

namespace tailrace::destinations {
namespace {

constexpr std::size_t kOpaqueBytesMax = 1024;
constexpr std::size_t kSha256HexBytes = 64;

}  // namespace

Result<std::string> normalise_opaque(std::string_view raw) {
  const std::string_view text = trimmed(raw);
  if (text.empty()) return invalid(std::string(kEmpty));
  if (text.size() > kOpaqueBytesMax) return invalid(std::string(kTooLong));
  if (!is_plain_text(text)) return invalid(std::string(kNotUtf8));
  return std::string(text);
}

bool is_sha256_hex(std::string_view text) {
  return text.size() == kSha256HexBytes &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

Normalised hashed_identifier(IdentifierKind kind, std::string text) {
  Normalised result;
  result.upload = {.kind = kind, .value = sha256_hex(text)};
  result.text = std::move(text);
  return result;
}

Normalised already_hashed(IdentifierKind kind, std::string_view hash) {
  std::string lowered(hash);
  for (char& c : lowered) c = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  return {.text = lowered, .upload = {.kind = kind, .value = lowered}};
}

Normalised plain_identifier(IdentifierKind kind, std::string text) {
  return {.text = text, .upload = {.kind = kind, .value = text, .hashed = false}};
}

}  // namespace tailrace::destinations
