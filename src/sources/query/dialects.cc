#include "sources/query/dialects.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

namespace tailrace::sources {
namespace {

// With the mark doubled within, as in SQL.
std::string in_marks(std::string_view name, char mark) {
  std::string out(1, mark);
  for (const char c : name) {
    if (c == mark) out += mark;
    out += c;
  }
  return out + mark;
}

// ClickHouse has escapes in names.
std::string backticked(std::string_view name) {
  std::string out = "`";
  for (const char c : name) {
    if (c == '`' || c == '\\') out += '\\';
    out += c;
  }
  return out + '`';
}

// A line end before the bracket closes a comment that the query may end with.
std::string select_from(std::string_view list, std::string_view query) {
  return fmt::format("SELECT {} FROM (\n{}\n)", list, bare_query(query));
}

// Numbers of types, from PostgreSQL's catalogue pg_type.
enum : std::uint32_t {
  kBool = 16,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kOid = 26,
  kJson = 114,
  kFloat4 = 700,
  kFloat8 = 701,
  kDate = 1082,
  kTimestamp = 1114,
  kTimestampTz = 1184,
  kNumeric = 1700,
  kJsonb = 3802,
};
// Arrays: bool, bytea, char, name, int2, int4, text, bpchar, varchar, int8, float4, float8, timestamp, date,
// time, timestamptz, numeric, uuid, jsonb.
constexpr std::array<std::uint32_t, 19> kPostgresArrays{1000, 1001, 1002, 1003, 1005, 1007, 1009,
                                                        1014, 1015, 1016, 1021, 1022, 1115, 1182,
                                                        1183, 1185, 1231, 2951, 3807};

ColumnKind postgres_kind(std::uint32_t type) {
  switch (type) {
    case kBool:
      return ColumnKind::boolean;
    case kInt8:
    case kInt2:
    case kInt4:
    case kOid:
    case kFloat4:
    case kFloat8:
    case kNumeric:
      return ColumnKind::number;
    case kJson:
    case kJsonb:
      return ColumnKind::json;
    case kDate:
      return ColumnKind::date;
    case kTimestamp:
      return ColumnKind::local_time;
    case kTimestampTz:
      return ColumnKind::time;
    default:
      return ColumnKind::text;
  }
}

bool begins_with_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return text.starts_with(word); });
}

ColumnKind duckdb_kind(std::string_view type) {
  if (type.ends_with(']') || begins_with_any(type, {"STRUCT(", "MAP(", "UNION("}) || type == "JSON")
    return ColumnKind::json;
  if (type == "BOOLEAN") return ColumnKind::boolean;
  if (type == "DATE") return ColumnKind::date;
  if (type == "TIMESTAMP WITH TIME ZONE") return ColumnKind::time;
  if (type.starts_with("TIMESTAMP")) return ColumnKind::local_time;
  if (begins_with_any(type, {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
                             "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL"}))
    return ColumnKind::number;
  return ColumnKind::text;
}

// Nullable(LowCardinality(String)) is String, and SimpleAggregateFunction(sum, Int64) is Int64: its values
// are of the last type it names, behind the function, which may have arguments of its own.
std::string_view unwrapped(std::string_view type) {
  if (type.starts_with("SimpleAggregateFunction(") && type.ends_with(')')) {
    type.remove_suffix(1);
    int depth = 0;
    for (std::size_t at = type.size(); at-- > 0;) {
      if (type[at] == ')') ++depth;
      if (type[at] == '(') --depth;
      if (type[at] == ',' && depth == 0)
        return unwrapped(type.substr(std::min(type.find_first_not_of(' ', at + 1), type.size())));
    }
    return type;
  }
  for (const std::string_view wrapper : {"Nullable(", "LowCardinality("}) {
    if (type.starts_with(wrapper) && type.ends_with(')'))
      return unwrapped(type.substr(wrapper.size(), type.size() - wrapper.size() - 1));
  }
  return type;
}

