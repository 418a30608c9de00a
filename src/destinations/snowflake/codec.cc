#include "destinations/snowflake/codec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/hash.h"
#include "destinations/answer.h"
#include "destinations/authentication/signed_token.h"
#include "destinations/text.h"
#include "destinations/warehouse_sql/json_text.h"
#include "destinations/warehouse_sql/merge_text.h"
#include "destinations/warehouse_sql/sql_text.h"
#include "model/json.h"

namespace tailrace::destinations::snowflake_codec {
namespace {

constexpr int kStatementSeconds = 1800;
constexpr Millis kTokenLife{59 * 60 * 1000};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return out;
}
std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// Names are upper case there, so that nobody who asks has to quote them.
std::string name(std::string_view text) { return sql_name(upper(text)); }

std::string schema_of(const Config& config) {
  return sql_name(config.setting("database")) + "." + sql_name(config.setting("schema"));
}
std::string place(std::string_view table, const Config& config) {
  return schema_of(config) + "." + name(table);
}
std::string text_of(std::string_view text) { return sql_text(text, Backslash::escapes); }

std::string base(const Config& config) {
  const std::string& url = config.setting("url");
  if (!url.empty()) return std::string(without_trailing_slash(url));
  return fmt::format("https://{}.snowflakecomputing.com", lower(config.setting("account")));
}

HttpRequest request(std::string method, std::string url, const std::string& token) {
  return {std::move(method),
          std::move(url),
          {{"Authorization", "Bearer " + token},
           {"X-Snowflake-Authorization-Token-Type", "KEYPAIR_JWT"},
           {"Accept", "application/json"},
           {"Content-Type", "application/json"},
           {"User-Agent", "tailrace/1.0"}},
          ""};
}

// The columns as ours, upper case.
WarehouseTable upper_cased(WarehouseTable table) {
  for (WarehouseColumn& column : table.columns) column.name = upper(column.name);
  for (std::string& key : table.key) key = upper(key);
  table.version = upper(table.version);
  return table;
}

std::string copy(const Pack& pack, const WarehouseTable& table, const std::string& into,
                 const Config& config) {
  std::vector<std::string> files;
  for (const PackFile* file : files_of(pack, table)) files.push_back(text_of(staged_name(pack, *file)));
  return fmt::format(
      "COPY INTO {} FROM @{} FILES = ({}) FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) "
      "MATCH_BY_COLUMN_NAME = "
      "CASE_INSENSITIVE ON_ERROR = ABORT_STATEMENT",
      into, config.setting("stage"), fmt::join(files, ", "));
}

struct Meaning {
  std::string_view code;
  bool passes;
  std::string_view says;
};
constexpr std::array<Meaning, 12> kMeanings{{
    {"390144", false,
     "the key or the user is not known: give the user its RSA_PUBLIC_KEY, and mend `account` and `user`"},
    {"390100", false, "the user is not known"},
    {"390422", false, "this machine's address is not allowed by the account's network policy"},
    {"390201", false, "the role or the user is missing"},
    {"390189", false, "the role is missing, or not granted to the user"},
    {"391911", false, "a statement that needs a session"},
    {"000606", false, "no warehouse: create it, or mend `warehouse`"},
    {"090073", true, "a resource monitor's quota is used up"},
    {"003001", false, "a right is missing: grant those that the page of this destination names"},
    {"002003", false, "an object is missing or may not be seen: was a table, the stage or a grant removed?"},
    {"100080", false, "a file does not fit its table: was a column altered?"},
    {"000625", true, "another transaction held the table for too long"},
}};

std::string code_of(std::string_view text) {
  const bool digits = text.find_first_not_of("0123456789") == std::string_view::npos;
  return digits && text.size() <= 8 ? std::string(text) : std::string();
}

}  // namespace

Result<std::string> token(const Config& config, Time now) {
  const auto key = RsaKey::read(config.secret("private_key"));
  if (!key) return invalid("private_key must be an unencrypted RSA key, PEM");
  std::string account = upper(config.setting("account"));
  // The region of a locator is no part of it.
  account = account.substr(0, account.find('.'));
  const std::string subject = account + "." + upper(config.setting("user"));
  const auto issued = static_cast<std::uint64_t>(now.ms / kSecond.count);
  const auto life = static_cast<std::uint64_t>(kTokenLife.count / kSecond.count);
  const auto made = key->sign(object_of({{"alg", "RS256"}, {"typ", "JWT"}}),
                              object_of({{"iss", subject + ".SHA256:" + key->public_digest()},
                                         {"sub", subject},
                                         {"iat", issued},
                                         {"exp", issued + life}}));
  if (!made) return invalid("private_key cannot sign");
  return *made;
}

