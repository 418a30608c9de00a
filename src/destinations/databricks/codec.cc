#include "destinations/databricks/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/text.h"
#include "destinations/warehouse_sql/json_text.h"
#include "destinations/warehouse_sql/merge_text.h"
#include "destinations/warehouse_sql/sql_text.h"
#include "model/json.h"

namespace tailrace::destinations::databricks_codec {
namespace {

constexpr char kQuote = '`';
// Row by row two statements that add the same rows would not see each other; file by file one of them fails.
constexpr std::string_view kProperties =
    "USING DELTA{} TBLPROPERTIES ('delta.isolationLevel' = 'Serializable', 'delta.enableDeletionVectors' = "
    "'false')";

std::string name(std::string_view text) { return sql_name(text, kQuote); }

std::string place(std::string_view table, const Config& config) {
  return fmt::format("{}.{}.{}", name(config.setting("catalog")), name(config.setting("schema")),
                     name(table));
}

std::string base(const Config& config) { return std::string(without_trailing_slash(config.setting("url"))); }

HttpRequest request(std::string method, std::string url, std::string_view content, const std::string& token) {
  return {std::move(method),
          std::move(url),
          {{"Authorization", "Bearer " + token},
           {"Accept", "application/json"},
           {"Content-Type", std::string(content)},
           {"User-Agent", "tailrace/1.0"}},
          ""};
}

std::string staged_path(const std::string& file, const Config& config) {
  return fmt::format("{}/{}", without_trailing_slash(config.setting("volume_path")), file);
}

std::string file_url(const std::string& file, const Config& config) {
  return fmt::format("{}/api/2.0/fs/files{}", base(config), encoded_path(staged_path(file, config)));
}

// The rows of a table's files, as one query in parentheses.
std::string rows_of(const Pack& pack, const WarehouseTable& table, const Config& config) {
  const std::string columns = name_list(column_names(table), kQuote);
  std::vector<std::string> parts;
  for (const PackFile* file : files_of(pack, table))
    parts.push_back(fmt::format("SELECT {} FROM parquet.{}", columns,
                                name(staged_path(staged_name(pack, *file), config))));
  return fmt::format("({})", fmt::join(parts, " UNION ALL "));
}

struct Meaning {
  std::string_view code;
  bool passes;
  std::string_view says;
};
constexpr std::string_view kAltered = "a file does not fit its table: was a column altered?";
constexpr std::string_view kMissing =
    "a table, the schema or the catalog is missing or may not be seen: was it dropped, or a grant removed?";
constexpr std::string_view kRight = "a right is missing: grant those that the page of this destination names";
constexpr std::string_view kMeanwhile = "something else changed the table meanwhile";
constexpr std::string_view kBusy = "Databricks does not take it now";
constexpr std::array<Meaning, 28> kMeanings{{
    {"DELTA_METADATA_CHANGED", true, kMeanwhile},
    {"DELTA_PROTOCOL_CHANGED", true, kMeanwhile},
    {"FIELD_ALREADY_EXISTS", true, kMeanwhile},
    {"FIELDS_ALREADY_EXISTS", true, kMeanwhile},
    {"PATH_NOT_FOUND", true, "a staged file was removed while it was loaded"},
    {"TABLE_OR_VIEW_NOT_FOUND", false, kMissing},
    {"SCHEMA_NOT_FOUND", false, kMissing},
    {"NO_SUCH_CATALOG_EXCEPTION", false, kMissing},
    {"INSUFFICIENT_PERMISSIONS", false, kRight},
    {"PERMISSION_DENIED", false, kRight},
    {"UNRESOLVED_COLUMN", false, kAltered},
    {"DELTA_MERGE_UNRESOLVED_EXPRESSION", false, kAltered},
    {"DELTA_FAILED_TO_MERGE_FIELDS", false, kAltered},
    {"FAILED_READ_FILE", false, kAltered},
    {"DATATYPE_MISMATCH", false, kAltered},
    {"CAST_OVERFLOW_IN_TABLE_INSERT", false, kAltered},
    {"UNAUTHENTICATED", false, "Databricks does not know the token: give a valid one"},
    {"RESOURCE_DOES_NOT_EXIST", false,
     "there is no such warehouse or volume: mend `warehouse_id` or `volume_path`"},
    {"NOT_FOUND", false, "there is no such warehouse or volume: mend `warehouse_id` or `volume_path`"},
    {"TEMPORARILY_UNAVAILABLE", true, kBusy},
    {"WORKSPACE_TEMPORARILY_UNAVAILABLE", true, kBusy},
    {"SERVICE_UNDER_MAINTENANCE", true, kBusy},
    {"INTERNAL_ERROR", true, kBusy},
    {"IO_ERROR", true, kBusy},
    {"DEADLINE_EXCEEDED", true, kBusy},
    {"RESOURCE_EXHAUSTED", true, kBusy},
    {"ABORTED", true, kBusy},
    {"CANCELLED", true, "somebody cancelled the statement"},
}};

// Words begin with the error's class in brackets, "[TABLE_OR_VIEW_NOT_FOUND] ..." or "[A_CLASS.WITH_ANOTHER]
// ...".
std::string class_of(std::string_view words) {
  if (!words.starts_with('[')) return {};
  return code_word(words.substr(1, std::min(words.find_first_of(".]"), words.size()) - 1));
}

// error: with error_code and message, as an answer or a statement's status has them; may be nullptr.
std::unexpected<Error> refused(const Value* error, std::string_view shown_else, bool passes_else) {
  const std::string kind = class_of(text_member(error, "message"));
  const std::string code = code_word(text_member(error, "error_code"));
  if (kind.starts_with("DELTA_CONCURRENT_"))
    return fail(Error::Code::unavailable, fmt::format("Databricks: {} ({})", kMeanwhile, kind));
  // The class says more than the code.
  for (const std::string& word : {kind, code}) {
    const auto found = std::ranges::find(kMeanings, std::string_view(word), &Meaning::code);
    if (word.empty() || found == kMeanings.end()) continue;
    return fail(found->passes ? Error::Code::unavailable : Error::Code::invalid_argument,
                fmt::format("Databricks: {} ({})", found->says, word));
  }
  std::string_view shown = shown_else;
  if (!code.empty()) shown = code;
  if (!kind.empty()) shown = kind;
  if (passes_else) return fail(Error::Code::unavailable, fmt::format("{} ({})", kBusy, shown));
  return invalid(fmt::format("Databricks refuses; its query history says why ({})", shown));
}

std::unexpected<Error> refused(const HttpResponse& response) {
  const auto body = json_object(response);
  const int status = response.status;
  const bool passes = status <= 0 || status == 408 || status == 429 || status >= 500;
  const std::string shown = fmt::format("HTTP {}", status);
  if (passes) return fail(Error::Code::unavailable, fmt::format("{} ({})", kBusy, shown));
  if (status == 401)
    return invalid(fmt::format("Databricks does not know the token: give a valid one ({})", shown));
  if (status == 403) return invalid(fmt::format("Databricks: {} ({})", kRight, shown));
  return refused(body ? &*body : nullptr, shown, false);
}

std::unexpected<Error> unreadable() {
  return fail(Error::Code::unavailable, "Databricks's answer cannot be read");
}

}  // namespace

std::optional<HttpRequest> token_request(const Config& config) {
  if (config.secret("client_id").empty()) return std::nullopt;
  const std::string client = fmt::format("{}:{}", percent_encoded(config.secret("client_id")),
                                         percent_encoded(config.secret("client_secret")));
  return HttpRequest{"POST",
                     base(config) + "/oidc/v1/token",
                     {{"Content-Type", "application/x-www-form-urlencoded"},
                      {"Authorization", "Basic " + to_base64(client)}},
                     "grant_type=client_credentials&scope=all-apis"};
}

HttpRequest submit(const Statement& statement, const Config& config, const std::string& token) {
  HttpRequest made = request("POST", base(config) + "/api/2.0/sql/statements", "application/json", token);
  Value body = object_of({{"warehouse_id", config.setting("warehouse_id")},
                          {"statement", statement.sql},
                          {"wait_timeout", "0s"},
                          {"on_wait_timeout", "CONTINUE"},
                          {"disposition", "INLINE"},
                          {"format", "JSON_ARRAY"}});
  std::vector<Value> parameters;
  for (const auto& [key, text] : statement.texts)
    parameters.push_back(object_of({{"name", key}, {"value", text}, {"type", "STRING"}}));
  if (!parameters.empty()) body.members.emplace_back("parameters", list_of(std::move(parameters)));
  made.body = to_json(body);
  return made;
}

HttpRequest poll(const std::string& id, const Config& config, const std::string& token) {
  return request("GET", fmt::format("{}/api/2.0/sql/statements/{}", base(config), percent_encoded(id)),
                 "application/json", token);
}

Result<Answer> decode(const HttpResponse& response) {
  if (response.status != 200) return refused(response);
  const auto body = json_object(response);
  const Value* read = body ? &*body : nullptr;
  const Value* status = member(read, "status");
  const std::string_view state = text_member(status, "state");
  Answer answer;
  if (state == "PENDING" || state == "RUNNING") {
    answer.running = text_member(read, "statement_id");
    if (answer.running.empty()) return unreadable();
    return answer;
  }
  if (state == "CANCELED" || state == "CLOSED")
    return fail(Error::Code::unavailable,
                fmt::format("Databricks: somebody cancelled the statement ({})", state));
  if (state == "FAILED") return refused(member(status, "error"), "no code", false);
  if (state != "SUCCEEDED") return unreadable();
  const Value* result = member(read, "result");
  // More than one answer holds: what is asked for here is small.
  if (member(result, "next_chunk_index") != nullptr) return unreadable();
  if (const Value* rows = member(result, "data_array"); rows != nullptr && rows->kind == Value::Kind::list) {
    for (const Value& row : rows->list) {
      auto& out = answer.rows.emplace_back();
      for (const Value& cell : row.list) out.push_back(cell.string);
    }
  }
  return answer;
}

HttpRequest put_file(const std::string& file, std::string bytes, const Config& config,
                     const std::string& token) {
  HttpRequest made =
      request("PUT", file_url(file, config) + "?overwrite=true", "application/octet-stream", token);
  made.body = std::move(bytes);
  return made;
}

HttpRequest delete_file(const std::string& file, const Config& config, const std::string& token) {
  return request("DELETE", file_url(file, config), "application/json", token);
}

Result<void> decode_file(const HttpResponse& response) {
  if (response.status == 200 || response.status == 201 || response.status == 204) return {};
  return refused(response);
}

std::string staged_name(const Pack& pack, const PackFile& file) {
  // No folders: nobody would remove them.
  std::string name = fmt::format("{}_{}", pack.id, file.name);
  std::ranges::replace(name, '/', '_');
  return name;
}

Statement create_packs(const Config& config) {
  return {fmt::format(
              "CREATE TABLE IF NOT EXISTS {} (sync STRING, sequence BIGINT, pack_id STRING, tables STRING, "
              "loaded_at TIMESTAMP) ",
              place(kPacksTable, config)) +
          fmt::format(kProperties, "")};
}

Statement create_table(const WarehouseTable& table, const Config& config) {
  std::vector<std::string> columns;
  for (const WarehouseColumn& column : table.columns)
    columns.push_back(fmt::format("{} {}", name(column.name), type_of(column.type)));
  return {fmt::format("CREATE TABLE IF NOT EXISTS {} ({}) ", place(table.name, config),
                      fmt::join(columns, ", ")) +
          fmt::format(kProperties, fmt::format(" CLUSTER BY ({})", name_list(table.key, kQuote)))};
}

Statement drop_table(const std::string& table, const Config& config) {
  return {fmt::format("DROP TABLE IF EXISTS {}", place(table, config))};
}

Statement add_column(const std::string& table, const WarehouseColumn& column, const Config& config) {
  return {fmt::format("ALTER TABLE {} ADD COLUMNS ({} {})", place(table, config), name(column.name),
                      type_of(column.type))};
}

Statement select_columns(const Config& config) {
  return {
      fmt::format("SELECT table_name, column_name, full_data_type FROM {}.information_schema.columns WHERE "
                  "table_schema = :schema",
                  name(config.setting("catalog"))),
      {{"schema", config.setting("schema")}}};
}

Statement select_packs(const Pack& pack, const Config& config) {
  return {destinations::select_packs(pack, place(kPacksTable, config), ":sync"), {{"sync", pack.sync}}};
}

Statement merge(const Pack& pack, const WarehouseTable& table, const Config& config) {
  const std::string rows = rows_of(pack, table, config);
  if (table.kind == WarehouseTable::Kind::append)
    return {merge_new(table, place(table.name, config), rows, kQuote)};
  return {merge_latest(table, place(table.name, config), rows, kQuote)};
}

Statement insert_pack(const Pack& pack, const Config& config) {
  return {
      fmt::format("MERGE INTO {} t USING (SELECT :sync AS sync, {} AS sequence) s ON t.sync = s.sync AND "
                  "t.sequence = s.sequence WHEN NOT MATCHED THEN INSERT (sync, sequence, pack_id, tables, "
                  "loaded_at) VALUES (s.sync, s.sequence, :pack, :tables, current_timestamp())",
                  place(kPacksTable, config), pack.sequence),
      {{"sync", pack.sync}, {"pack", pack.id}, {"tables", table_names(pack)}}};
}

std::string_view type_of(ColumnType type) {
  switch (type) {
    case ColumnType::text:
    case ColumnType::json:
      return "STRING";
    case ColumnType::boolean:
      return "BOOLEAN";
    case ColumnType::integer:
      return "BIGINT";
    case ColumnType::decimal:
      return "DECIMAL(38, 9)";
    case ColumnType::real:
      return "DOUBLE";
    case ColumnType::time:
      return "TIMESTAMP";
  }
  return "STRING";
}

// As the server shows types, lower case: "decimal(38,9)".
bool takes(std::string_view type_there, ColumnType type) {
  switch (type) {
    case ColumnType::text:
    case ColumnType::json:
      return type_there == "string" || (type == ColumnType::text && type_there.starts_with("varchar("));
    case ColumnType::boolean:
      return type_there == "boolean";
    case ColumnType::integer:
      return type_there == "bigint" || type_there == "decimal(38,0)";
    case ColumnType::decimal:
      return type_there == "decimal(38,9)";
    case ColumnType::real:
      return type_there == "double";
    case ColumnType::time:
      return type_there == "timestamp";
  }
  return false;
}

Result<TablesThere> read_columns(const Answer& answer) {
  TablesThere tables;
  for (const auto& row : answer.rows) {
    if (row.size() != 3) return unreadable();
    tables[row[0]][row[1]] = row[2];
  }
  return tables;
}

}  // namespace tailrace::destinations::databricks_codec
