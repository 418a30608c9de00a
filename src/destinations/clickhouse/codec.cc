#include "destinations/clickhouse/codec.h"

#include <array>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "destinations/answer.h"
#include "destinations/text.h"
#include "destinations/warehouse_sql/sql_text.h"
#include "model/json.h"

namespace tailrace::destinations::clickhouse_codec {
namespace {

std::string name(std::string_view text) { return sql_name(text, '`'); }
std::string text_of(std::string_view text) { return sql_text(text, Backslash::escapes); }

std::string place(const std::string& table, const Config& config) {
  return name(config.setting("database")) + "." + name(table);
}

std::string on_cluster(const Config& config) {
  const std::string& cluster = config.setting("cluster");
  return cluster.empty() ? "" : " ON CLUSTER " + name(cluster);
}

// version: a column, or nothing.
std::string engine(const std::string& version, const std::string& order, const Config& config) {
  const bool replicated = !config.setting("cluster").empty();
  // Without a window a server that keeps one copy takes a token and does nothing with it.
  return fmt::format(" ENGINE = {}ReplacingMergeTree{} ORDER BY ({}) SETTINGS {} = 1000",
                     replicated ? "Replicated" : "", version.empty() ? "" : "(" + name(version) + ")", order,
                     replicated ? "replicated_deduplication_window" : "non_replicated_deduplication_window");
}

std::string names_of(const std::vector<std::string>& columns) {
  std::vector<std::string> all;
  for (const std::string& column : columns) all.push_back(name(column));
  return fmt::format("{}", fmt::join(all, ", "));
}

HttpRequest request_to(const Config& config, const std::string& query) {
  HttpRequest request;
  request.method = "POST";
  request.url = fmt::format("{}/?{}", without_trailing_slash(config.setting("url")), query);
  request.headers = {{"X-ClickHouse-User", config.setting("user")},
                     {"X-ClickHouse-Key", config.secret("password")},
                     {"Content-Type", "application/octet-stream"}};
  return request;
}

std::string_view base_type(ColumnType type) {
  switch (type) {
    case ColumnType::text:
    case ColumnType::json:
      return "String";
    case ColumnType::boolean:
      return "Bool";
    case ColumnType::integer:
      return "Int64";
    case ColumnType::decimal:
      return "Decimal(38, 9)";
    case ColumnType::real:
      return "Float64";
    case ColumnType::time:
      return "DateTime64(6, 'UTC')";
  }
  return "String";
}

std::string_view unwrapped(std::string_view type) {
  for (const std::string_view wrapper : {"LowCardinality(", "Nullable("}) {
    if (type.starts_with(wrapper) && type.ends_with(')'))
      type = type.substr(wrapper.size(), type.size() - wrapper.size() - 1);
  }
  return type;
}

// What a number in front of an exception says.
struct Meaning {
  int code;
  bool passes;
  std::string_view says;
};
constexpr std::array<Meaning, 27> kMeanings{{
    {159, true, "it did not finish in time"},
    {160, true, "it did not finish in time"},
    {202, true, "it has too many queries at once"},
    {209, true, "its network is too slow"},
    {210, true, "its network broke"},
    {225, true, "its keeper does not answer"},
    {236, true, "the query was ended"},
    {241, true, "it lacks the memory for this now"},
    {242, true, "the table is read-only for now"},
    {243, true, "its disk is full: make room there; the sync goes on by itself"},
    {252, true, "the table has too many parts for now"},
    {279, true, "its servers do not answer each other"},
    {285, true, "too few replicas are there"},
    {319, true, "it does not know whether the insert was done"},
    {394, true, "the query was ended"},
    {999, true, "its keeper does not answer"},
    {16, false, "a column is missing: was it dropped or renamed?"},
    {27, false, "the file does not fit the table: was a column altered?"},
    {53, false, "a column has another type: was it altered? Change it back"},
    {60, false, "a table is missing: was it dropped or renamed?"},
    {81, false, "the database is missing: create it, or mend `database`"},
    {164, false,
     "the user's profile says `readonly`: who writes needs 0; who reads 2, not 1, as settings come with a "
     "query"},
    {192, false, "it does not know the user: mend `user`"},
    {193, false, "the password is wrong"},
    {194, false, "it asks for a password"},
    {497, false, "the user lacks a right: grant those that the page of this destination names"},
    {516, false, "user or password is wrong"},
}};

int exception_code(const HttpResponse& response) {
  std::string_view text = response.headers.get("x-clickhouse-exception-code").value_or("");
  if (text.empty()) {
    // An error that came after the answer had begun stands at its end.
    const std::size_t at = response.body.rfind("Code: ");
    if (at != std::string::npos) text = std::string_view(response.body).substr(at + 6);
  }
  int code = 0;
  std::from_chars(text.data(), text.data() + text.size(), code);
  return code;
}

std::unexpected<Error> unreadable() {
  return fail(Error::Code::unavailable, "ClickHouse's answer cannot be read");
}

// The rows of FORMAT JSONCompact as texts.
Result<std::vector<std::vector<std::string>>> decode_rows(const std::string& body) {
  const auto value = parse_json(body);
  const Value* data = value ? member(&*value, "data") : nullptr;
  if (data == nullptr || data->kind != Value::Kind::list) return unreadable();
  std::vector<std::vector<std::string>> rows;
  for (const Value& row : data->list) {
    auto& out = rows.emplace_back();
    if (row.kind != Value::Kind::list) return unreadable();
    for (const Value& cell : row.list)
      out.push_back(cell.kind == Value::Kind::number ? cell.number.to_string() : cell.string);
  }
  return rows;
}

}  // namespace

HttpRequest statement(const std::string& sql, const Config& config) {
  HttpRequest request = request_to(config, "wait_end_of_query=1");
  request.body = sql;
  return request;
}

HttpRequest insert(const WarehouseTable& table, std::string bytes, const std::string& token,
                   const Config& config) {
  std::vector<std::string> columns;
  for (const WarehouseColumn& column : table.columns) columns.push_back(column.name);
  const std::string sql =
      fmt::format("INSERT INTO {} ({}) FORMAT Parquet", place(table.name, config), names_of(columns));
  // The same blocks in every try: their number is part of what the token stands for.
  HttpRequest request = request_to(
      config,
      fmt::format("query={}&wait_end_of_query=1&async_insert=0&insert_deduplicate=1&"
                  "insert_deduplication_token={}&max_insert_threads=1&input_format_parquet_preserve_order=1&"
                  "input_format_parquet_allow_missing_columns=1",
                  percent_encoded(sql), percent_encoded(token)));
  request.body = std::move(bytes);
  return request;
}

std::string create_database(const Config& config) {
  return fmt::format("CREATE DATABASE IF NOT EXISTS {}{}", name(config.setting("database")),
                     on_cluster(config));
}

std::string create_packs(const Config& config) {
  return fmt::format(
      "CREATE TABLE IF NOT EXISTS {}{} (`sync` String, `sequence` UInt64, `pack_id` String, `tables` String, "
      "`loaded_at` DateTime64(3, 'UTC')){}",
      place(std::string(kPacksTable), config), on_cluster(config), engine("", "`sync`, `sequence`", config));
}

std::string create_table(const WarehouseTable& table, const Config& config) {
  std::vector<std::string> columns;
  for (const WarehouseColumn& column : table.columns)
    columns.push_back(name(column.name) + " " + type_of(table, column));
  return fmt::format("CREATE TABLE IF NOT EXISTS {}{} ({}){}", place(table.name, config), on_cluster(config),
                     fmt::join(columns, ", "), engine(table.version, names_of(table.key), config));
}

std::string add_column(const std::string& table, const WarehouseColumn& column, const Config& config) {
  return fmt::format("ALTER TABLE {}{} ADD COLUMN IF NOT EXISTS {} Nullable({})", place(table, config),
                     on_cluster(config), name(column.name), base_type(column.type));
}

std::string select_columns(const Config& config) {
  return fmt::format("SELECT table, name, type FROM system.columns WHERE database = {} FORMAT JSONCompact",
                     text_of(config.setting("database")));
}

std::string select_packs(const Pack& pack, const Config& config) {
  const std::string packs = place(std::string(kPacksTable), config);
  const std::string sync = text_of(pack.sync);
  return fmt::format(
      "SELECT sequence, pack_id, tables FROM {0} FINAL WHERE sync = {1} AND (sequence = {2} OR sequence = "
      "(SELECT "
      "max(sequence) FROM {0} WHERE sync = {1})) ORDER BY sequence FORMAT JSONCompact",
      packs, sync, pack.sequence);
}

std::string insert_pack(const Pack& pack, const Config& config) {
  return fmt::format(
      "INSERT INTO {} (`sync`, `sequence`, `pack_id`, `tables`, `loaded_at`) SELECT {}, {}, {}, {}, now64(3)",
      place(std::string(kPacksTable), config), text_of(pack.sync), pack.sequence, text_of(pack.id),
      text_of(table_names(pack)));
}

std::string type_of(const WarehouseTable& table, const WarehouseColumn& column) {
  // A version is unsigned as the engine wants it; ours are positions in the log.
  if (column.name == table.version) return "UInt64";
  const std::string base(base_type(column.type));
  return is_key(table, column.name) ? base : "Nullable(" + base + ")";
}

bool takes(std::string_view type_there, const WarehouseTable& table, const WarehouseColumn& column) {
  const std::string_view there = unwrapped(type_there);
  if (there == unwrapped(type_of(table, column))) return true;
  if (column.type == ColumnType::json) return there == "JSON";
  if (column.type == ColumnType::integer) return there == "UInt64" || there == "Int128";
  return column.type == ColumnType::boolean && there == "UInt8";
}

Result<std::string> decode(HttpResponse response) {
  const int code = exception_code(response);
  if (response.status == 200 && code == 0) return std::move(response.body);
  for (const Meaning& each : kMeanings) {
    if (each.code != code) continue;
    return fail(each.passes ? Error::Code::unavailable : Error::Code::invalid_argument,
                fmt::format("ClickHouse: {} (code {})", each.says, code));
  }
  if (code > 0) return invalid(fmt::format("ClickHouse refuses (code {}; its query log says more)", code));
  const int status = response.status;
  if (status <= 0 || status == 408 || status == 429 || status >= 500)
    return fail(Error::Code::unavailable, fmt::format("ClickHouse does not take it now (HTTP {})", status));
  if (status == 401 || status == 403)
    return invalid(fmt::format("ClickHouse refuses user or password (HTTP {})", status));
  return invalid(fmt::format("what answers at `url` is no ClickHouse, or refuses (HTTP {})", status));
}

Result<TablesThere> decode_columns(const std::string& body) {
  TablesThere tables;
  for (const auto& row : TRY(decode_rows(body))) {
    if (row.size() != 3) return unreadable();
    tables[row[0]][row[1]] = row[2];
  }
  return tables;
}

Result<PacksThere> decode_packs(const std::string& body, const Pack& pack) {
  PacksThere there;
  for (const auto& row : TRY(decode_rows(body))) {
    if (row.size() != 3) return unreadable();
    LoadedPack one{0, row[1], row[2]};
    std::from_chars(row[0].data(), row[0].data() + row[0].size(), one.sequence);
    if (one.sequence == pack.sequence) there.id_of_same = one.id;
    there.last = std::move(one);
  }
  return there;
}

}  // namespace tailrace::destinations::clickhouse_codec
