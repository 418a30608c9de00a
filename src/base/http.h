// An HTTP request and its answer as plain data: what destinations encode, what the sandbox answers, what io/
// carries.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tailrace {

// ASCII case only, as HTTP header names are compared.
inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

struct HttpHeaders : std::vector<std::pair<std::string, std::string>> {
  using vector::vector;
  // The first header of that name, whatever its case.
  std::optional<std::string_view> get(std::string_view name) const {
    for (const auto& [key, value] : *this) {
      if (equal_ignoring_case(key, name)) return value;
    }
    return std::nullopt;
  }
};

struct HttpRequest {
  std::string method;
  std::string url;  // as a client: absolute; as a server: the target, path and query
  HttpHeaders headers;
  std::string body;
};

// Which servers a request may be carried to.
struct HttpReach {
  // Also to addresses that the internet does not route: this machine, private networks, link-local addresses
  // and the metadata services of clouds.
  bool private_addresses = false;
  std::string ca_file = {};  // certificate authorities, PEM; empty: the system's

  bool operator==(const HttpReach&) const = default;
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;
  std::string body;
};

}  // namespace tailrace
