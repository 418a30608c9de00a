#include "destinations/postgres/session.h"

#include <array>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "destinations/warehouse_sql/sql_text.h"

namespace tailrace::destinations::postgres_session {
namespace {

constexpr std::array<std::string_view, 4> kModes{"verify-full", "verify-ca", "require", "disable"};

using Parameters = std::vector<std::optional<std::string>>;

// libpq's own quoting, which is not SQL's.
std::string connection_value(std::string_view value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string packs_of(const std::string& schema) {
  return fmt::format("{}.{}", sql_name(schema), kPacksTable);
}

}  // namespace

void check(const Config& config, Problems& problems) {
  check_count(config, "port", 65'535, problems);
  check_choice(config, "sslmode", kModes, problems);
  for (const char* name : {"host", "database", "user", "schema", "sslrootcert"})
    check_plain(config, name, problems);
  const std::string& schema = config.setting("schema");
  if (schema.size() > 63 || schema.starts_with("pg_") || schema == "information_schema")
    problems.emplace_back("schema must have at most 63 bytes and be none of the server's own");
  const std::string& host = config.setting("host");
  const bool here = host.starts_with('/') || host == "localhost" || host == "127.0.0.1" || host == "::1";
  if (config.setting("sslmode") == "disable" && !here)
    problems.emplace_back("sslmode may be `disable` only where host is this machine");
}

std::string connection(const Config& config) {
  std::string text;
  const auto add = [&](std::string_view keyword, const std::string& value) {
    if (!value.empty())
      text += fmt::format("{}{}={}", text.empty() ? "" : " ", keyword, connection_value(value));
  };
  add("host", config.setting("host"));
  add("port", config.setting("port"));
  add("dbname", config.setting("database"));
  add("user", config.setting("user"));
  add("password", config.secret("password"));
  add("sslmode", config.setting("sslmode"));
  add("sslrootcert", config.setting("sslrootcert"));
  return text;
}

Result<bool> has_schema(SqlSession& session, const std::string& schema) {
  const Parameters name{schema};
  const auto found = TRY(session.run("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", name));
  return !found.rows.empty();
}

Result<TablesThere> tables_there(SqlSession& session, const std::string& schema) {
  const Parameters name{schema};
  const auto found = TRY(
      session.run("SELECT c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM "
                  "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN "
                  "pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
                  "WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')",
                  name));
  TablesThere tables;
  for (const auto& row : found.rows) {
    ColumnsThere& columns = tables[row.at(0).value_or("")];
    if (row.at(1)) columns[*row.at(1)] = row.at(2).value_or("");
  }
  return tables;
}

Result<void> bring_tables(SqlSession& session, const std::string& schema, const Pack& pack,
                          const PacksThere& there, std::string_view where, const Dialect& dialect) {
  const TableMaker make{
      .create = [&](const WarehouseTable& table) -> Result<void> {
        TRY(session.run(dialect.create_table(schema, table)));
        return {};
      },
      .add_column = [&](const WarehouseTable& table, const WarehouseColumn& column) -> Result<void> {
        TRY(session.run(dialect.add_column(schema, table.name, column)));
        return {};
      },
      .type_of = [&](const WarehouseTable&,
                     const WarehouseColumn& column) { return std::string(dialect.type_of(column.type)); },
      .takes = [&](std::string_view type_there, const WarehouseTable&,
                   const WarehouseColumn& column) { return dialect.takes(type_there, column.type); }};
  return destinations::bring_tables(pack, there, TRY(tables_there(session, schema)), where, make);
}

Result<PacksThere> packs_there(SqlSession& session, const std::string& schema, const Pack& pack) {
  const Parameters parameters{pack.sync, fmt::format("{}", pack.sequence)};
  const auto found = TRY(session.run(
      fmt::format(
          "SELECT sequence, pack_id, tables, sequence = $2::bigint FROM {0} WHERE sync = $1 AND (sequence = "
          "$2::bigint OR sequence = (SELECT max(sequence) FROM {0} WHERE sync = $1)) ORDER BY sequence",
          packs_of(schema)),
      parameters));
  PacksThere there;
  for (const auto& row : found.rows) {
    LoadedPack one;
    for (const char digit : row.at(0).value_or(""))
      one.sequence = one.sequence * 10 + static_cast<std::uint64_t>(digit - '0');
    one.id = row.at(1).value_or("");
    one.tables = row.at(2).value_or("");
    if (row.at(3) == "t") there.id_of_same = one.id;
    there.last = std::move(one);
  }
  return there;
}

Result<void> insert_pack(SqlSession& session, const std::string& schema, const Pack& pack,
                         std::string_view now) {
  const Parameters row{pack.sync, fmt::format("{}", pack.sequence), pack.id, table_names(pack)};
  TRY(session.run(
      fmt::format("INSERT INTO {} (sync, sequence, pack_id, tables, loaded_at) VALUES ($1, $2::bigint, "
                  "$3, $4, {})",
                  packs_of(schema), now),
      row));
  return {};
}

Error advised(Error error, std::string_view where, std::span<const Advice> advice) {
  std::string mend;
  for (const Advice& each : advice) {
    if (error.message.starts_with(each.begins)) mend = fmt::format(": {}", each.mend);
  }
  return {error.code, fmt::format("{}: {}{}", where, error.message, mend)};
}

}  // namespace tailrace::destinations::postgres_session