std::string request_id(std::string_view words) {
  const std::string hex = sha256_hex(words);
  return fmt::format("{}-{}-4{}-8{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3),
                     hex.substr(17, 3), hex.substr(20, 12));
}

HttpRequest submit(const Submission& submission, const Config& config, const std::string& token) {
  HttpRequest made = request("POST",
                             fmt::format("{}/api/v2/statements?requestId={}&async=true{}", base(config),
                                         submission.id, submission.again ? "&retry=true" : ""),
                             token);
  Value parameters = object_of({{"query_tag", "tailrace"}, {"timezone", "UTC"}});
  if (submission.statements > 1)
    parameters.members.emplace_back("MULTI_STATEMENT_COUNT",
                                    Value::of(std::to_string(submission.statements)));
  Value body = object_of({{"statement", submission.sql},
                          {"timeout", kStatementSeconds},
                          {"database", config.setting("database")},
                          {"warehouse", config.setting("warehouse")},
                          {"parameters", parameters}});
  if (const std::string& role = config.setting("role"); !role.empty())
    body.members.emplace_back("role", Value::of(role));
  made.body = to_json(body);
  return made;
}

HttpRequest poll(const std::string& handle, const Config& config, const std::string& token) {
  return request("GET", fmt::format("{}/api/v2/statements/{}", base(config), percent_encoded(handle)), token);
}

Result<Answer> decode(const HttpResponse& response) {
  const auto body = json_object(response);
  const Value* read = body ? &*body : nullptr;
  if (response.status == 200 || response.status == 202) {
    Answer answer;
    const std::string handle(text_member(read, "statementHandle"));
    if (handle.empty()) return fail(Error::Code::unavailable, "Snowflake's answer cannot be read");
    if (response.status == 202) {
      answer.running = handle;
      return answer;
    }
    if (const Value* data = member(read, "data"); data != nullptr && data->kind == Value::Kind::list) {
      for (const Value& row : data->list) {
        auto& out = answer.rows.emplace_back();
        for (const Value& cell : row.list) out.push_back(cell.string);
      }
    }
    return answer;
  }
  const std::string code = code_of(text_member(read, "code"));
  for (const Meaning& each : kMeanings) {
    if (each.code == code)
      return fail(each.passes ? Error::Code::unavailable : Error::Code::invalid_argument,
                  fmt::format("Snowflake: {} (code {})", each.says, code));
  }
  const std::string shown = code.empty() ? fmt::format("HTTP {}", response.status) : "code " + code;
  const int status = response.status;
  if (status <= 0 || status == 408 || status == 429 || status >= 500)
    return fail(Error::Code::unavailable, fmt::format("Snowflake does not take it now ({})", shown));
  if (status == 401)
    return invalid(fmt::format(
        "Snowflake does not know the key or the user: mend `account`, `user` or private_key ({})", shown));
  if (status == 403) return invalid(fmt::format("Snowflake refuses this machine or user ({})", shown));
  if (status == 404) return invalid(fmt::format("there is no such account: mend `account` ({})", shown));
  return invalid(fmt::format("Snowflake refuses a statement; its query history says why ({})", shown));
}

std::string create_packs(const Config& config) {
  return fmt::format(
      "CREATE TABLE IF NOT EXISTS {} (SYNC VARCHAR, SEQUENCE NUMBER(38, 0), PACK_ID VARCHAR, TABLES VARCHAR, "
      "LOADED_AT "
      "TIMESTAMP_TZ)",
      place(kPacksTable, config));
}

std::string create_lock_row(const Config& config) {
  return fmt::format(
      "INSERT INTO {0} (SYNC, SEQUENCE, PACK_ID, TABLES, LOADED_AT) SELECT '', 0, '', '', "
      "CURRENT_TIMESTAMP() WHERE NOT "
      "EXISTS (SELECT 1 FROM {0} WHERE SEQUENCE = 0)",
      place(kPacksTable, config));
}

