#include "sources/query/row_mapping.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <simdjson.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/number.h"
#include "model/json.h"
#include "model/record.h"
#include "sources/raw_records.h"

namespace tailrace::sources {
namespace {

// The first byte of a row's key: its columns tell it, or, where they are null, its content does.
constexpr char kKeyed = 'k';
constexpr char kKeyless = 'n';
constexpr std::size_t kQuotedBytesMax = 60;

constexpr std::array<std::pair<RowsAs, std::string_view>, 3> kRows{
    {{RowsAs::people, "people"}, {RowsAs::events, "events"}, {RowsAs::members, "members"}}};

std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", cut(text, kQuotedBytesMax)); }

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

std::optional<bool> boolean_of(std::string_view text) {
  for (const std::string_view yes : {"t", "true", "1", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"f", "false", "0", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

void append_member(std::string& object, std::string_view name) {
  object += object.empty() ? "{" : ",";
  append_json_string(object, name);
  object += ':';
}

std::string hex_of(const ContentHash& hash) { return fmt::format("{:016x}{:016x}", hash[0], hash[1]); }

std::string encoded(const RecordView& record) {
  std::string bytes;
  const auto done = encode_record(record, bytes);
  TR_ASSERT(done.has_value());  // what goes in was bounded
  return bytes;
}

}  // namespace

std::string to_text(const SnapshotHeader& header) {
  std::string out = R"({"rows":)";
  const auto rows =
      std::ranges::find(kRows, header.rows, [](const auto& each) { return each.first; })->second;
  append_json_string(out, rows);
  out += R"(,"key":)";
  append_json_string(out, header.key);
  out += R"(,"names":[)";
  for (std::size_t i = 0; i < header.names.size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, header.names[i]);
  }
  return out + "]}";
}

Result<SnapshotHeader> parse_snapshot_header(std::string_view text) {
  const auto damaged = [] { return fail(Error::Code::corrupt, "the header of a snapshot cannot be read"); };
  const auto value = parse_json(text);
  if (!value || value->kind != Value::Kind::object) return damaged();
  const Value* rows = value->find("rows");
  const Value* key = value->find("key");
  const Value* names = value->find("names");
  if (rows == nullptr || key == nullptr || names == nullptr || key->kind != Value::Kind::string ||
      names->kind != Value::Kind::list)
    return damaged();
  const auto found = std::ranges::find(kRows, rows->string, [](const auto& each) { return each.second; });
  if (found == kRows.end()) return damaged();
  SnapshotHeader header{.rows = found->first, .key = key->string, .names = {}};
  for (const Value& name : names->list) {
    if (name.kind != Value::Kind::string) return damaged();
    header.names.push_back(name.string);
  }
  return header;
}

// Views into the row, but for what is made here.
struct RowMapping::Draft {
  std::string key;  // without its first byte; empty: it has none
  std::string user_id, anonymous_id, event;
  std::string payload, context;
  std::optional<Time> time;
};

Result<RowMapping> RowMapping::bind(const QuerySpec& spec, std::vector<QueryColumn> columns,
                                    Options options) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (columns[i].name == columns[j].name)
        return invalid(fmt::format("the query gives two columns named {}; give one of them another name: AS",
                                   in_quotes(columns[i].name)));
    }
  }
  Zone zone = TRY(Zone::named(spec.time_zone));
  RowMapping mapping(spec, std::move(columns), std::move(options), std::move(zone));
  TRY(mapping.find_columns());
  return mapping;
}

Result<std::optional<std::size_t>> RowMapping::column_of(const std::string& name) const {
  if (name.empty()) return std::nullopt;
  const auto found = std::ranges::find(columns_, name, &QueryColumn::name);
  if (found != columns_.end()) return static_cast<std::size_t>(found - columns_.begin());
  std::string known;
  for (const QueryColumn& column : columns_) known += (known.empty() ? "" : ", ") + column.name;
  return invalid(fmt::format("the query gives no column {}; it gives {}", in_quotes(name), known));
}

