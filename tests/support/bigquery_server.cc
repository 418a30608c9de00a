#include "support/bigquery_server.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/json.h"

namespace tailrace::testing {
namespace {

constexpr const char* kBase = "https://bigquery.googleapis.com";

std::string text(const Value& value, const std::string& path) {
  const Value* found = value.find_path(path);
  return found == nullptr ? std::string() : found->string;
}

std::string last(const std::string& place) { return bare(place.substr(place.rfind('.') + 1)); }

}  // namespace

HttpResponse BigQueryServer::refuse(int status, const std::string& reason) {
  return {
      status,
      {},
      fmt::format(R"({{"error":{{"code":{},"message":"No: ada@example.com","errors":[{{"reason":"{}"}}]}}}})",
                  status, reason)};
}

HttpResponse BigQueryServer::describe_table(const std::string& name) {
  const auto found = store.tables.find(name);
  if (found == store.tables.end()) return refuse(404, "notFound");
  std::vector<std::string> fields;
  for (const std::string& column : found->second.order)
    fields.push_back(fmt::format(R"({{"name":"{}","type":"{}"}})", column, found->second.columns.at(column)));
  return {200,
          {},
          fmt::format(R"({{"creationTime":"{}","schema":{{"fields":[{}]}}}})",
                      1772359200000 + found->second.made, fmt::join(fields, ","))};
}

HttpResponse BigQueryServer::table(const HttpRequest& request, const std::string& name) {
  if (request.method == "GET") return describe_table(name);
  if (request.method == "DELETE")
    return store.tables.erase(name) == 0 ? refuse(404, "notFound") : HttpResponse{204, {}, ""};
  const Value body = parse_json(request.body).value_or(Value());
  const Value* fields = body.find_path("schema.fields");
  if (fields == nullptr) return refuse(400, "invalid");
  std::string definition;
  for (const Value& field : fields->list)
    definition += (definition.empty() ? "" : ", ") + text(field, "name") + " " + text(field, "type");
  if (request.method == "PATCH") {
    const auto found = store.tables.find(name);
    if (found == store.tables.end()) return refuse(404, "notFound");
    StandInTable& there = found->second;
    for (const auto& [column, type] : there.columns) {
      if (definition.find(column + " " + type) == std::string::npos)
        problems.push_back("a column would be lost: " + column);
    }
    for (const Value& field : fields->list) {
      if (there.columns.emplace(text(field, "name"), text(field, "type")).second)
        there.order.push_back(text(field, "name"));
    }
    return describe_table(name);
  }
  const std::string made = text(body, "tableReference.tableId");
  if (store.tables.contains(made)) return refuse(409, "duplicate");
  store.create(made, definition);
  return describe_table(made);
}

std::string BigQueryServer::run(const std::string& sql) {
  if (const auto merge = matched(
          sql,
          R"(MERGE (\S+) t USING \(SELECT (.+) FROM (\S+) WHERE TRUE QUALIFY ROW_NUMBER\(\) OVER \(PARTITION BY (.+) ORDER BY (\S+) DESC\) = 1\) s ON .*)");
      !merge.empty()) {
    std::vector<std::string> key;
    for (const std::string& column : split_list(merge[4])) key.push_back(bare(column));
    if (!store.tables.contains(last(merge[3])) || !store.tables.contains(last(merge[1]))) return "notFound";
    return store.merge(last(merge[1]), store.rows(last(merge[3])), key, bare(merge[5])).empty()
               ? ""
               : "invalidQuery";
  }
  if (const auto pack = matched(
          sql,
          R"(INSERT INTO (\S+) \(sync, sequence, pack_id, tables, loaded_at\) VALUES \('.*', (\d+), .*, CURRENT_TIMESTAMP\(\)\))");
      !pack.empty()) {
    const auto words = literals(sql);
    store.tables.at(last(pack[1]))
        .rows.push_back({{"sync", words.at(0)},
                         {"sequence", pack[2]},
                         {"pack_id", words.at(1)},
                         {"tables", words.at(2)}});
    return "";
  }
  problems.push_back("statement: " + sql);
  return "invalidQuery";
}

HttpResponse BigQueryServer::query(const std::string& sql) {
  if (sql == "SELECT 1") return {200, {}, R"({"jobComplete":true,"rows":[{"f":[{"v":"1"}]}]})"};
  const auto asked = matched(
      sql, R"(SELECT sequence, pack_id, tables FROM \S+ WHERE sync = '(\w+)' AND \(sequence = (\d+) OR .*)");
  if (asked.empty()) {
    problems.push_back("query: " + sql);
    return refuse(400, "invalidQuery");
  }
  PackRows rows;
  for (const PackRow& row : store.rows("_tailrace_packs")) {
    if (row.at("sync") == asked[1]) rows.push_back(row);
  }
  std::ranges::sort(rows, {}, [](const PackRow& row) { return std::stoull(row.at("sequence")); });
  std::vector<std::string> shown;
  for (const PackRow& row : rows) {
    if (row.at("sequence") == asked[2] || &row == &rows.back())
      shown.push_back(fmt::format(R"({{"f":[{{"v":"{}"}},{{"v":"{}"}},{{"v":"{}"}}]}})", row.at("sequence"),
                                  row.at("pack_id"), row.at("tables")));
  }
  return {200,
          {},
          shown.empty() ? R"({"jobComplete":true})"
                        : fmt::format(R"({{"jobComplete":true,"rows":[{}]}})", fmt::join(shown, ","))};
}

HttpResponse BigQueryServer::show_job(const std::string& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return refuse(404, "notFound");
  Job& job = found->second;
  if (job.looks++ < looks_until_done) return {200, {}, R"({"status":{"state":"RUNNING"}})"};
  if (!job.reason.empty())
    return {
        200,
        {},
        fmt::format(
            R"({{"status":{{"state":"DONE","errorResult":{{"reason":"{}","message":"ada@example.com"}}}}}})",
            job.reason)};
  return {200, {}, R"({"status":{"state":"DONE","errors":[{"reason":"warning"}]}})"};
}

HttpResponse BigQueryServer::start_job(const std::string& id, const Value& configuration,
                                       const std::string& bytes) {
  if (jobs_.contains(id)) return refuse(409, "duplicate");
  Job& job = jobs_[id];
  if (const Value* load = configuration.find("load")) {
    const std::string into = text(*load, "destinationTable.tableId");
    job.reason = refuse_loads;
    if (text(*load, "sourceFormat") != "PARQUET" || text(*load, "writeDisposition") != "WRITE_APPEND")
      problems.push_back("load: " + to_json(*load));
    const ReadFile file = read_file(bytes);
    if (job.reason.empty() && !store.tables.contains(into)) {
      if (text(*load, "createDisposition") != "CREATE_IF_NEEDED") {
        job.reason = "notFound";
      } else {
        store.create(into, fmt::format("{} STRING", fmt::join(file.columns, " STRING, ")));
      }
    }
    if (job.reason.empty() && !store.append(into, file).empty()) job.reason = "invalid";
  } else if (const Value* asked = configuration.find("query")) {
    job.reason = run(text(*asked, "query"));
  } else {
    problems.push_back("a job of another kind");
  }
  return show_job(id);
}

HttpResponse BigQueryServer::begin(const HttpRequest& request) {
  const Value body = parse_json(request.body).value_or(Value());
  const std::string id = text(body, "jobReference.jobId");
  if (id.empty() ||
      id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
          std::string::npos)
    return refuse(400, "invalid");
  if (text(body, "jobReference.location") != "EU") problems.push_back("a job without the dataset's location");
  const Value* configuration = body.find("configuration");
  if (configuration == nullptr) return refuse(400, "invalid");
  if (request.url.find("/upload/") == std::string::npos) return start_job(id, *configuration, "");
  if (jobs_.contains(id)) return refuse(409, "duplicate");
  uploads_[id] = {body, ""};
  return {200, {{"Location", fmt::format("{}/upload/session/{}", kBase, id)}}, ""};
}

HttpResponse BigQueryServer::upload(const HttpRequest& request, const std::string& id) {
  const auto found = uploads_.find(id);
  if (found == uploads_.end()) return refuse(404, "notFound");
  const auto range =
      matched(std::string(request.headers.get("content-range").value_or("")), R"(bytes (\d+)-(\d+)/(\d+))");
  std::string& bytes = found->second.second;
  if (range.empty() || std::stoull(range[1]) != bytes.size() ||
      std::stoull(range[2]) + 1 != bytes.size() + request.body.size()) {
    problems.push_back("a range that does not fit");
    return refuse(400, "invalid");
  }
  piece_bytes = std::max(piece_bytes, request.body.size());
  bytes += request.body;
  if (bytes.size() < std::stoull(range[3])) {
    if (request.body.size() % (256 * 1024) != 0) problems.push_back("a piece that is no multiple of 256 KiB");
    return {308, {{"Range", fmt::format("bytes=0-{}", bytes.size() - 1)}}, ""};
  }
  const Value configuration = *found->second.first.find("configuration");
  const std::string all = std::move(bytes);
  uploads_.erase(found);
  return start_job(id, configuration, all);
}

HttpResponse BigQueryServer::handle(const HttpRequest& request) {
  if (request.url.starts_with("https://oauth2."))
    return {
        200, {}, fmt::format(R"({{"access_token":"{}","expires_in":3600,"token_type":"Bearer"}})", token)};
  const std::string session = std::string(kBase) + "/upload/session/";
  if (request.url.starts_with(session)) return upload(request, request.url.substr(session.size()));
  if (request.headers.get("authorization") != "Bearer " + token) return refuse(401, "authError");
  if (!refuse_all.empty()) return refuse(403, refuse_all);
  if (!request.url.starts_with(kBase)) return refuse(404, "notFound");
  const std::string path =
      request.url.substr(std::string(kBase).size(), request.url.find('?') - std::string(kBase).size());
  const std::string project = "/bigquery/v2/projects/example-project";
  if (request.method == "POST" && (path == project + "/jobs" || path == "/upload" + project + "/jobs"))
    return begin(request);
  if (request.method == "GET" && path.starts_with(project + "/jobs/"))
    return show_job(path.substr(project.size() + 6));
  if (path == project + "/queries") return query(text(parse_json(request.body).value_or(Value()), "query"));
  if (path == project + "/datasets" && request.method == "POST") {
    has_dataset = true;
    return {200, {}, R"({"location":"EU"})"};
  }
  const std::string dataset = project + "/datasets/tailrace";
  if (!path.starts_with(dataset)) return refuse(404, "notFound");
  if (!has_dataset) return refuse(404, "notFound");
  if (path == dataset) return {200, {}, R"({"location":"EU"})"};
  if (path.starts_with(dataset + "/tables"))
    return table(request, path.size() > dataset.size() + 8 ? path.substr(dataset.size() + 8) : "");
  problems.push_back(request.method + " " + path);
  return refuse(404, "notFound");
}

}  // namespace tailrace::testing
