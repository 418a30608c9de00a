// Hashes: XXH3 for tables and checksums (not against an adversary), SHA-256 for identifiers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tailrace {

std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);

using Sha256 = std::array<unsigned char, 32>;
Sha256 sha256(std::string_view bytes);
// The same of bytes that come in pieces. The hex is asked for once, at the end.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  void add(std::string_view bytes);
  std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};
Sha256 hmac_sha256(std::string_view key, std::string_view bytes);
using Sha1 = std::array<unsigned char, 20>;
Sha1 hmac_sha1(std::string_view key, std::string_view bytes);  // for OAuth 1.0a alone, which asks for it
std::string to_hex(std::string_view bytes);                    // lower case
inline std::string sha256_hex(std::string_view bytes) {
  const Sha256 digest = sha256(bytes);
  return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}
std::string to_base64(std::string_view bytes);
// Missing when the text is not base64 (with padding).
bool from_base64(std::string_view text, std::string& bytes);

}  // namespace tailrace