Result<void> RowMapping::find_columns() {
  for (const std::string& column : spec_.key) key_.push_back(*TRY(column_of(column)));
  user_id_ = TRY(column_of(spec_.user_id));
  anonymous_id_ = TRY(column_of(spec_.anonymous_id));
  email_ = TRY(column_of(spec_.email));
  phone_ = TRY(column_of(spec_.phone));
  event_ = TRY(column_of(spec_.event_column));
  time_ = TRY(column_of(spec_.time_column));
  const auto wanted_of = [&](const std::string& name) {
    const auto found = options_.types.find(name);
    return found == options_.types.end() ? WantedType::any : found->second;
  };
  std::vector<bool> has_part(columns_.size());
  for (const auto& part : {user_id_, anonymous_id_, email_, phone_, event_, time_}) {
    if (part) has_part[*part] = true;
  }
  const bool are_people = spec_.rows == RowsAs::people;
  // What names a person is an attribute of theirs too.
  if (are_people && email_) fields_.push_back({"email", *email_, WantedType::string});
  if (are_people && phone_) fields_.push_back({"phone", *phone_, WantedType::string});
  const auto is_field = [&](const std::string& name) {
    return std::ranges::find(fields_, name, &Field::name) != fields_.end();
  };
  for (const auto& [name, column] : spec_.fields) {
    const std::size_t place = *TRY(column_of(column));
    has_part[place] = true;
    if (!is_field(name)) fields_.push_back({name, place, wanted_of(name)});
  }
  for (std::size_t i = 0; spec_.every_column && i < columns_.size(); ++i) {
    if (!has_part[i] && !is_field(columns_[i].name))
      fields_.push_back({columns_[i].name, i, wanted_of(columns_[i].name)});
  }
  std::ranges::sort(fields_, {}, &Field::name);
  header_.rows = spec_.rows;
  if (spec_.rows == RowsAs::events) return {};
  header_.key = key_.front() == user_id_        ? "user_id"
                : key_.front() == anonymous_id_ ? "anonymous_id"
                : key_.front() == email_        ? "email"
                                                : "phone";
  if (spec_.rows == RowsAs::members) {
    header_.names = {spec_.attribute};
  } else {
    for (const Field& field : fields_) header_.names.push_back(field.name);
  }
  if (!options_.before || options_.before->rows != RowsAs::people || !are_people) return {};
  for (const std::string& name : options_.before->names) {
    if (!is_field(name)) dropped_.push_back(name);
  }
  return {};
}

Result<Time> RowMapping::time_of(const std::string& text, ColumnKind kind) const {
  const auto time = parse_time(text);
  if (!time) return invalid(fmt::format("{} is no instant of the years 1 to 9999", in_quotes(text)));
  // Behind the date.
  const bool says_zone = text.size() > 10 && text.find_first_of("Zz+-", 10) != std::string::npos;
  const bool has_zone = kind == ColumnKind::time || (kind == ColumnKind::text && says_zone);
  return has_zone ? *time : zone_.from_local(*time);
}

// As JSON: of the column's own type, or of the taxonomy's where that loses nothing.
Result<void> RowMapping::append_value(std::string& out, const std::string& text, ColumnKind kind,
                                      WantedType wanted) const {
  switch (kind) {
    case ColumnKind::boolean: {
      const auto value = boolean_of(text);
      if (!value) return invalid(fmt::format("{} is neither true nor false", in_quotes(text)));
      if (wanted == WantedType::number) {
        out += *value ? '1' : '0';
      } else {
        const char* const word = *value ? "true" : "false";
        out += wanted == WantedType::string ? fmt::format("\"{}\"", word) : word;
      }
      return {};
    }
    case ColumnKind::number: {
      if (wanted == WantedType::string) break;
      if (wanted == WantedType::boolean && (text == "0" || text == "1")) {
        out += text == "1" ? "true" : "false";
        return {};
      }
      if (!Number::parse(text)) return invalid(fmt::format("{} is no number", in_quotes(text)));
      out += text;
      return {};
    }
    case ColumnKind::date:
      if (!parse_time(text))
        return invalid(fmt::format("{} is no date of the years 1 to 9999", in_quotes(text)));
      break;
    case ColumnKind::time:
    case ColumnKind::local_time:
      append_json_string(out, format_time(TRY(time_of(text, kind))));
      return {};
    case ColumnKind::json: {
      const auto value = parse_json(text);
      if (!value) return invalid("it is no JSON");
      append_json(out, *value);
      return {};
    }
    case ColumnKind::text:
      if (wanted == WantedType::number && Number::parse(text)) {
        out += text;
        return {};
      }
      if (const auto value = boolean_of(text); value && wanted == WantedType::boolean) {
        out += *value ? "true" : "false";
        return {};
      }
      break;
  }
  append_json_string(out, text);
  return {};
}

