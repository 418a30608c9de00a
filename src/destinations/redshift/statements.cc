#include "destinations/redshift/statements.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "destinations/answer.h"
#include "destinations/redshift/csv_parts.h"
#include "destinations/warehouse_sql/json_text.h"
#include "destinations/warehouse_sql/merge_text.h"
#include "destinations/warehouse_sql/sql_text.h"
#include "model/json.h"

namespace tailrace::destinations::redshift_statements {
namespace {

constexpr char kQuote = '"';

std::string place_of(const std::string& schema, std::string_view table) {
  return sql_name(schema) + "." + sql_name(table);
}

std::string definitions(const WarehouseTable& table) {
  std::vector<std::string> columns;
  for (const WarehouseColumn& column : table.columns)
    columns.push_back(fmt::format("{} {}", sql_name(column.name), type_of(column.type)));
  return fmt::format("{}", fmt::join(columns, ", "));
}

// a."person" = b."person" AND ...
std::string same_key(const WarehouseTable& table, std::string_view a, std::string_view b) {
  std::vector<std::string> same;
  for (const std::string& key : table.key)
    same.push_back(fmt::format("{}.{} = {}.{}", a, sql_name(key), b, sql_name(key)));
  return fmt::format("{}", fmt::join(same, " AND "));
}

}  // namespace

std::string_view type_of(ColumnType type) {
  switch (type) {
    case ColumnType::text:
    case ColumnType::json:
      return "varchar(65535)";
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
  }
  return "varchar(65535)";
}

bool takes(std::string_view type_there, ColumnType type) {
  switch (type) {
    case ColumnType::text:
    case ColumnType::json:
      // A narrower one would refuse a long text, and the whole pack with it.
      return type_there == "character varying(65535)" || (type == ColumnType::json && type_there == "super");
    case ColumnType::integer:
      return type_there == "bigint" || type_there == "numeric(38,0)";
    case ColumnType::boolean:
    case ColumnType::decimal:
    case ColumnType::real:
    case ColumnType::time:
      return type_there == type_of(type);
  }
  return false;
}

std::string create_packs(const std::string& schema) {
  return fmt::format(
      "CREATE TABLE IF NOT EXISTS {} (sync varchar(65535), sequence bigint, pack_id varchar(65535), tables "
      "varchar(65535), loaded_at timestamp with time zone)",
      place_of(schema, kPacksTable));
}

std::string lock_packs(const std::string& schema) { return "LOCK TABLE " + place_of(schema, kPacksTable); }

std::string create_table(const std::string& schema, const WarehouseTable& table) {
  return fmt::format("CREATE TABLE {} ({})", place(schema, table), definitions(table));
}

std::string add_column(const std::string& schema, const std::string& table, const WarehouseColumn& column) {
  return fmt::format("ALTER TABLE {} ADD COLUMN {} {}", place_of(schema, table), sql_name(column.name),
                     type_of(column.type));
}

std::string create_stage(const WarehouseTable& table) {
  return fmt::format("CREATE TEMPORARY TABLE {} ({})", stage_of(table), definitions(table));
}

std::string drop_stage(const WarehouseTable& table) { return "DROP TABLE " + stage_of(table); }

std::string place(const std::string& schema, const WarehouseTable& table) {
  return place_of(schema, table.name);
}

std::string stage_of(const WarehouseTable& table) { return sql_name("stage_" + table.name); }

std::string copy(const std::string& into, const WarehouseTable& table, const std::string& manifest,
                 const Config& config) {
  const auto text = [](std::string_view of) { return sql_text(of, Backslash::escapes); };
  const std::string& role = config.setting("iam_role");
  return fmt::format(
      "COPY {} ({}) FROM {} IAM_ROLE {} REGION {} MANIFEST FORMAT AS CSV NULL AS {} TIMEFORMAT 'auto' "
      "COMPUPDATE OFF",
      into, name_list(column_names(table), kQuote), text(manifest), role == "default" ? role : text(role),
      text(config.setting("region")), text(redshift_csv::kNull));
}

std::string manifest(const std::string& location, const std::vector<std::string>& names) {
  std::vector<Value> entries;
  for (const std::string& name : names)
    entries.push_back(object_of({{"url", location + "/" + name}, {"mandatory", true}}));
  return to_json(object_of({{"entries", list_of(std::move(entries))}}));
}

std::vector<std::string> names_in(std::string_view manifest, std::string_view location) {
  std::vector<std::string> names;
  const auto read = parse_json(manifest);
  const Value* entries = read ? member(&*read, "entries") : nullptr;
  if (entries == nullptr || entries->kind != Value::Kind::list) return names;
  for (const Value& entry : entries->list) {
    std::string_view url = text_member(&entry, "url");
    if (!url.starts_with(location)) continue;
    url.remove_prefix(location.size());
    if (url.starts_with('/')) names.emplace_back(url.substr(1));
  }
  return names;
}

std::vector<std::string> merge(const std::string& schema, const WarehouseTable& table) {
  const std::string into = place(schema, table);
  const std::string stage = stage_of(table);
  const std::string columns = name_list(column_names(table), kQuote);
  const std::string version = sql_name(table.version);
  return {
      fmt::format("DELETE FROM {0} USING {1} WHERE {2} AND ({0}.{3} IS NULL OR {0}.{3} < {1}.{3})", into,
                  stage, same_key(table, into, stage), version),
      fmt::format(
          "INSERT INTO {0} ({1}) SELECT {1} FROM (SELECT {1}, ROW_NUMBER() OVER (PARTITION BY {2} ORDER BY "
          "{3} DESC) AS tailrace_row FROM {4}) AS s WHERE tailrace_row = 1 AND NOT EXISTS (SELECT 1 FROM "
          "{0} WHERE {5})",
          into, columns, name_list(table.key, kQuote), version, stage, same_key(table, into, "s"))};
}

}  // namespace tailrace::destinations::redshift_statements
