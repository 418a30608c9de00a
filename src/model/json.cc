#include "model/json.h"

#include <algorithm>
#include <array>

#include <simdjson.h>

#include "model/json_scanner.h"

namespace tailrace {
namespace {

namespace ondemand = simdjson::ondemand;

// Walks every value, which is what makes simdjson's on-demand parser validate them all.
simdjson::error_code read(ondemand::value value, int depth, Value& out) {
  if (depth > kJsonDepthMax) return simdjson::DEPTH_ERROR;
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  switch (type) {
    case ondemand::json_type::object: {
      out = Value::with(Value::Kind::object);
      out.members.reserve(4);  // growing from one by one costs more than reading so few
      ondemand::object object;
      if (const auto error = value.get_object().get(object)) return error;
      for (auto field : object) {
        ondemand::field member;
        if (const auto error = std::move(field).get(member)) return error;
        std::string_view key;
        if (const auto error = member.unescaped_key().get(key)) return error;
        out.members.emplace_back(std::string(key), Value());
        if (const auto error = read(member.value(), depth + 1, out.members.back().second)) return error;
      }
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::array: {
      out = Value::with(Value::Kind::list);
      ondemand::array array;
      if (const auto error = value.get_array().get(array)) return error;
      for (auto element : array) {
        ondemand::value item;
        if (const auto error = std::move(element).get(item)) return error;
        out.list.emplace_back();
        if (const auto error = read(item, depth + 1, out.list.back())) return error;
      }
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::string: {
      std::string_view text;
      if (const auto error = value.get_string().get(text)) return error;
      out.kind = Value::Kind::string;
      out.string = text;
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::number: {
      std::string_view token = value.raw_json_token();
      while (!token.empty() &&
             (token.back() == ' ' || token.back() == '\n' || token.back() == '\t' || token.back() == '\r')) {
        token.remove_suffix(1);
      }
      auto number = Number::parse(token);
      if (!number) return simdjson::NUMBER_ERROR;
      out = Value::of(*number);
      // Moves the parser past the token.
      double skipped = 0;
      if (const auto error = value.get_double().get(skipped)) return error;
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::boolean: {
      bool flag = false;
      if (const auto error = value.get_bool().get(flag)) return error;
      out = Value::of(flag);
      return simdjson::SUCCESS;
    }
    case ondemand::json_type::null: {
      bool is_null = false;
      if (const auto error = value.is_null().get(is_null)) return error;
      if (!is_null) return simdjson::N_ATOM_ERROR;
      out = Value::of_null();
      return simdjson::SUCCESS;
    }
  }
  return simdjson::TAPE_ERROR;
}

std::unexpected<Error> refuse(simdjson::error_code error) {
  return invalid(std::string("not valid JSON: ") + simdjson::error_message(error));
}

}  // namespace

Result<Value> parse_json(std::string_view text) {
  thread_local ondemand::parser parser;
  const simdjson::padded_string padded(text);
  ondemand::document document;
  if (const auto error = parser.iterate(padded).get(document)) return refuse(error);
  // A scalar document cannot be read as an on-demand value; wrap such (rare) texts in a list.
  bool scalar = false;
  if (const auto error = document.is_scalar().get(scalar)) return refuse(error);
  if (scalar) {
    auto wrapped = parse_json("[" + std::string(text) + "]");
    if (!wrapped) return wrapped;
    if (wrapped->list.size() != 1) return invalid("not valid JSON: more than one value");
    return std::move(wrapped->list.front());
  }
  ondemand::value value;
  if (const auto error = document.get_value().get(value)) return refuse(error);
  Value result;
  if (const auto error = read(value, 0, result)) return refuse(error);
  const char* more = nullptr;
  if (document.current_location().get(more) == simdjson::SUCCESS)
    return invalid("not valid JSON: something follows the value");
  return result;
}

namespace {

bool read_slice(const JsonSlice& slice, Value& out) {
  switch (slice.type) {
    case JsonType::null:
      out = Value::of_null();
      return true;
    case JsonType::boolean:
      out = Value::of(slice.text == "true");
      return true;
    case JsonType::number: {
      auto number = Number::parse(slice.text);
      if (!number) return false;
      out = Value::of(*number);
      return true;
    }
    case JsonType::string:
      out = Value::with(Value::Kind::string);
      if (slice.escaped) {
        append_unescaped(out.string, slice.text);
      } else {
        out.string = slice.text;
      }
      return true;
    case JsonType::list:
    case JsonType::object: {
      auto value = parse_json(slice.text);
      if (!value) return false;
      out = std::move(*value);
      return true;
    }
    case JsonType::missing:
      return false;
  }
  return false;
}

}  // namespace

bool read_members(std::string_view text, std::span<const std::string> wanted,
                  std::span<const std::string> wanted_too, Value& out) {
  out.kind = Value::Kind::object;
  out.members.clear();
  JsonScanner scanner(text);
  JsonSlice whole;
  std::string unescaped;
  const bool read = scanner.members(whole, [&](const JsonSlice& key) {
    JsonSlice slice;
    if (!scanner.value(slice)) return false;
    std::string_view name = key.text;
    if (key.escaped) {
      unescaped.clear();
      append_unescaped(unescaped, name);
      name = unescaped;
    }
    const auto is_name = [&](const std::string& other) { return other == name; };
    if (std::none_of(wanted.begin(), wanted.end(), is_name) &&
        std::none_of(wanted_too.begin(), wanted_too.end(), is_name))
      return true;
    out.members.emplace_back(std::string(name), Value());
    return read_slice(slice, out.members.back().second);
  });
  return read && scanner.at_end();
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

void append_json(std::string& out, const Value& value) {
  switch (value.kind) {
    case Value::Kind::missing:
    case Value::Kind::null:
      out += "null";
      return;
    case Value::Kind::boolean:
      out += value.boolean ? "true" : "false";
      return;
    case Value::Kind::number:
      out += value.number.to_string();
      return;
    case Value::Kind::string:
      append_json_string(out, value.string);
      return;
    case Value::Kind::list: {
      out += '[';
      for (std::size_t i = 0; i < value.list.size(); ++i) {
        if (i > 0) out += ',';
        append_json(out, value.list[i]);
      }
      out += ']';
      return;
    }
    case Value::Kind::object: {
      out += '{';
      for (std::size_t i = 0; i < value.members.size(); ++i) {
        if (i > 0) out += ',';
        append_json_string(out, value.members[i].first);
        out += ':';
        append_json(out, value.members[i].second);
      }
      out += '}';
      return;
    }
  }
}

std::string to_json(const Value& value) {
  std::string out;
  append_json(out, value);
  return out;
}

}  // namespace tailrace
