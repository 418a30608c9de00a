#include "destinations/postgres/statements.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "destinations/warehouse_sql/merge_text.h"
#include "destinations/warehouse_sql/sql_text.h"

namespace tailrace::destinations::postgres_statements {
namespace {

constexpr char kQuote = '"';

std::string place(const std::string& schema, const std::string& table) {
  return sql_name(schema) + "." + sql_name(table);
}

std::string stage_of(const WarehouseTable& table) { return "pg_temp." + sql_name("stage_" + table.name); }

std::string columns_of(const WarehouseTable& table) { return name_list(column_names(table), kQuote); }

// From the stage's column to the table's. A jsonb holds no U+0000, escaped with an odd number of backslashes.
std::string from_stage(const WarehouseColumn& column) {
  const std::string name = sql_name(column.name);
  if (column.type != ColumnType::json) return name;
  return fmt::format(R"(regexp_replace({}, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::jsonb)", name);
}

}  // namespace

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
    text += fmt::format("{} {}, ", sql_name(column.name), type_of(column.type));
  return text + fmt::format("PRIMARY KEY ({}))", name_list(table.key, kQuote));
}

std::string add_column(const std::string& schema, const std::string& table, const WarehouseColumn& column) {
  return fmt::format("ALTER TABLE {} ADD COLUMN {} {}", place(schema, table), sql_name(column.name),
                     type_of(column.type));
}

std::string create_stage(const WarehouseTable& table) {
  std::vector<std::string> columns;
  for (const WarehouseColumn& column : table.columns)
    columns.push_back(fmt::format("{} {}", sql_name(column.name),
                                  column.type == ColumnType::json ? "text" : type_of(column.type)));
  return fmt::format("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP", sql_name("stage_" + table.name),
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
  const std::string key = name_list(table.key, kQuote);
  if (table.kind == WarehouseTable::Kind::append)
    return fmt::format("INSERT INTO {} AS t ({}) SELECT {} FROM {} ON CONFLICT ({}) DO NOTHING",
                       place(schema, table.name), columns_of(table), fmt::join(values, ", "), stage_of(table),
                       key);
  const std::string version = sql_name(table.version);
  std::vector<std::string> changes;
  for (const WarehouseColumn& column : table.columns) {
    if (!is_key(table, column.name))
      changes.push_back(fmt::format("{0} = excluded.{0}", sql_name(column.name)));
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
