#include "destinations/standard_webhooks/signature.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/text.h"

namespace tailrace::destinations::standard_webhooks {
namespace {

constexpr std::string_view kSecretPrefix = "whsec_";
constexpr std::size_t kKeyBytesMin = 24;
constexpr std::size_t kKeyBytesMax = 64;

std::string_view as_view(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string signatures(const std::vector<std::string>& signing_keys, std::string_view content) {
  std::string out;
  for (const std::string& key : signing_keys) {
    const Sha256 mac = hmac_sha256(key, content);
    out += fmt::format("{}v1,{}", out.empty() ? "" : " ", to_base64(as_view(mac)));
  }
  return out;
}

}  // namespace

Result<std::vector<std::string>> keys(std::string_view secrets) {
  std::vector<std::string> result;
  for (const std::string_view secret : split_at_blanks(secrets)) {
    std::string key;
    const bool readable =
        secret.starts_with(kSecretPrefix) && from_base64(secret.substr(kSecretPrefix.size()), key);
    if (!readable || key.size() < kKeyBytesMin || key.size() > kKeyBytesMax)
      return invalid("secret must be whsec_ and the base64 of 24 to 64 bytes; several are parted by blanks");
    result.push_back(std::move(key));
  }
  if (result.empty()) return invalid("secret is empty");
  return result;
}

std::string message_id(std::string_view about) {
  const Sha256 digest = sha256(about);
  return "msg_" + to_hex(as_view(digest).substr(0, 16));
}

HttpRequest signed_post(std::string url, std::string body, std::string id, std::string_view secrets,
                        Time now) {
  const std::string timestamp = fmt::format("{}", now.ms / kSecond.count);
  const auto signing_keys = keys(secrets);
  HttpRequest request;
  request.method = "POST";
  request.url = std::move(url);
  request.headers = {
      {"Content-Type", "application/json"},
      {"webhook-id", id},
      {"webhook-timestamp", timestamp},
      {"webhook-signature",
       signing_keys ? signatures(*signing_keys, fmt::format("{}.{}.{}", id, timestamp, body)) : ""}};
  request.body = std::move(body);
  return request;
}

}  // namespace tailrace::destinations::standard_webhooks
