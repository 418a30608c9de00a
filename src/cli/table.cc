#include "cli/table.h"

#include <algorithm>

#include "model/json.h"

namespace tailrace::cli {
namespace {

std::string plain(const Value& value) {
  switch (value.kind) {
    case Value::Kind::missing:
    case Value::Kind::null:
      return "-";
    case Value::Kind::string:
      return value.string;
    default:
      return to_json(value);
  }
}

std::string quoted_csv(const Value& value) {
  if (!value.present()) return "";
  const std::string text = plain(value);
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

// Columns a terminal needs for a text: code points, which is right for what we print.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

Value number(std::uint64_t value) { return Value::of(Number::integer(static_cast<std::int64_t>(value))); }
Value time_or_nothing(std::optional<Time> time) {
  return time && time->ms != 0 ? Value::of(format_time(*time)) : Value();
}
Value millis_or_nothing(std::optional<Millis> length) {
  return length ? Value::of(Number::integer(length->count)) : Value();
}

std::string Table::print(Format format) const {
  std::string out;
  if (format == Format::json) {
    for (const auto& row : rows_) {
      Value object = Value::with(Value::Kind::object);
      for (std::size_t i = 0; i < columns_.size(); ++i) object.members.emplace_back(columns_[i], row[i]);
      out += (out.empty() ? "[" : ",\n ") + to_json(object);
    }
    return (out.empty() ? "[" : out) + "]\n";
  }
  if (format == Format::csv) {
    for (std::size_t i = 0; i < columns_.size(); ++i)
      out += (i > 0 ? "," : "") + quoted_csv(Value::of(columns_[i]));
    out += '\n';
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < columns_.size(); ++i) out += (i > 0 ? "," : "") + quoted_csv(row[i]);
      out += '\n';
    }
    return out;
  }
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = width_of(columns_[i]);
    for (const auto& row : rows_) width = std::max(width, width_of(plain(row[i])));
    widths.push_back(width);
  }
  const auto line = [&](auto cell, auto right) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string content = cell(i);
      const std::string padding(widths[i] - width_of(content), ' ');
      text += (i > 0 ? "  " : "") + (right(i) ? padding + content : content + padding);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  };
  const auto is_number = [&](std::size_t column) {
    return !rows_.empty() && std::all_of(rows_.begin(), rows_.end(), [&](const auto& row) {
      return !row[column].present() || row[column].kind == Value::Kind::number;
    });
  };
  line([&](std::size_t i) { return columns_[i]; }, is_number);
  line([&](std::size_t i) { return std::string(widths[i], '-'); }, [](std::size_t) { return false; });
  for (const auto& row : rows_) {
    line([&](std::size_t i) { return plain(row[i]); }, is_number);
  }
  return out;
}

}  // namespace tailrace::cli
