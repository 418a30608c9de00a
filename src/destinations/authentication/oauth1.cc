#include "destinations/authentication/oauth1.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/text.h"

namespace tailrace::destinations::oauth1 {
namespace {

constexpr std::size_t kNonceLength = 32;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (escape) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

void append_query(Parameters& out, std::string_view query) {
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    if (one.empty()) continue;
    const std::size_t equals = std::min(one.find('='), one.size());
    out.emplace_back(percent_decoded(one.substr(0, equals)),
                     percent_decoded(one.substr(std::min(equals + 1, one.size()))));
  }
}

// Section 3.4.1.2: scheme and host in lower case, no port that goes without saying, no query.
std::string base_uri(std::string_view url) {
  const std::string_view whole = url.substr(0, url.find_first_of("?#"));
  const std::size_t scheme_end = whole.find("://");
  const std::size_t host = scheme_end == std::string_view::npos ? 0 : scheme_end + 3;
  const std::size_t path = std::min(whole.find('/', host), whole.size());
  std::string origin(whole.substr(0, path));
  std::transform(origin.begin(), origin.end(), origin.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (const auto& [scheme, port] : {std::pair{"https://", ":443"}, std::pair{"http://", ":80"}}) {
    if (origin.starts_with(scheme) && origin.ends_with(port)) origin.resize(origin.rfind(':'));
  }
  return origin + std::string(path == whole.size() ? "/" : whole.substr(path));
}

// Section 3.4.1.3.2: encoded, then sorted by name and value.
std::string normalised_parameters(const Parameters& parameters) {
  Parameters encoded;
  for (const auto& [name, value] : parameters)
    encoded.emplace_back(percent_encoded(name), percent_encoded(value));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) out += (out.empty() ? "" : "&") + name + "=" + value;
  return out;
}

}  // namespace

std::string signature(std::string_view method, std::string_view url, const Parameters& oauth,
                      std::string_view consumer_secret, std::string_view token_secret) {
  Parameters all = oauth;
  const std::size_t question = url.find('?');
  if (question != std::string_view::npos)
    append_query(all, url.substr(question + 1, url.find('#') - question - 1));
  const std::string base = fmt::format("{}&{}&{}", percent_encoded(method), percent_encoded(base_uri(url)),
                                       percent_encoded(normalised_parameters(all)));
  const std::string key = percent_encoded(consumer_secret) + "&" + percent_encoded(token_secret);
  const Sha1 digest = hmac_sha1(key, base);
  return to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

void sign(HttpRequest& request, const Config& config, Time now) {
  const auto secret = [&](std::string_view name) { return config.secret(std::string(name)); };
  const std::string nonce =
      sha256_hex(fmt::format("{}\n{}\n{}\n{}", now.ms, request.method, request.url, request.body))
          .substr(0, kNonceLength);
  Parameters oauth{{"oauth_consumer_key", secret(kConsumerKey)},
                   {"oauth_nonce", nonce},
                   {"oauth_signature_method", "HMAC-SHA1"},
                   {"oauth_timestamp", fmt::format("{}", now.ms / kSecond.count)},
                   {"oauth_token", secret(kAccessToken)},
                   {"oauth_version", "1.0"}};
  oauth.emplace_back("oauth_signature", signature(request.method, request.url, oauth, secret(kConsumerSecret),
                                                  secret(kAccessTokenSecret)));
  std::string header = "OAuth ";
  for (std::size_t i = 0; i < oauth.size(); ++i) {
    header +=
        fmt::format("{}{}=\"{}\"", i == 0 ? "" : ", ", oauth[i].first, percent_encoded(oauth[i].second));
  }
  request.headers.emplace_back("Authorization", std::move(header));
}

}  // namespace tailrace::destinations::oauth1
