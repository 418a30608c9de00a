#include "support/snowflake_server.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/hash.h"
#include "model/json.h"

namespace tailrace::testing {
namespace {

std::string text(const Value& value, const std::string& path) {
  const Value* found = value.find_path(path);
  return found == nullptr ? std::string() : found->string;
}

std::string lower(std::string name) {
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

std::string last(const std::string& place) { return lower(bare(place.substr(place.rfind('.') + 1))); }

HttpResponse refuse(int status, const std::string& code) {
  return {status,
          {},
          fmt::format(
              R"({{"code":"{}","sqlState":"42000","message":"No: ada@example.com","statementHandle":"h"}})",
              code)};
}

Value claims_of(const std::string& token) {
  const auto first = token.find('.');
  std::string middle = token.substr(first + 1, token.rfind('.') - first - 1);
  std::ranges::replace(middle, '-', '+');
  std::ranges::replace(middle, '_', '/');
  while (middle.size() % 4 != 0) middle += '=';
  std::string json;
  if (!from_base64(middle, json)) return {};
  return parse_json(json).value_or(Value());
}

}  // namespace

std::string SnowflakeServer::run_one(const std::string& sql, PackRows& shown,
                                     std::vector<std::string>& columns) {
  if (sql == "BEGIN TRANSACTION" || sql == "COMMIT" || sql.starts_with("LIST @")) return {};
  if (const auto made =
          matched(sql, R"(CREATE (TABLE IF NOT EXISTS|OR REPLACE TRANSIENT TABLE) (\S+) \((.+)\))");
      !made.empty()) {
    const std::string name = last(made[2]);
    if (made[1].starts_with("TABLE") && store.tables.contains(name)) return {};
    store.create(name, lower(made[3]));
    copied_.erase(name);
    return {};
  }
  if (const auto added = matched(sql, R"(ALTER TABLE (\S+) ADD COLUMN IF NOT EXISTS (\S+) (.+))");
      !added.empty()) {
    store.tables.at(last(added[1])).columns.emplace(lower(bare(added[2])), lower(added[3]));
    return {};
  }
  if (sql.starts_with("INSERT INTO") && sql.find("NOT EXISTS (SELECT 1 FROM") != std::string::npos) {
    PackRows& packs = store.tables.at("_tailrace_packs").rows;
    if (std::ranges::none_of(packs, [](const PackRow& row) { return row.at("sequence") == "0"; }))
      packs.push_back({{"sync", ""}, {"sequence", "0"}, {"pack_id", ""}, {"tables", ""}});
    return {};
  }
  if (sql.starts_with("UPDATE") && sql.ends_with("WHERE SEQUENCE = 0")) return {};
  if (const auto guard = matched(
          sql,
          R"(SELECT 1 / IFF\(COUNT\(\*\) = 0, 1, 0\) FROM \S+ WHERE SYNC = '(\w+)' AND SEQUENCE = (\d+))");
      !guard.empty()) {
    for (const PackRow& row : store.rows("_tailrace_packs")) {
      if (row.at("sync") == guard[1] && row.at("sequence") == guard[2]) return "100051";
    }
    return {};
  }
  if (const auto packs = matched(
          sql,
          R"(SELECT sequence, pack_id, tables FROM \S+ WHERE sync = '(\w+)' AND \(sequence = (\d+) OR .*)");
      !packs.empty()) {
    columns = {"sequence", "pack_id", "tables"};
    PackRows rows;
    for (const PackRow& row : store.rows("_tailrace_packs")) {
      if (row.at("sync") == packs[1]) rows.push_back(row);
    }
    std::ranges::sort(rows, {}, [](const PackRow& row) { return std::stoull(row.at("sequence")); });
    for (const PackRow& row : rows) {
      if (row.at("sequence") == packs[2] || &row == &rows.back()) shown.push_back(row);
    }
    return {};
  }
  if (sql.find("INFORMATION_SCHEMA.COLUMNS") != std::string::npos) {
    columns = {"table", "column", "type"};
    for (const auto& [table, of] : store.tables) {
      for (const auto& [column, type] : of.columns) {
        std::string kind = type.substr(0, type.find('('));
        std::ranges::transform(kind, kind.begin(),
                               [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        if (kind == "VARCHAR") kind = "TEXT";
        shown.push_back({{"table", table}, {"column", column}, {"type", kind}});
      }
    }
    return {};
  }
  if (const auto copy = matched(
          sql,
          R"(COPY INTO (\S+) FROM @ANALYTICS\.TAILRACE\.STAGE FILES = \((.+)\) FILE_FORMAT = \(TYPE = PARQUET .*\) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = ABORT_STATEMENT)");
      !copy.empty()) {
    if (!refuse_copies.empty()) return refuse_copies;
    for (const std::string& file : literals(copy[2])) {
      const auto object = files_.objects.find(stage_prefix + file);
      if (object == files_.objects.end()) return "002003";
      auto& seen = copied_[last(copy[1])];
      if (std::ranges::find(seen, file) != seen.end()) continue;
      seen.push_back(file);
      if (!store.append(last(copy[1]), read_file(object->second.bytes)).empty()) return "100080";
    }
    return {};
  }
  if (const auto merge = matched(
          sql,
          R"(MERGE INTO (\S+) t USING \(SELECT .+ FROM \(SELECT .+ROW_NUMBER\(\) OVER \(PARTITION BY (.+) ORDER BY (\S+) DESC\) AS tailrace_row FROM (\S+)\) numbered WHERE tailrace_row = 1\) s ON .*)");
      !merge.empty()) {
    std::vector<std::string> key;
    for (const std::string& column : split_list(merge[2])) key.push_back(lower(bare(column)));
    return store.merge(last(merge[1]), store.rows(last(merge[4])), key, lower(bare(merge[3]))).empty()
               ? ""
               : "002003";
  }
  if (const auto pack =
          matched(sql, R"(INSERT INTO \S+ \(SYNC, .*\) SELECT '.*', (\d+), .*, CURRENT_TIMESTAMP\(\))");
      !pack.empty()) {
    const auto words = literals(sql);
    store.tables.at("_tailrace_packs")
        .rows.push_back({{"sync", words.at(0)},
                         {"sequence", pack[1]},
                         {"pack_id", words.at(1)},
                         {"tables", words.at(2)}});
    return {};
  }
  problems.push_back("statement: " + sql);
  return "001003";
}

HttpResponse SnowflakeServer::run(const std::string& sql, int statements) {
  ++run_count;
  std::vector<std::string> all;
  for (std::string_view rest = sql; !rest.empty();) {
    const auto end = std::min(rest.find(";\n"), rest.size());
    all.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  if (static_cast<int>(all.size()) != statements) return refuse(422, "000008");
  const WarehouseTables before = store;
  const auto copied_before = copied_;
  PackRows shown;
  std::vector<std::string> columns;
  for (const std::string& one : all) {
    const std::string code = run_one(one, shown, columns);
    if (code.empty()) continue;
    // A transaction that did not come to its end is undone with its session.
    if (statements > 1) {
      store = before;
      copied_ = copied_before;
    }
    return refuse(422, code);
  }
  std::vector<std::string> rows;
  for (const PackRow& row : shown) {
    std::vector<std::string> cells;
    for (const std::string& column : columns) cells.push_back(fmt::format("\"{}\"", row.at(column)));
    rows.push_back(fmt::format("[{}]", fmt::join(cells, ",")));
  }
  return {
      200, {}, fmt::format(R"({{"statementHandle":"h","code":"090001","data":[{}]}})", fmt::join(rows, ","))};
}

HttpResponse SnowflakeServer::handle(const HttpRequest& request) {
  const std::string authorization(request.headers.get("authorization").value_or(""));
  if (!authorization.starts_with("Bearer ")) return refuse(401, "390101");
  const Value claims = claims_of(authorization.substr(7));
  if (text(claims, "sub") != subject || !text(claims, "iss").starts_with(subject + ".SHA256:"))
    return refuse(401, "390144");
  if (request.headers.get("user-agent").value_or("").empty()) return refuse(400, "391903");
  const std::string base = "https://example-account.snowflakecomputing.com/api/v2/statements";
  if (request.method == "GET") {
    const auto found = handles_.find(request.url.substr(base.size() + 1));
    if (found == handles_.end()) return refuse(404, "390404");
    Request& asked = requests_.at(found->second);
    return asked.looks++ == 0
               ? HttpResponse{202, {}, fmt::format(R"({{"statementHandle":"{}"}})", found->first)}
               : asked.answer;
  }
  const auto id = matched(
      request.url,
      R"(\S+\?requestId=([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12})&async=true(&retry=true)?)");
  if (id.empty() || !request.url.starts_with(base)) {
    problems.push_back(request.url);
    return refuse(400, "390400");
  }
  const Value body = parse_json(request.body).value_or(Value());
  const std::string count = text(body, "parameters.MULTI_STATEMENT_COUNT");
  if (text(body, "warehouse") != "LOAD_WH" || text(body, "database") != "ANALYTICS")
    problems.push_back("not where it was told");
  const bool again = !id[2].empty() && requests_.contains(id[1]);
  if (!again) requests_[id[1]] = {run(text(body, "statement"), count.empty() ? 1 : std::stoi(count)), 0};
  const std::string handle = "h" + id[1];
  handles_[handle] = id[1];
  // A statement that cannot be read is refused at once; others answer later.
  return {202, {}, fmt::format(R"({{"statementHandle":"{}","code":"333334"}})", handle)};
}

}  // namespace tailrace::testing
