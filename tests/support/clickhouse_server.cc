#include "support/clickhouse_server.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tailrace::testing {
namespace {

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string table_of(const std::string& place) { return bare(place.substr(place.find('.') + 1)); }

}  // namespace

HttpResponse ClickHouseServer::refuse(int code) {
  const std::string text = fmt::format("Code: {}. DB::Exception: No: ada@example.com. (REFUSED)\n", code);
  if (late) return {200, {}, text};
  return {500, {{"X-ClickHouse-Exception-Code", std::to_string(code)}}, text};
}

PackRows ClickHouseServer::final_rows(const std::string& table) const {
  WarehouseTables shown;
  shown.tables[table] = {};
  const auto engine = engines_.find(table);
  if (engine == engines_.end()) return {};
  shown.merge(table, store.rows(table), engine->second.first, engine->second.second);
  return shown.rows(table);
}

HttpResponse ClickHouseServer::insert(const std::string& sql, const std::map<std::string, std::string>& query,
                                      const std::string& bytes) {
  const auto groups = matched(sql, R"(INSERT INTO (\S+) \((.+)\) FORMAT Parquet)");
  if (groups.empty()) {
    problems.push_back("insert: " + sql);
    return refuse(62);
  }
  if (refuse_inserts != 0) return refuse(refuse_inserts);
  const auto is = [&](const char* name, const char* value) {
    const auto found = query.find(name);
    return found != query.end() && found->second == value;
  };
  if (!is("async_insert", "0") || !is("wait_end_of_query", "1") ||
      !query.contains("insert_deduplication_token"))
    problems.push_back("an insert that may be lost or come twice");
  const std::string table = table_of(groups[1]);
  const auto found = store.tables.find(table);
  if (found == store.tables.end()) return refuse(60);
  std::vector<std::string> columns;
  for (const std::string& column : split_list(groups[2])) {
    columns.push_back(bare(column));
    if (!found->second.columns.contains(columns.back())) return refuse(16);
  }
  const ReadFile file = read_file(bytes);
  if (file.columns.empty()) return refuse(27);
  if (!tokens.insert(table + " " + query.at("insert_deduplication_token")).second) return {200, {}, ""};
  if (!store.append(table, file).empty()) return refuse(16);
  return {200, {{"X-ClickHouse-Summary", "{}"}}, ""};
}

HttpResponse ClickHouseServer::run(const std::string& sql) {
  if (sql == "SELECT 1") return {200, {}, "1\n"};
  if (!matched(sql, R"(CREATE DATABASE IF NOT EXISTS `\w+`)").empty()) {
    has_database = true;
    return {200, {}, ""};
  }
  if (!has_database) return refuse(81);
  if (const auto made = matched(
          sql,
          R"(CREATE TABLE IF NOT EXISTS (\S+) \((.+)\) ENGINE = ReplacingMergeTree(?:\((\S+)\))? ORDER BY \((.+)\) SETTINGS non_replicated_deduplication_window = 1000)");
      !made.empty()) {
    const std::string table = table_of(made[1]);
    if (store.tables.contains(table)) return {200, {}, ""};
    const StandInTable& fresh = store.create(table, made[2]);
    std::vector<std::string> key;
    for (const std::string& column : split_list(made[4])) {
      key.push_back(bare(column));
      if (fresh.columns.at(key.back()).starts_with("Nullable")) problems.push_back("a key that may be null");
    }
    engines_[table] = {key, bare(made[3])};
    std::erase_if(tokens, [&](const std::string& token) { return token.starts_with(table + " "); });
    return {200, {}, ""};
  }
  if (const auto added = matched(sql, R"(ALTER TABLE (\S+) ADD COLUMN IF NOT EXISTS (\S+) (.+))");
      !added.empty()) {
    store.tables.at(table_of(added[1])).columns.emplace(bare(added[2]), added[3]);
    return {200, {}, ""};
  }
  if (const auto dropped = matched(sql, R"(DROP TABLE (\S+))"); !dropped.empty()) {
    store.tables.erase(table_of(dropped[1]));
    return {200, {}, ""};
  }
  if (const auto one = matched(sql, R"(INSERT INTO (\S+) SELECT 1)"); !one.empty())
    return refuse_inserts != 0 ? refuse(refuse_inserts) : HttpResponse{200, {}, ""};
  if (sql.starts_with("SELECT table, name, type FROM system.columns")) {
    std::vector<std::string> rows;
    for (const auto& [table, of] : store.tables) {
      for (const auto& [name, type] : of.columns)
        rows.push_back(fmt::format(R"(["{}","{}","{}"])", table, name, type));
    }
    return {200, {}, fmt::format("{{\"data\":[{}]}}", fmt::join(rows, ","))};
  }
  if (const auto packs = matched(
          sql,
          R"(SELECT sequence, pack_id, tables FROM \S+ FINAL WHERE sync = '(\w+)' AND \(sequence = (\d+) OR .*)");
      !packs.empty()) {
    std::vector<std::pair<std::uint64_t, std::string>> rows;
    for (const PackRow& row : store.rows("_tailrace_packs")) {
      if (row.at("sync") == packs[1])
        rows.emplace_back(
            std::stoull(row.at("sequence")),
            // A 64-bit number comes as a text.
            fmt::format(R"(["{}","{}","{}"])", row.at("sequence"), row.at("pack_id"), row.at("tables")));
    }
    std::ranges::sort(rows);
    std::vector<std::string> shown;
    for (const auto& [sequence, text] : rows) {
      if (sequence == std::stoull(packs[2]) || sequence == rows.back().first) shown.push_back(text);
    }
    return {200, {}, fmt::format("{{\"data\":[{}]}}", fmt::join(shown, ","))};
  }
  if (const auto pack = matched(sql, R"(INSERT INTO \S+ \(.+\) SELECT '.*', (\d+), '.*', '.*', now64\(3\))");
      !pack.empty()) {
    const auto texts = literals(sql);
    store.tables.at("_tailrace_packs")
        .rows.push_back({{"sync", texts.at(0)},
                         {"sequence", pack[1]},
                         {"pack_id", texts.at(1)},
                         {"tables", texts.at(2)}});
    return {200, {}, ""};
  }
  problems.push_back("statement: " + sql);
  return refuse(62);
}

HttpResponse ClickHouseServer::handle(const HttpRequest& request) {
  if (request.method != "POST") problems.push_back("method " + request.method);
  if (request.headers.get("x-clickhouse-key") != password) return refuse(516);
  std::map<std::string, std::string> query;
  const std::string text = request.url.substr(request.url.find('?') + 1);
  for (std::string_view left = text; !left.empty();) {
    const auto end = std::min(left.find('&'), left.size());
    const auto equals = left.find('=');
    query[unescape(left.substr(0, equals))] = unescape(left.substr(equals + 1, end - equals - 1));
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  if (query["wait_end_of_query"] != "1") problems.push_back("an answer before the end");
  return query.contains("query") ? insert(query.at("query"), query, request.body) : run(request.body);
}

}  // namespace tailrace::testing
