#include "sources/source.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <simdjson.h>

#include "base/number.h"
#include "model/json.h"

namespace tailrace::sources {
namespace {

const std::string& value_in(const std::map<std::string, std::string>& values, const std::string& key) {
  static const std::string kNone;
  const auto found = values.find(key);
  return found == values.end() ? kNone : found->second;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_settings(std::string& out, const HttpSource& source, bool secret) {
  out += secret ? "| credential | must be given | meaning |\n|---|---|---|\n"
                : "| setting | default | values | meaning |\n|---|---|---|---|\n";
  for (const Setting& setting : source.settings()) {
    if (setting.secret != secret) continue;
    if (secret) {
      out +=
          fmt::format("| `{}` | {} | {} |\n", setting.name, setting.required ? "yes" : "no", setting.about);
      continue;
    }
    const std::string standard = setting.required                ? "required"
                                 : setting.default_value.empty() ? "none"
                                                                 : fmt::format("`{}`", setting.default_value);
    std::string values = setting.is_count ? "a whole number" : setting.choices.empty() ? "text" : "";
    for (const std::string_view choice : setting.choices)
      values += fmt::format("{}`{}`", values.empty() ? "" : ", ", choice);
    out += fmt::format("| `{}` | {} | {} | {} |\n", setting.name, standard, values, setting.about);
  }
}

}  // namespace

const std::string& SourceConfig::setting(const std::string& key) const { return value_in(settings, key); }
const std::string& SourceConfig::secret(const std::string& key) const { return value_in(secrets, key); }

HttpResponse json_answer(int status, std::string body) {
  return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(body)};
}

HttpResponse HttpSource::refusal(int status, std::string_view why) const {
  std::string body = R"({"success":false,"error":)";
  append_json_string(body, why);
  return json_answer(status, body + "}");
}

void fill_defaults(const HttpSource& source, SourceConfig& config) {
  for (const Setting& setting : source.settings()) {
    if (!setting.secret && !setting.default_value.empty())
      config.settings.emplace(setting.name, setting.default_value);
  }
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = digit_of(text[i + 1]);
    const int low = digit_of(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (!simdjson::validate_utf8(out)) return std::nullopt;
  return out;
}

std::optional<Time> time_of_seconds(std::string_view text) {
  const auto seconds = Number::parse(text);
  if (!seconds) return std::nullopt;
  const Number whole = *seconds * Number::integer(1000);
  if (whole < Number::integer(kTimeMin.ms) || whole > Number::integer(kTimeMax.ms)) return std::nullopt;
  return Time{static_cast<std::int64_t>(whole.to_double())};
}

std::string reference_markdown(const HttpSource& source) {
  std::string out = fmt::format(
      "# {}\n\n<!-- Generated from src/sources/{}/. Do not edit: the test `Reference` rewrites it with "
      "TAILRACE_UPDATE_GOLDEN=1. -->\n\nType: `{}`\n\n{}",
      source.title(), source.type(), source.type(), source.about());
  const auto has = [&](bool secret) {
    for (const Setting& setting : source.settings()) {
      if (setting.secret == secret) return true;
    }
    return false;
  };
  if (has(false)) {
    out += "\n## Settings\n\n";
    append_settings(out, source, false);
  }
  if (has(true)) {
    out +=
        "\n## Credentials\n\nBy reference only (an environment variable or a file), under `credentials` of "
        "the "
        "source.\n\n";
    append_settings(out, source, true);
  }
  return out;
}

}  // namespace tailrace::sources
