#include "sandbox/wire.h"

#include <algorithm>
#include <charconv>

#include "model/json.h"

namespace tailrace::sandbox {
namespace {

constexpr std::size_t kPrintableBytesMax = 200;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

enum class Plus { is_plus, is_blank };

std::string decode_percent(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else if (text[i] == '+' && plus == Plus::is_blank) {
      out += ' ';
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view without_host(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!url.starts_with(scheme)) continue;
    url.remove_prefix(scheme.size());
    const std::size_t path = url.find_first_of("/?");
    return path == std::string_view::npos ? std::string_view() : url.substr(path);
  }
  return url;
}

std::int64_t blur_unit(std::int64_t count) {
  std::int64_t unit = 1;
  while (count / unit >= 100) unit *= 10;
  return unit;
}

}  // namespace

Target parse_target(std::string_view url) {
  Target target;
  url = without_host(url);
  url = url.substr(0, url.find('#'));
  const std::size_t question = url.find('?');
  if (question != std::string_view::npos) target.query = parse_form(url.substr(question + 1));
  std::string_view path = url.substr(0, question);
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    if (!segment.empty()) target.segments.push_back(decode_percent(segment, Plus::is_plus));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return target;
}

Params parse_form(std::string_view text) {
  Params params;
  while (!text.empty()) {
    const std::size_t end = text.find('&');
    const std::string_view pair = text.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (!pair.empty()) {
      const std::string_view value =
          equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
      params.emplace_back(decode_percent(pair.substr(0, equals), Plus::is_blank),
                          decode_percent(value, Plus::is_blank));
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return params;
}

const std::string* find_param(const Params& params, std::string_view name) {
  const auto found =
      std::find_if(params.begin(), params.end(), [&](const auto& p) { return p.first == name; });
  return found == params.end() ? nullptr : &found->second;
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, kPrintableBytesMax));
  std::replace_if(out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  if (text.size() > kPrintableBytesMax) out += "...";
  return out;
}

Value object(std::vector<std::pair<std::string, Value>> members) {
  Value value = Value::with(Value::Kind::object);
  value.members = std::move(members);
  return value;
}

Value list_of(std::vector<Value> elements) {
  Value value = Value::with(Value::Kind::list);
  value.list = std::move(elements);
  return value;
}

Value whole(std::int64_t number) { return Value::of(Number::integer(number)); }

HttpResponse json_response(int status, const Value& body) {
  HttpResponse response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "application/json; charset=UTF-8");
  response.body = to_json(body);
  return response;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::int64_t> whole_number(const Value& value) {
  if (value.kind == Value::Kind::string) return whole_number(value.string);
  if (value.kind != Value::Kind::number) return std::nullopt;
  const auto decimal = value.number.as_decimal();
  if (!decimal || decimal->scale != 0) return std::nullopt;
  return decimal->mantissa;
}

bool is_string(const Value* value) { return value != nullptr && value->kind == Value::Kind::string; }

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_lower_hex_digest(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (hyphen ? text[i] != '-' : hex_digit(text[i]) < 0) return false;
  }
  return true;
}

std::optional<std::string> bearer_token(const HttpHeaders& headers) {
  const auto header = headers.get("Authorization");
  constexpr std::string_view kScheme = "Bearer ";
  if (!header || header->size() < kScheme.size() ||
      !equal_ignoring_case(header->substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  return std::string(header->substr(kScheme.size()));
}

std::int64_t blurred_down(std::int64_t count) {
  const std::int64_t unit = blur_unit(count);
  return count / unit * unit;
}

std::int64_t blurred_up(std::int64_t count) {
  const std::int64_t unit = blur_unit(count);
  return (count + unit - 1) / unit * unit;
}

}  // namespace tailrace::sandbox