std::string_view type_of(ColumnType type) {
  switch (type) {
    case ColumnType::text:
      return "VARCHAR";
    case ColumnType::json:
      return "VARCHAR";
    case ColumnType::boolean:
      return "BOOLEAN";
    case ColumnType::integer:
      return "NUMBER(38, 0)";
    case ColumnType::decimal:
      return "NUMBER(38, 9)";
    case ColumnType::real:
      return "FLOAT";
    case ColumnType::time:
      return "TIMESTAMP_TZ";
  }
  return "VARCHAR";
}

bool takes(std::string_view type_there, ColumnType type) {
  switch (type) {
    case ColumnType::text:
      return type_there == "TEXT" || type_there == "VARCHAR";
    case ColumnType::json:
      return type_there == "TEXT" || type_there == "VARCHAR" || type_there == "VARIANT";
    case ColumnType::boolean:
      return type_there == "BOOLEAN";
    case ColumnType::integer:
    case ColumnType::decimal:
      return type_there == "NUMBER";
    case ColumnType::real:
      return type_there == "FLOAT";
    case ColumnType::time:
      return type_there.starts_with("TIMESTAMP");
  }
  return false;
}

std::string create_table(const WarehouseTable& table, const Config& config) {
  std::vector<std::string> columns;
  for (const WarehouseColumn& column : table.columns)
    columns.push_back(fmt::format("{} {}", name(column.name), type_of(column.type)));
  return fmt::format("CREATE TABLE IF NOT EXISTS {} ({})", place(table.name, config),
                     fmt::join(columns, ", "));
}

std::string stage_table(const WarehouseTable& table) { return "_tailrace_stage_" + table.name; }

std::string create_stage(const WarehouseTable& table, const Config& config) {
  std::vector<std::string> columns;
  for (const WarehouseColumn& column : table.columns)
    columns.push_back(fmt::format("{} {}", name(column.name), type_of(column.type)));
  return fmt::format("CREATE OR REPLACE TRANSIENT TABLE {} ({})", place(stage_table(table), config),
                     fmt::join(columns, ", "));
}

std::string add_column(const std::string& table, const WarehouseColumn& column, const Config& config) {
  return fmt::format("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}", place(table, config), name(column.name),
                     type_of(column.type));
}

std::string select_columns(const Config& config) {
  return fmt::format(
      "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM {}.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = {}",
      sql_name(config.setting("database")), text_of(config.setting("schema")));
}

std::string packs_query(const Pack& pack, const Config& config) {
  return select_packs(pack, place(kPacksTable, config), text_of(pack.sync));
}

std::string staged_name(const Pack& pack, const PackFile& file) {
  return fmt::format("{}/{}", pack.id, file.name);
}

std::vector<std::string> load(const Pack& pack, const Config& config) {
  const std::string packs = place(kPacksTable, config);
  const std::string sync = text_of(pack.sync);
  std::vector<std::string> statements{
      "BEGIN TRANSACTION",
      // One load at a time, also one that was given up here and still runs there.
      fmt::format("UPDATE {} SET LOADED_AT = CURRENT_TIMESTAMP() WHERE SEQUENCE = 0", packs),
      // Divides by nothing, and so ends the transaction, where the pack is there.
      fmt::format("SELECT 1 / IFF(COUNT(*) = 0, 1, 0) FROM {} WHERE SYNC = {} AND SEQUENCE = {}", packs, sync,
                  pack.sequence)};
  for (const WarehouseTable& table : pack.tables) {
    if (files_of(pack, table).empty()) continue;
    if (table.kind == WarehouseTable::Kind::append) {
      statements.push_back(copy(pack, table, place(table.name, config), config));
      continue;
    }
    const std::string stage = place(stage_table(table), config);
    statements.push_back(copy(pack, table, stage, config));
    statements.push_back(merge_latest(upper_cased(table), place(table.name, config), stage, '"'));
  }
  statements.push_back(
      fmt::format("INSERT INTO {} (SYNC, SEQUENCE, PACK_ID, TABLES, LOADED_AT) SELECT {}, {}, {}, {}, "
                  "CURRENT_TIMESTAMP()",
                  packs, sync, pack.sequence, text_of(pack.id), text_of(table_names(pack))));
  statements.push_back("COMMIT");
  return statements;
}

Result<TablesThere> read_columns(const Answer& answer) {
  TablesThere tables;
  for (const auto& row : answer.rows) {
    if (row.size() != 3) return fail(Error::Code::unavailable, "Snowflake's answer cannot be read");
    tables[lower(row[0])][lower(row[1])] = row[2];
  }
  return tables;
}

}  // namespace tailrace::destinations::snowflake_codec
