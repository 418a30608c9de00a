#include "destinations/authentication/signature_v4.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/hash.h"

namespace tailrace::destinations::signature_v4 {
namespace {

std::string_view bytes_of(const Sha256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// "20260301T100000Z"
std::string compact_time(Time now) {
  std::string text = format_time(now).substr(0, 19);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text + "Z";
}

struct Parts {
  std::string_view host;
  std::string_view path = "/";
  std::string_view query;
};

Parts parts_of(std::string_view url) {
  Parts parts;
  const std::size_t scheme = url.find("://");
  std::string_view rest = scheme == std::string_view::npos ? url : url.substr(scheme + 3);
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  parts.host = rest.substr(0, end);
  rest.remove_prefix(end);
  const std::size_t question = std::min(rest.find('?'), rest.size());
  if (question > 0) parts.path = rest.substr(0, question);
  if (question < rest.size()) parts.query = rest.substr(question + 1);
  return parts;
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view one = query.substr(0, end);
    const std::size_t equals = std::min(one.find('='), one.size());
    parameters.emplace_back(one.substr(0, equals), equals < one.size() ? one.substr(equals + 1) : "");
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  std::ranges::sort(parameters);
  std::string text;
  for (const auto& [name, value] : parameters)
    text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

}  // namespace

void sign(HttpRequest& request, const Key& key, const Scope& scope, std::string_view payload_hash, Time now) {
  const Dialect& dialect = *scope.dialect;
  const Parts parts = parts_of(request.url);
  const std::string time = compact_time(now);
  const std::string date = time.substr(0, 8);
  const std::string prefix(dialect.header_prefix);
  request.headers.emplace_back("host", parts.host);
  request.headers.emplace_back(prefix + "date", time);
  request.headers.emplace_back(prefix + "content-sha256", payload_hash);
  if (!key.session_token.empty()) request.headers.emplace_back(prefix + "security-token", key.session_token);

  std::vector<std::pair<std::string, std::string>> headers;
  for (const auto& [name, value] : request.headers) headers.emplace_back(lower(name), value);
  std::ranges::sort(headers);
  std::string lines;
  std::string names;
  for (const auto& [name, value] : headers) {
    lines += fmt::format("{}:{}\n", name, value);
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string canonical = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, parts.path,
                                            canonical_query(parts.query), lines, names, payload_hash);
  const std::string where = fmt::format("{}/{}/{}/{}", date, scope.region, scope.service, dialect.terminator);
  const std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", dialect.algorithm, time, where, sha256_hex(canonical));

  Sha256 step = hmac_sha256(std::string(dialect.key_prefix) + key.secret, date);
  step = hmac_sha256(bytes_of(step), scope.region);
  step = hmac_sha256(bytes_of(step), scope.service);
  step = hmac_sha256(bytes_of(step), dialect.terminator);
  const std::string signature = to_hex(bytes_of(hmac_sha256(bytes_of(step), to_sign)));
  request.headers.emplace_back(
      "Authorization", fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", dialect.algorithm,
                                   key.id, where, names, signature));
}

}  // namespace tailrace::destinations::signature_v4
