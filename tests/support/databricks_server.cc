#include "support/databricks_server.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/hash.h"
#include "model/json.h"

namespace tailrace::testing {
namespace {

constexpr const char* kBase = "https://example.cloud.databricks.com";
constexpr const char* kVolume = "/Volumes/main/tailrace/stage/";

std::string text(const Value& value, const std::string& path) {
  const Value* found = value.find_path(path);
  return found == nullptr ? std::string() : found->string;
}

HttpResponse refuse(int status, const std::string& code) {
  return {status, {}, fmt::format(R"({{"error_code":"{}","message":"No: ada@example.com"}})", code)};
}

// `main`.`tailrace`.`events` to events; anything else is nowhere.
std::string table_of(const std::string& place) {
  const auto groups = matched(place, R"(`main`\.`tailrace`\.`(\w+)`)");
  return groups.empty() ? "?" + place : groups[1];
}

std::string shown_type(std::string type) {
  std::erase(type, ' ');
  std::ranges::transform(type, type.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type;
}

std::string unescaped(const std::string& path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%' && i + 2 < path.size()) {
      out += static_cast<char>(std::stoi(path.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += path[i];
    }
  }
  return out;
}

}  // namespace

std::string DatabricksServer::merge(const Asked& asked) {
  if (!refuse_merges.empty()) return refuse_merges;
  const std::string latest =
      R"(MERGE INTO (\S+) t USING \(SELECT .+ FROM \(SELECT .+, ROW_NUMBER\(\) OVER \(PARTITION BY (.+) ORDER BY (\S+) DESC\) AS tailrace_row FROM \((SELECT .+)\)\) numbered WHERE tailrace_row = 1\) s ON .+ WHEN MATCHED AND .+ THEN UPDATE SET .+ WHEN NOT MATCHED THEN INSERT .+)";
  const std::string append =
      R"(MERGE INTO (\S+) t USING \((SELECT .+)\) s ON (.+) WHEN NOT MATCHED THEN INSERT \(.+\) VALUES \(.+\))";
  std::string into;
  std::string version;
  std::string sources;
  std::vector<std::string> key;
  if (const auto groups = matched(asked.sql, latest); !groups.empty()) {
    into = groups[1];
    for (const std::string& column : split_list(groups[2])) key.push_back(bare(column));
    version = bare(groups[3]);
    sources = groups[4];
  } else if (const auto new_ones = matched(asked.sql, append); !new_ones.empty()) {
    into = new_ones[1];
    sources = new_ones[2];
    const auto column = matched(new_ones[3], R"(t\.`(\w+)` = s\.`(\w+)`)");
    if (column.empty() || column[1] != column[2]) return "[PARSE_SYNTAX_ERROR] " + new_ones[3];
    key = {column[1]};
  } else {
    problems.push_back("merge: " + asked.sql);
    return "[PARSE_SYNTAX_ERROR] no";
  }
  PackRows rows;
  for (std::string rest = sources; !rest.empty();) {
    const std::size_t end = std::min(rest.find(" UNION ALL "), rest.size());
    const auto source = matched(rest.substr(0, end), R"(SELECT (.+) FROM parquet\.`(\S+)`)");
    rest = end < rest.size() ? rest.substr(end + 11) : "";
    if (source.empty()) return "[PARSE_SYNTAX_ERROR] " + sources;
    const auto found = files.find(source[2]);
    if (found == files.end()) return "[PATH_NOT_FOUND] " + source[2];
    const ReadFile read = read_file(found->second);
    for (const std::string& column : split_list(source[1])) {
      if (std::ranges::find(read.columns, bare(column)) == read.columns.end())
        return "[UNRESOLVED_COLUMN.WITH_SUGGESTION] " + column;
    }
    rows.insert(rows.end(), read.rows.begin(), read.rows.end());
  }
  return store.merge(table_of(into), rows, key, version).empty() ? "" : "[TABLE_OR_VIEW_NOT_FOUND] " + into;
}

std::string DatabricksServer::run(const Asked& asked, std::vector<std::vector<std::string>>& shown) {
  const std::string& sql = asked.sql;
  const auto given = [&](const std::string& name) {
    const auto found = asked.texts.find(name);
    return found == asked.texts.end() ? "?" : found->second;
  };
  if (const auto made = matched(
          sql,
          R"(CREATE TABLE IF NOT EXISTS (\S+) \((.+)\) USING DELTA( CLUSTER BY \(.+\))? TBLPROPERTIES \('delta.isolationLevel' = 'Serializable', 'delta.enableDeletionVectors' = 'false'\))");
      !made.empty()) {
    const std::string name = table_of(made[1]);
    if (store.tables.contains(name)) return {};
    for (auto& [column, type] : store.create(name, made[2]).columns) type = shown_type(type);
    return {};
  }
  if (const auto dropped = matched(sql, R"(DROP TABLE IF EXISTS (\S+))"); !dropped.empty()) {
    store.tables.erase(table_of(dropped[1]));
    return {};
  }
  if (const auto added = matched(sql, R"(ALTER TABLE (\S+) ADD COLUMNS \((\S+) (.+)\))"); !added.empty()) {
    const bool is_new =
        store.tables.at(table_of(added[1])).columns.emplace(bare(added[2]), shown_type(added[3])).second;
    return is_new ? "" : "[FIELD_ALREADY_EXISTS] " + added[2];
  }
  if (sql ==
      "SELECT table_name, column_name, full_data_type FROM `main`.information_schema.columns WHERE "
      "table_schema = "
      ":schema") {
    if (given("schema") != "tailrace") return {};
    for (const auto& [table, of] : store.tables) {
      for (const auto& [column, type] : of.columns) shown.push_back({table, column, type});
    }
    return {};
  }
  if (const auto packs = matched(
          sql,
          R"(SELECT sequence, pack_id, tables FROM (\S+) WHERE sync = :sync AND \(sequence = (\d+) OR sequence = \(SELECT MAX\(sequence\) FROM \S+ WHERE sync = :sync\)\) ORDER BY sequence)");
      !packs.empty()) {
    std::vector<PackRow> of_sync;
    for (const PackRow& row : store.rows(table_of(packs[1]))) {
      if (row.at("sync") == given("sync")) of_sync.push_back(row);
    }
    std::ranges::sort(of_sync, {}, [](const PackRow& row) { return std::stoull(row.at("sequence")); });
    for (const PackRow& row : of_sync) {
      if (row.at("sequence") == packs[2] || &row == &of_sync.back())
        shown.push_back({row.at("sequence"), row.at("pack_id"), row.at("tables")});
    }
    return {};
  }
  if (const auto pack = matched(
          sql,
          R"(MERGE INTO (\S+) t USING \(SELECT :sync AS sync, (\d+) AS sequence\) s ON t\.sync = s\.sync AND t\.sequence = s\.sequence WHEN NOT MATCHED THEN INSERT \(sync, sequence, pack_id, tables, loaded_at\) VALUES \(s\.sync, s\.sequence, :pack, :tables, current_timestamp\(\)\))");
      !pack.empty()) {
    const PackRow row{{"sync", given("sync")},
                      {"sequence", pack[2]},
                      {"pack_id", given("pack")},
                      {"tables", given("tables")}};
    return store.merge(table_of(pack[1]), {row}, {"sync", "sequence"}, "").empty()
               ? ""
               : "[TABLE_OR_VIEW_NOT_FOUND] packs";
  }
  if (sql.starts_with("MERGE INTO")) return merge(asked);
  problems.push_back("statement: " + sql);
  return "[PARSE_SYNTAX_ERROR] no";
}

HttpResponse DatabricksServer::submit(const Value& body) {
  if (text(body, "warehouse_id") != "a1b2c3d4e5f60718" || text(body, "wait_timeout") != "0s" ||
      text(body, "on_wait_timeout") != "CONTINUE" || text(body, "disposition") != "INLINE" ||
      text(body, "format") != "JSON_ARRAY")
    problems.push_back("not as it was told");
  Asked asked{text(body, "statement"), {}};
  if (const Value* parameters = body.find_path("parameters"); parameters != nullptr) {
    for (const Value& one : parameters->list) asked.texts[text(one, "name")] = text(one, "value");
  }
  const std::string id = fmt::format("01ef-{}", running_.size() + late_.size());
  if (forget_merges && asked.sql.starts_with("MERGE INTO `main`.`tailrace`.`events`")) {
    late_.emplace_back(std::move(asked), files);
    return {503, {}, ""};
  }
  std::vector<std::vector<std::string>> shown;
  const std::string failed = run(asked, shown);
  std::string rest;
  if (failed.empty()) {
    std::vector<std::string> rows;
    for (const auto& row : shown) rows.push_back(fmt::format(R"(["{}"])", fmt::join(row, R"(",")")));
    rest = fmt::format(R"("status":{{"state":"SUCCEEDED"}},"manifest":{{}},"result":{{"data_array":[{}]}})",
                       fmt::join(rows, ","));
  } else {
    rest = fmt::format(
        R"("status":{{"state":"FAILED","error":{{"error_code":"BAD_REQUEST","message":"{} ada@example.com"}}}})",
        failed);
  }
  running_[id] = {{200, {}, fmt::format(R"({{"statement_id":"{}",{}}})", id, rest)}, 0};
  return {200, {}, fmt::format(R"({{"statement_id":"{}","status":{{"state":"PENDING"}}}})", id)};
}

void DatabricksServer::run_late() {
  for (auto& [asked, files_then] : std::exchange(late_, {})) {
    std::swap(files, files_then);
    std::vector<std::vector<std::string>> shown;
    if (const std::string failed = run(asked, shown); !failed.empty()) problems.push_back("late: " + failed);
    std::swap(files, files_then);
  }
}

HttpResponse DatabricksServer::file(const HttpRequest& request) {
  const std::string target = request.url.substr((kBase + std::string("/api/2.0/fs/files")).size());
  const std::size_t question = target.find('?');
  const std::string path = unescaped(target.substr(0, question));
  if (!path.starts_with(kVolume) || path.find('/', std::string(kVolume).size()) != std::string::npos)
    problems.push_back("file: " + path);
  if (!may_write_files) return refuse(403, "PERMISSION_DENIED");
  if (request.method == "DELETE")
    return files.erase(path) == 0 ? refuse(404, "NOT_FOUND") : HttpResponse{204, {}, ""};
  if (request.method != "PUT" || question == std::string::npos ||
      target.substr(question) != "?overwrite=true")
    problems.push_back(request.method + " " + request.url);
  files[path] = request.body;
  return {204, {}, ""};
}

HttpResponse DatabricksServer::handle(const HttpRequest& request) {
  const std::string authorization(request.headers.get("authorization").value_or(""));
  if (request.url == std::string(kBase) + "/oidc/v1/token") {
    if (authorization != "Basic " + to_base64(client.first + ":" + client.second) ||
        request.body != "grant_type=client_credentials&scope=all-apis")
      return {401, {}, R"({"error":"invalid_client"})"};
    return {200, {}, fmt::format(R"({{"access_token":"{}","expires_in":3600}})", token)};
  }
  if (authorization != "Bearer " + token) return refuse(401, "UNAUTHENTICATED");
  if (request.url.starts_with(kBase + std::string("/api/2.0/fs/files"))) return file(request);
  const std::string statements = kBase + std::string("/api/2.0/sql/statements");
  if (request.method == "POST" && request.url == statements)
    return submit(parse_json(request.body).value_or(Value()));
  if (request.method == "GET" && request.url.starts_with(statements + "/")) {
    const std::string id = request.url.substr(statements.size() + 1);
    const auto found = running_.find(id);
    if (found == running_.end()) return refuse(404, "NOT_FOUND");
    if (found->second.looks++ < looks_until_done)
      return {200, {}, fmt::format(R"({{"statement_id":"{}","status":{{"state":"RUNNING"}}}})", id)};
    return found->second.answer;
  }
  problems.push_back(request.method + " " + request.url);
  return refuse(404, "ENDPOINT_NOT_FOUND");
}

}  // namespace tailrace::testing