Result<void> RowMapping::read_person(Row row, Draft& draft) const {
  const auto identifier = [&](std::optional<std::size_t> column) -> Result<std::string> {
    if (!column || !row[*column] || is_blank(*row[*column])) return std::string();
    if (row[*column]->size() > kIdentifierBytesMax)
      return invalid(fmt::format("column \"{}\" names a person by {} bytes, more than {}",
                                 columns_[*column].name, row[*column]->size(), kIdentifierBytesMax));
    return *row[*column];
  };
  draft.user_id = TRY(identifier(user_id_));
  draft.anonymous_id = TRY(identifier(anonymous_id_));
  const std::string email = TRY(identifier(email_));
  const std::string phone = TRY(identifier(phone_));
  if (draft.user_id.empty() && draft.anonymous_id.empty() && email.empty() && phone.empty())
    return invalid("nothing in it names a person");
  if (spec_.rows == RowsAs::people) return {};
  // Of people they are among the fields.
  std::string contact;
  for (const auto& [name, value] : {std::pair("email", &email), std::pair("phone", &phone)}) {
    if (value->empty()) continue;
    append_member(contact, name);
    append_json_string(contact, *value);
  }
  if (spec_.rows == RowsAs::members) {
    draft.payload = std::move(contact);
  } else if (!contact.empty()) {
    draft.context = fmt::format(R"({{"traits":{}}}}})", contact);
  }
  return {};
}

Result<void> RowMapping::read_event(Row row, Draft& draft) const {
  draft.event = spec_.event;
  if (event_) draft.event = row[*event_].value_or("");
  if (is_blank(draft.event)) return invalid("it names no event");
  if (!time_) return {};
  if (!row[*time_]) return invalid(fmt::format("its time, column \"{}\", is null", columns_[*time_].name));
  draft.time = TRY(time_of(*row[*time_], columns_[*time_].kind));
  return {};
}

Result<void> RowMapping::read(Row row, Draft& draft) const {
  for (const std::size_t column : key_) {
    if (!row[column]) return invalid(fmt::format("its key, column \"{}\", is null", columns_[column].name));
  }
  if (key_.size() == 1) {
    draft.key = *row[key_.front()];
    if (is_blank(draft.key)) {
      draft.key.clear();
      return invalid(fmt::format("its key, column \"{}\", is empty", columns_[key_.front()].name));
    }
  } else {
    draft.key = "[";
    for (const std::size_t column : key_) {
      if (draft.key.size() > 1) draft.key += ',';
      append_json_string(draft.key, *row[column]);
    }
    draft.key += ']';
  }
  constexpr std::size_t kKeyBytesMax = kEntryKeyBytesMax - 100;
  if (draft.key.size() > kKeyBytesMax) {
    draft.key.clear();
    return invalid(fmt::format("its key is longer than {} bytes", kKeyBytesMax));
  }
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (row[i] && !simdjson::validate_utf8(*row[i]))
      return invalid(fmt::format("column \"{}\" is not text in UTF-8", columns_[i].name));
  }
  TRY(read_person(row, draft));
  if (spec_.rows == RowsAs::events) TRY(read_event(row, draft));
  if (spec_.rows == RowsAs::members) {
    append_member(draft.payload, spec_.attribute);
    draft.payload += "true}";
    return {};
  }
  for (const Field& field : fields_) {
    const auto& value = row[field.column];
    if (!value && spec_.rows == RowsAs::events) continue;
    append_member(draft.payload, field.name);
    if (!value) {
      draft.payload += "null";
      continue;
    }
    if (auto done = append_value(draft.payload, *value, columns_[field.column].kind, field.wanted); !done)
      return invalid(fmt::format("column \"{}\": {}", columns_[field.column].name, done.error().message));
  }
  if (!draft.payload.empty()) draft.payload += '}';
  if (draft.payload.size() > kMessageBytesMax)
    return invalid(fmt::format("it has {} bytes, more than {}", draft.payload.size(), kMessageBytesMax));
  return {};
}

std::string RowMapping::message_id(const Entry& entry) const {
  const std::string hex = hex_of(content_hash(entry.key));
  if (spec_.rows == RowsAs::events && !entry.rejected) return hex;
  return fmt::format("{}-{}", options_.begun.ms, hex);
}