ColumnKind clickhouse_kind(std::string_view type) {
  // The last ones, shapes of points, are lists by another name.
  if (begins_with_any(
          type, {"Array(", "Map(", "Tuple(", "Nested(", "Variant(", "Dynamic", "JSON", "Object(", "Point",
                 "Ring", "Polygon", "LineString", "MultiPolygon", "MultiLineString", "Geometry"}))
    return ColumnKind::json;
  if (type == "Bool") return ColumnKind::boolean;
  if (type.starts_with("DateTime")) return ColumnKind::time;  // always an instant
  if (type.starts_with("Date")) return ColumnKind::date;
  if (type.starts_with("Interval")) return ColumnKind::text;
  if (begins_with_any(type, {"Int", "UInt", "Float", "BFloat", "Decimal"})) return ColumnKind::number;
  return ColumnKind::text;
}

std::optional<char> unescaped(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'r':
      return '\r';
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case '0':
      return '\0';
    case '\'':
    case '\\':
      return c;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string_view bare_query(std::string_view query) {
  const std::size_t last = query.find_last_not_of("; \t\r\n");
  return last == std::string_view::npos ? std::string_view() : query.substr(0, last + 1);
}

std::string postgres_describe(std::string_view query) { return select_from("*", query) + " AS rows LIMIT 0"; }

Statement postgres_select(std::string_view query, const std::vector<DescribedColumn>& columns) {
  Statement statement;
  std::string list;
  for (const DescribedColumn& column : columns) {
    const std::string name = in_marks(column.name, '"');
    const bool is_array = std::ranges::find(kPostgresArrays, column.number) != kPostgresArrays.end();
    list += fmt::format("{}{}", list.empty() ? "" : ", ", is_array ? fmt::format("to_json({})", name) : name);
    statement.columns.push_back({column.name, is_array ? ColumnKind::json : postgres_kind(column.number)});
  }
  statement.sql = select_from(list, query) + " AS rows";
  return statement;
}

std::string duckdb_describe(std::string_view query) { return "DESCRIBE " + select_from("*", query); }

Statement duckdb_select(std::string_view query, const std::vector<DescribedColumn>& columns) {
  Statement statement;
  std::string list;
  for (const DescribedColumn& column : columns) {
    const std::string name = in_marks(column.name, '"');
    const ColumnKind kind = duckdb_kind(column.type);
    list += fmt::format("{}CAST({} AS VARCHAR)", list.empty() ? "" : ", ",
                        kind == ColumnKind::json ? fmt::format("to_json({})", name) : name);
    statement.columns.push_back({column.name, kind});
  }
  statement.sql = select_from(list, query);
  return statement;
}

std::string clickhouse_describe(std::string_view query) {
  return fmt::format("DESCRIBE TABLE (\n{}\n) FORMAT TabSeparated", bare_query(query));
}

Statement clickhouse_select(std::string_view query, const std::vector<DescribedColumn>& columns) {
  Statement statement;
  std::string list;
  for (const DescribedColumn& column : columns) {
    const std::string name = backticked(column.name);
    const ColumnKind kind = clickhouse_kind(unwrapped(column.type));
    const std::string value = kind == ColumnKind::json ? fmt::format("toJSONString({})", name)
                              : kind == ColumnKind::time
                                  ? fmt::format("toString(toTimeZone({}, 'UTC'))", name)
                                  : fmt::format("toString({})", name);
    list += (list.empty() ? "" : ", ") + value;
    statement.columns.push_back({column.name, kind});
  }
  statement.sql = select_from(list, query) + " FORMAT TabSeparated";
  return statement;
}

Result<std::vector<std::optional<std::string>>> read_tab_separated(std::string_view line) {
  std::vector<std::optional<std::string>> cells;
  while (true) {
    const std::size_t end = std::min(line.find('\t'), line.size());
    const std::string_view cell = line.substr(0, end);
    std::optional<std::string>& out = cells.emplace_back();
    if (cell != "\\N") {
      out.emplace();
      for (std::size_t i = 0; i < cell.size(); ++i) {
        if (cell[i] != '\\') {
          *out += cell[i];
          continue;
        }
        const auto meant = i + 1 < cell.size() ? unescaped(cell[i + 1]) : std::nullopt;
        if (!meant) return fail(Error::Code::corrupt, "the answer has an escape that is none");
        *out += *meant;
        ++i;
      }
    }
    if (end == line.size()) return cells;
    line.remove_prefix(end + 1);
  }
}

}  // namespace tailrace::sources
