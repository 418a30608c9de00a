#include "destinations/slack/template.h"

#include <vector>

#include <fmt/format.h>

#include "destinations/analytics/event_json.h"
#include "destinations/field_path.h"
#include "model/json.h"

namespace tailrace::destinations::slack_template {
namespace {

constexpr std::string_view kMissing = "-";

struct Part {
  std::string words;
  std::optional<FieldPath> path;  // comes after the words
};

Result<std::vector<Part>> parse(std::string_view text) {
  std::vector<Part> parts(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool twice = i + 1 < text.size() && text[i + 1] == c;
    if ((c == '{' || c == '}') && twice) {
      parts.back().words += c;
      ++i;
    } else if (c == '}') {
      return invalid(
          fmt::format("a }} without its {{ at character {}; a brace itself is written twice", i + 1));
    } else if (c != '{') {
      parts.back().words += c;
    } else {
      const std::size_t end = text.find('}', i);
      if (end == std::string_view::npos)
        return invalid(
            fmt::format("a {{ without its }} at character {}; a brace itself is written twice", i + 1));
      auto path = FieldPath::parse(text.substr(i + 1, end - i - 1));
      if (!path) return invalid(fmt::format("at character {}: {}", i + 2, path.error().message));
      parts.back().path = std::move(*path);
      parts.emplace_back();
      i = end;
    }
  }
  return parts;
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
}

Value record_of(const Conversion& conversion) {
  Value record = analytics::empty_object();
  record.members.emplace_back("event", Value::of(conversion.event));
  record.members.emplace_back("name", Value::of(conversion.name));
  record.members.emplace_back("at", Value::of(format_time(conversion.at)));
  analytics::add_text(record, "person", conversion.person);
  analytics::add_text(record, "message_id", conversion.message_id);
  analytics::add_text(record, "user_id", conversion.user_id);
  analytics::add_text(record, "anonymous_id", conversion.anonymous_id);
  if (conversion.value) record.members.emplace_back("value", Value::of(*conversion.value));
  analytics::add_text(record, "currency", conversion.currency);
  analytics::add_text(record, "order_id", conversion.order_id);
  record.members.emplace_back("properties", conversion.properties);
  record.members.emplace_back("context", conversion.context);
  record.members.emplace_back("traits", conversion.traits);
  return record;
}

std::string text_of(const Value& value) {
  if (value.kind == Value::Kind::string) return value.string;
  if (value.kind == Value::Kind::missing || value.kind == Value::Kind::null) return "";
  return to_json(value);
}

}  // namespace

Result<void> check(std::string_view text) {
  TRY(parse(text));
  return {};
}

std::string render(std::string_view text, const Conversion& conversion) {
  const auto parts = parse(text);
  if (!parts) return "";
  const Value record = record_of(conversion);
  std::string out;
  for (const Part& part : *parts) {
    out += part.words;
    if (!part.path) continue;
    const std::string value = text_of(part.path->read(record));
    append_escaped(out, value.empty() ? kMissing : std::string_view(value));
  }
  return out;
}

}  // namespace tailrace::destinations::slack_template
