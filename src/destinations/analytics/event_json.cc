#include "destinations/analytics/event_json.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/hash.h"
#include "destinations/text.h"
#include "model/json.h"

namespace tailrace::destinations::analytics {
namespace {

constexpr std::array<std::string_view, 17> kPlaceholders{
    "anon",    "anonymous", "nil", "none", "null",  "n/a", "na", "undefined",
    "unknown", "0",         "-1",  "true", "false", "[]",  "{}", "00000000-0000-0000-0000-000000000000",
    "lmy47d"};

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (hyphen ? c != '-' : !digit) return false;
  }
  return true;
}

}  // namespace

void add_text(Value& to, std::string_view name, std::string text) {
  if (!text.empty()) to.members.emplace_back(name, Value::of(std::move(text)));
}

Value empty_object() { return Value::with(Value::Kind::object); }

std::string value_of(std::span<const UserValue> values, Field field) {
  const auto found =
      std::ranges::find_if(values, [&](const UserValue& one) { return one.rule->field == field; });
  return found == values.end() ? std::string() : found->value;
}

bool is_placeholder(std::string_view id) {
  return id.empty() || std::ranges::find(kPlaceholders, lower_ascii(id)) != kPlaceholders.end();
}

std::string uuid_of(std::string_view id) {
  if (is_uuid(id)) return lower_ascii(id);
  Sha256 digest = sha256(id);
  digest[6] = static_cast<unsigned char>((digest[6] & 0x0f) | 0x80);
  digest[8] = static_cast<unsigned char>((digest[8] & 0x3f) | 0x80);
  const std::string hex = to_hex({reinterpret_cast<const char*>(digest.data()), 16});
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

std::string ulid_of(Time at, std::string_view id) {
  constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  constexpr int kBytes = 16;
  constexpr int kCharacters = 26;
  const Sha256 digest = sha256(id);
  std::array<unsigned char, kBytes> bytes{};
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(at.ms, 0));
  for (std::size_t i = 0; i < 6; ++i) bytes[i] = static_cast<unsigned char>(ms >> (40 - 8 * i));
  std::copy_n(digest.begin(), 10, bytes.begin() + 6);
  // 128 bits as 26 digits of five: the first holds three.
  std::string out;
  for (int digit = 0; digit < kCharacters; ++digit) {
    unsigned value = 0;
    for (int bit = digit * 5 - 2; bit < digit * 5 + 3; ++bit) {
      const unsigned byte = bit < 0 ? 0u : bytes[static_cast<std::size_t>(bit / 8)];
      const unsigned set = (byte >> static_cast<unsigned>(7 - (bit & 7))) & 1u;
      value = value * 2 + set;
    }
    out += kAlphabet[value];
  }
  return out;
}

std::string_view cut(std::string_view text, std::size_t characters) {
  std::size_t at = 0;
  while (at < text.size() && characters > 0) {
    if (next_character(text, at) < 0) return text.substr(0, at);
    --characters;
  }
  return text.substr(0, at);
}

std::string joined(std::span<const std::string> elements) {
  std::size_t bytes = elements.size();
  for (const std::string& each : elements) bytes += each.size();
  std::string out;
  out.reserve(bytes);
  for (const std::string& each : elements) {
    if (&each != elements.data()) out += ',';
    out += each;
  }
  return out;
}

void add_missing(Value& to, const Value& from) {
  for (const auto& [name, value] : from.members) {
    if (value.kind != Value::Kind::missing && to.find(name) == nullptr) to.members.emplace_back(name, value);
  }
}

HttpRequest post_json(std::string url, std::string body, HttpHeaders more) {
  HttpRequest request;
  request.method = "POST";
  request.url = std::move(url);
  request.headers = std::move(more);
  if (!request.headers.get("content-type")) request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  return request;
}

std::string basic_authorization(std::string_view user, std::string_view password) {
  return "Basic " + to_base64(fmt::format("{}:{}", user, password));
}

std::string field_word(std::string_view text) {
  constexpr std::size_t kBytesMax = 64;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '$'; };
  const auto is_part = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '[' || c == ']';
  };
  const bool good =
      !text.empty() && text.size() <= kBytesMax && is_letter(text[0]) && std::ranges::all_of(text, is_part);
  return good ? std::string(text) : std::string();
}

bool blame(Reply& reply, std::size_t events, std::span<const Culprit> culprits) {
  reply.outcomes.resize(events);
  bool any = false;
  for (const Culprit& culprit : culprits) {
    if (culprit.index < 0 || static_cast<std::size_t>(culprit.index) >= events) continue;
    reply.outcomes[static_cast<std::size_t>(culprit.index)] = {Outcome::Kind::rejected, culprit.reason};
    any = true;
  }
  return any;
}

std::string name_word(std::string_view name) {
  std::string word;
  for (const char c : name) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool capital = c >= 'A' && c <= 'Z';
    const bool digit = c >= '0' && c <= '9';
    // A character beyond ASCII is one underscore, whatever its bytes.
    if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) continue;
    word += capital ? static_cast<char>(c + 32) : letter || digit ? c : '_';
  }
  return word;
}

}  // namespace tailrace::destinations::analytics
