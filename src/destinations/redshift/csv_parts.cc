#include "destinations/redshift/csv_parts.h"

#include <utility>

namespace tailrace::destinations::redshift_csv {
namespace {

// Not within a character.
std::string_view cut(std::string_view text) {
  std::size_t end = kTextBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace

Parts::Parts(const WarehouseTable& table, std::size_t part_bytes, Take take)
    : part_bytes_(part_bytes), take_(std::move(take)) {
  for (const WarehouseColumn& column : table.columns) is_json_.push_back(column.type == ColumnType::json);
}

Result<void> Parts::add(std::string_view piece) {
  for (const char c : piece) {
    if (at_ == At::quoted) {
      if (c == '"') {
        at_ = At::quote;
      } else if (c == '\0') {
        field_ += "\xef\xbf\xbd";
      } else {
        field_ += c;
      }
      continue;
    }
    if (c == '"') {
      // A second one is one that is meant; any other opens.
      if (at_ == At::quote) field_ += '"';
      was_quoted_ = true;
      at_ = At::quoted;
    } else if (c == ',') {
      end_field();
    } else if (c == '\n') {
      TRY(end_row());
    } else if (c == '\0') {
      field_ += "\xef\xbf\xbd";
    } else if (c != '\r') {
      field_ += c;
    }
  }
  return {};
}

Result<std::uint64_t> Parts::finish() {
  if (at_ == At::quoted) return fail(Error::Code::corrupt, "a row of the pack has no end");
  if (!field_.empty() || was_quoted_ || column_ > 0) TRY(end_row());
  if (!part_.empty()) TRY(take_(std::exchange(part_, {})));
  return lines_ == 0 ? 0 : lines_ - 1;
}

void Parts::end_field() {
  const bool is_header = lines_ == 0;
  if (!is_header) {
    if (column_ > 0) part_ += ',';
    const bool is_json = column_ < is_json_.size() && is_json_[column_];
    const bool is_long = field_.size() > kTextBytesMax;
    if ((field_.empty() && !was_quoted_) || (is_long && is_json)) {
      part_ += kNull;
    } else {
      part_ += quoted(is_long ? cut(field_) : std::string_view(field_));
    }
  }
  ++column_;
  field_.clear();
  was_quoted_ = false;
  at_ = At::plain;
}

Result<void> Parts::end_row() {
  end_field();
  if (lines_ > 0) part_ += '\n';
  ++lines_;
  column_ = 0;
  if (part_.size() >= part_bytes_) return take_(std::exchange(part_, {}));
  return {};
}

}  // namespace tailrace::destinations::redshift_csv
