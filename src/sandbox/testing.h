// What the sandbox's tests share: a client that speaks to one sandbox at a clock of its own.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/hash.h"
#include "model/json.h"
#include "sandbox/sandbox.h"

namespace tailrace::sandbox {

inline const Time kStart{1'800'000'000'000};  // 2027-01-15T08:00:00Z

class Client {
 public:
  explicit Client(Options options = {}) : sandbox_(options) {}

  Answer answer(std::string method, std::string url, std::string body = "") {
    HttpRequest request{std::move(method), std::move(url), headers, std::move(body)};
    return sandbox_.handle(request, now);
  }
  HttpResponse send(std::string method, std::string url, std::string body = "") {
    return answer(std::move(method), std::move(url), std::move(body)).response;
  }
  HttpResponse control(std::string method, const std::string& path, std::string body = "") {
    return send(std::move(method), "/sandbox" + path, std::move(body));
  }

  // The audience's identifiers: "email:ab..., phone:cd..." with values cut to four characters.
  std::string members(const std::string& platform, const std::string& id) {
    const auto body = parse_json(control("GET", "/audiences/" + platform + "/" + id + "/members").body);
    if (!body || body->find("members") == nullptr) return "no such audience";
    std::string text;
    for (const Value& member : body->find("members")->list) {
      text += (text.empty() ? "" : " ") + member.find("kind")->string + ":" +
              member.find("value")->string.substr(0, 4);
    }
    return text;
  }

  Time now = kStart;
  HttpHeaders headers{{"Authorization", "Bearer sandbox-token"}};

 private:
  Sandbox sandbox_;
};

// The value at a dotted path, numbers naming elements of lists ("error.details.0.reason"), as JSON; "-" where
// there is none.
inline std::string at(std::string_view json, std::string_view path) {
  auto parsed = parse_json(json);
  if (!parsed) return "not JSON";
  Value value = std::move(*parsed);
  while (!path.empty()) {
    const std::string name(path.substr(0, path.find('.')));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    if (value.kind == Value::Kind::list) {
      const std::size_t index = std::stoul(name);
      if (index >= value.list.size()) return "-";
      Value element = value.list[index];
      value = std::move(element);
    } else {
      const Value* member = value.find(name);
      if (member == nullptr) return "-";
      Value copy = *member;
      value = std::move(copy);
    }
  }
  return value.kind == Value::Kind::string ? value.string : to_json(value);
}
inline std::string at(const HttpResponse& response, std::string_view path) { return at(response.body, path); }

inline std::string text_repeated(const std::string& text, int times, const std::string& between = ",") {
  std::string out;
  for (int i = 0; i < times; ++i) out += (i == 0 ? "" : between) + text;
  return out;
}

}  // namespace tailrace::sandbox
