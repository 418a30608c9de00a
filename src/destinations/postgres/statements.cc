#include "destinations/postgres/statements.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "destinations/warehouse_sql/pack_order.h"

namespace tailrace::destinations::postgres_statements {
namespace {

// libpq's own quoting, which is not SQL's.
std::string connection_value(std::string_view value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string place(const std::string& schema, const std::string& table) {
  return quoted(schema) + "." + quoted(table);
}

std::string stage_of(const WarehouseTable& table) { return "pg_temp." + quoted("stage_" + table.name); }

std::string list(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const std::string& name : names) all.push_back(quoted(name));
  return fmt::format("{}", fmt::join(all, ", "));
}

std::string columns_of(const WarehouseTable& table) {
  std::vector<std::string> names;
  for (const WarehouseColumn& column : table.columns) names.push_back(column.name);
  return list(names);
}

// From the stage's column to the table's. A jsonb holds no U+0000, escaped with an odd number of backslashes.
std::string from_stage(const WarehouseColumn& column) {
  const std::string name = quoted(column.name);
  if (column.type != ColumnType::json) return name;
  return fmt::format(R"(regexp_replace({}, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::jsonb)", name);
}

}  // namespace

std::string connection(const Config& config) {
  const std::string& host = config.setting("host");
  std::string text;
  const auto add = [&](std::string_view keyword, const std::string& value) {
    if (!value.empty())
      text += fmt::format("{}{}={}", text.empty() ? "" : " ", keyword, connection_value(value));
  };
  add("host", host);
  add("port", config.setting("port"));
  add("dbname", config.setting("database"));
  add("user", config.setting("user"));
  add("password", config.secret("password"));
  add("sslmode", config.setting("sslmode"));
  add("sslrootcert", config.setting("sslrootcert"));
  return text;
}

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string_view type_of(ColumnType type) {
  switch (type) {
    case ColumnType::text:
      return "text";
    case ColumnType::boolean:
      return "boolean";
    case ColumnType::integer:
      return "bigint";
    case ColumnType::decimal:
      return "numeric(38,9)";
    case ColumnType::real:
      return "double precision";
    case ColumnType::time:
      return "timestamp with time zone";
    case ColumnType::json:
      return "jsonb";
  }
  return "text";
}

bool takes(std::string_view type_there, ColumnType type) {
  if (type_there == type_of(type)) return true;
  switch (type) {
    case ColumnType::text:
      return type_there == "character varying" || type_there == "citext";
    case ColumnType::integer:
    case ColumnType::decimal:
      return type_there == "numeric";
    case ColumnType::json:
      return type_there == "json" || type_there == "text";
    case ColumnType::boolean:
    case ColumnType::real:
    case ColumnType::time:
      return false;
  }
  return false;
}

std::string create_packs(const std::string& schema) {
  return fmt::format(
      "CREATE TABLE IF NOT EXISTS {} (sync text, sequence bigint, pack_id text NOT NULL, tables text NOT "
      "NULL, "
      "loaded_at timestamp with time zone NOT NULL, PRIMARY KEY (sync, sequence))",
      place(schema, std::string(kPacksTable)));
}

std::string create_table(const std::string& schema, const WarehouseTable& table) {
  std::string text = fmt::format("CREATE TABLE {} (", place(schema, table.name));
  for (const WarehouseColumn& column : table.columns)
    text += fmt::format("{} {}, ", quoted(column.name), type_of(column.type));
  return text + fmt::format("PRIMARY KEY ({}))", list(table.key));
}

std::string add_column(const std::string& schema, const std::string& table, const WarehouseColumn& column) {
  return fmt::format("ALTER TABLE {} ADD COLUMN {} {}", place(schema, table), quoted(column.name),
                     type_of(column.type));
}

std::string create_stage(const WarehouseTable& table) {
  std::vector<std::string> columns;
  for (const WarehouseColumn& column : table.columns)
    columns.push_back(fmt::format("{} {}", quoted(column.name),
                                  column.type == ColumnType::json ? "text" : type_of(column.type)));
  return fmt::format("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP", quoted("stage_" + table.name),
                     fmt::join(columns, ", "));
}

std::string copy_into_table(const std::string& schema, const WarehouseTable& table) {
  return fmt::format("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER)", place(schema, table.name),
                     columns_of(table));
}

std::string copy_into_stage(const WarehouseTable& table) {
  return fmt::format("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER)", stage_of(table), columns_of(table));
}

std::string merge(const std::string& schema, const WarehouseTable& table) {
  std::vector<std::string> values;
  for (const WarehouseColumn& column : table.columns) values.push_back(from_stage(column));
  const std::string key = list(table.key);
  if (table.kind == WarehouseTable::Kind::append)
    return fmt::format("INSERT INTO {} AS t ({}) SELECT {} FROM {} ON CONFLICT ({}) DO NOTHING",
                       place(schema, table.name), columns_of(table), fmt::join(values, ", "), stage_of(table),
                       key);
  const std::string version = quoted(table.version);
  std::vector<std::string> changes;
  for (const WarehouseColumn& column : table.columns) {
    if (std::ranges::find(table.key, column.name) == table.key.end())
      changes.push_back(fmt::format("{0} = excluded.{0}", quoted(column.name)));
  }
  // A statement may change a row once: of a key the newest alone comes.
  return fmt::format(
      "INSERT INTO {} AS t ({}) SELECT DISTINCT ON ({}) {} FROM {} ORDER BY {}, {} DESC NULLS LAST ON "
      "CONFLICT ({}) "
      "DO UPDATE SET {} WHERE t.{} IS NULL OR excluded.{} > t.{}",
      place(schema, table.name), columns_of(table), key, fmt::join(values, ", "), stage_of(table), key,
      version, key, fmt::join(changes, ", "), version, version, version);
}

std::string drop_stage(const WarehouseTable& table) { return "DROP TABLE " + stage_of(table); }

}  // namespace tailrace::destinations::postgres_statements