// {"column": "value", ...}: what is kept of a row that does not fit.
std::string RowMapping::raw_text(Row row) const {
  std::string out;
  for (std::size_t i = 0; i < columns_.size() && out.size() < kRejectedPayloadBytesMax; ++i) {
    append_member(out, columns_[i].name);
    if (!row[i]) {
      out += "null";
    } else if (simdjson::validate_utf8(*row[i])) {
      append_json_string(out, cut(*row[i], kRejectedPayloadBytesMax));
    } else {
      out += "\"?\"";
    }
  }
  return out.empty() ? "{}" : out + "}";
}

Entry RowMapping::map(Row row) const {
  TR_ASSERT(row.size() == columns_.size());
  Draft draft;
  const auto fits = read(row, draft);
  Entry entry;
  RecordView record{.kind = spec_.rows == RowsAs::events ? RecordKind::track : RecordKind::identify,
                    .received_at = {},
                    .time = draft.time.value_or(options_.begun),
                    .source = options_.source,
                    .message_id = {},
                    .user_id = draft.user_id,
                    .anonymous_id = draft.anonymous_id,
                    .previous_id = {},
                    .group_id = {},
                    .event = draft.event,
                    .payload = draft.payload,
                    .context = draft.context,
                    .reason = {}};
  std::string raw;
  std::string reason;
  if (!fits) {
    raw = raw_text(row);
    reason = fmt::format("a row of the query: {}", fits.error().message);
    entry.rejected = true;
    record.kind = RecordKind::rejected;
    record.time = options_.begun;
    record.event = {};
    record.context = {};
    record.payload = cut(raw, kRejectedPayloadBytesMax);
    record.reason = reason;
  }
  std::string content = fmt::format("{}\x1f{}\x1f{}\x1f{}\x1f{}\x1f", static_cast<int>(record.kind),
                                    record.user_id, record.anonymous_id, record.event, record.context);
  if (draft.time) content += fmt::format("{}", draft.time->ms);
  content += '\x1f';
  content += record.payload;
  content += '\x1f';
  content += record.reason;
  entry.hash = content_hash(content);
  entry.key = draft.key.empty() ? kKeyless + hex_of(entry.hash) : kKeyed + draft.key;
  std::string with_dropped;
  if (!dropped_.empty() && !entry.rejected && spec_.rows == RowsAs::people) {
    // Not of the content: it is said with the change, and once.
    with_dropped = draft.payload.empty() ? "" : draft.payload.substr(0, draft.payload.size() - 1);
    for (const std::string& name : dropped_) {
      append_member(with_dropped, name);
      with_dropped += "null";
    }
    with_dropped += '}';
    record.payload = with_dropped;
  }
  entry.stands = !entry.rejected;
  const std::string id = message_id(entry);
  record.message_id = id;
  entry.record = encoded(record);
  return entry;
}

std::optional<std::string> RowMapping::gone(const Entry& entry) const {
  const SnapshotHeader& before = options_.before ? *options_.before : header_;
  if (!entry.stands || entry.key.empty() || entry.key.front() != kKeyed || before.rows == RowsAs::events)
    return std::nullopt;
  if (before.rows == RowsAs::people && spec_.gone == Gone::keep) return std::nullopt;
  const std::string_view person = std::string_view(entry.key).substr(1);
  std::string payload;
  if (before.key == "email" || before.key == "phone") {
    append_member(payload, before.key);
    append_json_string(payload, person);
  }
  for (const std::string& name : before.names) {
    if (name == before.key) continue;
    append_member(payload, name);
    payload += before.rows == RowsAs::members ? "false" : "null";
  }
  if (payload.empty()) return std::nullopt;
  payload += '}';
  const std::string id = fmt::format("{}-{}", options_.begun.ms, hex_of(content_hash(entry.key)));
  RecordView record{.kind = RecordKind::identify,
                    .received_at = {},
                    .time = options_.begun,
                    .source = options_.source,
                    .message_id = id,
                    .user_id = {},
                    .anonymous_id = {},
                    .previous_id = {},
                    .group_id = {},
                    .event = {},
                    .payload = payload,
                    .context = {},
                    .reason = {}};
  if (before.key == "user_id") record.user_id = person;
  if (before.key == "anonymous_id") record.anonymous_id = person;
  return encoded(record);
}

}  // namespace tailrace::sources
