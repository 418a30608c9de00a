#include "destinations/bigquery/codec.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "destinations/answer.h"
#include "destinations/text.h"
#include "destinations/warehouse_sql/json_text.h"
#include "destinations/warehouse_sql/sql_text.h"
#include "model/json.h"

namespace tailrace::destinations::bigquery_codec {
namespace {

std::string name(std::string_view text) { return sql_name(text, '`'); }

std::string text_of(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string api(const Session& session) {
  return std::string(without_trailing_slash(session.config.setting("api_url")));
}

std::string project_url(const Session& session) {
  return fmt::format("{}/bigquery/v2/projects/{}", api(session),
                     percent_encoded(session.config.setting("project")));
}

std::string dataset_url(const Session& session) {
  return fmt::format("{}/datasets/{}", project_url(session),
                     percent_encoded(session.config.setting("dataset")));
}

HttpRequest request(const Session& session, std::string method, std::string url, std::string body = {}) {
  HttpRequest made{
      std::move(method), std::move(url), {{"Authorization", "Bearer " + session.token}}, std::move(body)};
  if (!made.body.empty()) made.headers.emplace_back("Content-Type", "application/json");
  return made;
}

Value table_reference(const Session& session, const std::string& table) {
  return object_of({{"projectId", session.config.setting("project")},
                    {"datasetId", session.config.setting("dataset")},
                    {"tableId", table}});
}

Value field(const WarehouseColumn& column) {
  Value made = object_of({{"name", column.name}, {"type", type_of(column.type)}});
  if (!column.about.empty()) made.members.emplace_back("description", Value::of(column.about));
  return made;
}

Value job_reference(const Session& session, const std::string& job) {
  return object_of(
      {{"projectId", session.config.setting("project")}, {"jobId", job}, {"location", session.location}});
}

std::string place(const Session& session, const std::string& table) {
  return name(session.config.setting("project")) + "." + name(session.config.setting("dataset")) + "." +
         name(table);
}

// A reason as the API names them: letters only.
std::string reason_of(std::string_view text) {
  const bool plain =
      std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
  return plain && text.size() <= 64 ? std::string(text) : std::string();
}

Error error_of(std::string_view reason, int status) {
  struct Meaning {
    std::string_view reason;
    Error::Code code;
    std::string_view says;
  };
  constexpr auto kLater = Error::Code::unavailable;
  constexpr auto kStop = Error::Code::invalid_argument;
  static constexpr std::array<Meaning, 17> kMeanings{{
      {"rateLimitExceeded", kLater, "too many requests for now"},
      {"quotaExceeded", kLater, "a quota is used up; it refills within a day. Load less often"},
      {"backendError", kLater, "its own trouble"},
      {"internalError", kLater, "its own trouble"},
      {"jobBackendError", kLater, "its own trouble"},
      {"jobInternalError", kLater, "its own trouble"},
      {"jobRateLimitExceeded", kLater, "too many jobs for now"},
      {"tableUnavailable", kLater, "a table is not available for now"},
      {"resourcesExceeded", kLater, "it lacked the resources"},
      {"stopped", kLater, "the job was stopped"},
      {"timeout", kLater, "it did not finish in time"},
      {"accessDenied", kStop, "a right is missing: grant those that the page of this destination names"},
      {"notFound", kStop, "the project, the dataset or a table is missing: was it removed?"},
      {"billingNotEnabled", kStop, "the project has no billing, which changing rows needs"},
      {"invalid", kStop, "the file does not fit the table: was a column altered?"},
      {"invalidQuery", kStop, "a statement does not fit the tables: was a column altered?"},
      {"duplicate", kStop, "it is there already"},
  }};
  for (const Meaning& each : kMeanings) {
    if (each.reason == reason) return {each.code, fmt::format("BigQuery: {} ({})", each.says, reason)};
  }
  const std::string shown = reason.empty() ? fmt::format("HTTP {}", status) : std::string(reason);
  if (status <= 0 || status == 408 || status == 429 || status >= 500)
    return {kLater, fmt::format("BigQuery does not take it now ({})", shown)};
  if (status == 401) return {kStop, "BigQuery does not know the credentials: give valid ones (HTTP 401)"};
  if (status == 403) return {kStop, fmt::format("BigQuery: a right is missing ({})", shown)};
  return {kStop, fmt::format("BigQuery refuses ({})", shown)};
}

Error unreadable() { return {Error::Code::unavailable, "BigQuery's answer cannot be read"}; }

}  // namespace

HttpRequest get_dataset(const Session& session) { return request(session, "GET", dataset_url(session)); }

HttpRequest create_dataset(const Session& session) {
  Value body =
      object_of({{"datasetReference", object_of({{"projectId", session.config.setting("project")},
                                                 {"datasetId", session.config.setting("dataset")}})}});
  if (const std::string& location = session.config.setting("location"); !location.empty())
    body.members.emplace_back("location", Value::of(location));
  return request(session, "POST", project_url(session) + "/datasets", to_json(body));
}

HttpRequest get_table(const Session& session, const std::string& table) {
  return request(session, "GET", dataset_url(session) + "/tables/" + percent_encoded(table));
}

HttpRequest create_table(const Session& session, const WarehouseTable& table) {
  std::vector<Value> fields;
  for (const WarehouseColumn& column : table.columns) fields.push_back(field(column));
  Value body = object_of({{"tableReference", table_reference(session, table.name)},
                          {"description", table.about},
                          {"schema", object_of({{"fields", list_of(std::move(fields))}})}});
  // What is asked of a key is asked often.
  std::vector<Value> cluster;
  for (const std::string& column : table.key) {
    if (cluster.size() < 4) cluster.push_back(Value::of(column));
  }
  body.members.emplace_back("clustering", object_of({{"fields", list_of(std::move(cluster))}}));
  return request(session, "POST", dataset_url(session) + "/tables", to_json(body));
}

HttpRequest delete_table(const Session& session, const std::string& table) {
  return request(session, "DELETE", dataset_url(session) + "/tables/" + percent_encoded(table));
}

HttpRequest add_columns(const Session& session, const std::string& table, const TableThere& there,
                        const std::vector<WarehouseColumn>& more) {
  Value schema = there.schema;
  for (auto& [key, fields] : schema.members) {
    if (key != "fields") continue;
    for (const WarehouseColumn& column : more) fields.list.push_back(field(column));
  }
  return request(session, "PATCH", dataset_url(session) + "/tables/" + percent_encoded(table),
                 to_json(object_of({{"schema", schema}})));
}

HttpRequest get_job(const Session& session, const std::string& job) {
  return request(session, "GET",
                 fmt::format("{}/jobs/{}?location={}", project_url(session), percent_encoded(job),
                             percent_encoded(session.location)));
}

HttpRequest begin_load(const Session& session, const std::string& job, const std::string& table, Into into,
                       std::uint64_t bytes) {
  const Value load =
      object_of({{"sourceFormat", "PARQUET"},
                 {"destinationTable", table_reference(session, table)},
                 {"createDisposition", into == Into::stage ? "CREATE_IF_NEEDED" : "CREATE_NEVER"},
                 {"writeDisposition", "WRITE_APPEND"}});
  const Value body = object_of(
      {{"jobReference", job_reference(session, job)}, {"configuration", object_of({{"load", load}})}});
  HttpRequest made = request(session, "POST",
                             fmt::format("{}/upload/bigquery/v2/projects/{}/jobs?uploadType=resumable",
                                         api(session), percent_encoded(session.config.setting("project"))),
                             to_json(body));
  made.headers.emplace_back("X-Upload-Content-Type", "application/octet-stream");
  made.headers.emplace_back("X-Upload-Content-Length", fmt::format("{}", bytes));
  return made;
}

HttpRequest send_bytes(const std::string& url, std::string bytes, std::uint64_t begin, std::uint64_t total) {
  HttpRequest made{"PUT", url, {{"Content-Type", "application/octet-stream"}}, std::move(bytes)};
  made.headers.emplace_back("Content-Range",
                            fmt::format("bytes {}-{}/{}", begin, begin + made.body.size() - 1, total));
  return made;
}

HttpRequest query_job(const Session& session, const std::string& job, const std::string& sql) {
  const Value body = object_of(
      {{"jobReference", job_reference(session, job)},
       {"configuration", object_of({{"query", object_of({{"query", sql}, {"useLegacySql", false}})}})}});
  return request(session, "POST", project_url(session) + "/jobs", to_json(body));
}

HttpRequest query(const Session& session, const std::string& sql) {
  const Value body = object_of(
      {{"query", sql}, {"useLegacySql", false}, {"timeoutMs", 60'000}, {"location", session.location}});
  return request(session, "POST", project_url(session) + "/queries", to_json(body));
}

WarehouseTable packs_table() {
  return {.name = std::string(kPacksTable),
          .kind = WarehouseTable::Kind::append,
          .columns = {{"sync", ColumnType::text, ""},
                      {"sequence", ColumnType::integer, ""},
                      {"pack_id", ColumnType::text, ""},
                      {"tables", ColumnType::text, ""},
                      {"loaded_at", ColumnType::time, ""}},
          .key = {"sync", "sequence"},
          .version = {},
          .about = "Which packs are loaded."};
}

std::string merge(const Session& session, const WarehouseTable& table, const std::string& stage) {
  std::vector<std::string> columns;
  std::vector<std::string> keys;
  std::vector<std::string> same;
  std::vector<std::string> changes;
  std::vector<std::string> values;
  for (const WarehouseColumn& column : table.columns) {
    const std::string one = name(column.name);
    columns.push_back(one);
    values.push_back("s." + one);
    if (!is_key(table, column.name)) changes.push_back(fmt::format("{0} = s.{0}", one));
  }
  for (const std::string& key : table.key) {
    keys.push_back(name(key));
    same.push_back(fmt::format("t.{0} = s.{0}", name(key)));
  }
  const std::string version = name(table.version);
  return fmt::format(
      "MERGE {} t USING (SELECT {} FROM {} WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {} "
      "DESC) = "
      "1) s ON {} WHEN MATCHED AND (t.{} IS NULL OR s.{} > t.{}) THEN UPDATE SET {} WHEN NOT MATCHED THEN "
      "INSERT ({}) "
      "VALUES ({})",
      place(session, table.name), fmt::join(columns, ", "), place(session, stage), fmt::join(keys, ", "),
      version, fmt::join(same, " AND "), version, version, version, fmt::join(changes, ", "),
      fmt::join(columns, ", "), fmt::join(values, ", "));
}

std::string select_packs(const Session& session, const Pack& pack) {
  return fmt::format(
      "SELECT sequence, pack_id, tables FROM {0} WHERE sync = {1} AND (sequence = {2} OR sequence = (SELECT "
      "MAX(sequence) FROM {0} WHERE sync = {1})) ORDER BY sequence",
      place(session, std::string(kPacksTable)), text_of(pack.sync), pack.sequence);
}

std::string insert_pack(const Session& session, const Pack& pack) {
  return fmt::format(
      "INSERT INTO {} (sync, sequence, pack_id, tables, loaded_at) VALUES ({}, {}, {}, {}, "
      "CURRENT_TIMESTAMP())",
      place(session, std::string(kPacksTable)), text_of(pack.sync), pack.sequence, text_of(pack.id),
      text_of(table_names(pack)));
}

std::string_view type_of(ColumnType type) {
  switch (type) {
    case ColumnType::text:
    case ColumnType::json:
      return "STRING";
    case ColumnType::boolean:
      return "BOOLEAN";
    case ColumnType::integer:
      return "INTEGER";
    case ColumnType::decimal:
      return "NUMERIC";
    case ColumnType::real:
      return "FLOAT";
    case ColumnType::time:
      return "TIMESTAMP";
  }
  return "STRING";
}

bool takes(std::string_view type_there, ColumnType type) {
  if (type_there == type_of(type)) return true;
  constexpr std::array<std::pair<std::string_view, ColumnType>, 4> kOthers{
      {{"BOOL", ColumnType::boolean},
       {"INT64", ColumnType::integer},
       {"FLOAT64", ColumnType::real},
       {"BIGNUMERIC", ColumnType::decimal}}};
  return std::ranges::find(kOthers, std::pair(type_there, type)) != kOthers.end();
}

std::unexpected<Error> refused(const HttpResponse& response) {
  const auto body = json_object(response);
  const Value* error = body ? member(&*body, "error") : nullptr;
  const Value* errors = member(error, "errors");
  std::string reason;
  if (errors != nullptr && errors->kind == Value::Kind::list && !errors->list.empty())
    reason = reason_of(text_member(&errors->list.front(), "reason"));
  return std::unexpected(error_of(reason, response.status));
}

Result<void> decode_done(const HttpResponse& response) {
  if (response.status == 200 || response.status == 201 || response.status == 204) return {};
  return refused(response);
}

Result<std::optional<std::string>> decode_dataset(const HttpResponse& response) {
  if (response.status == 404) return std::nullopt;
  TRY(decode_done(response));
  const auto body = json_object(response);
  const std::string location(body ? text_member(&*body, "location") : std::string_view());
  if (location.empty()) return std::unexpected(unreadable());
  return location;
}

Result<std::optional<TableThere>> decode_table(const HttpResponse& response) {
  if (response.status == 404) return std::nullopt;
  TRY(decode_done(response));
  const auto body = json_object(response);
  TableThere there;
  there.created = body ? text_member(&*body, "creationTime") : std::string_view();
  const Value* schema = body ? member(&*body, "schema") : nullptr;
  const Value* fields = member(schema, "fields");
  const bool digits =
      !there.created.empty() && there.created.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || fields == nullptr || fields->kind != Value::Kind::list) return std::unexpected(unreadable());
  for (const Value& each : fields->list)
    there.columns.push_back(
        {std::string(text_member(&each, "name")), std::string(text_member(&each, "type"))});
  there.schema = *schema;
  return there;
}

Result<std::optional<Job>> decode_job(const HttpResponse& response) {
  if (response.status == 404) return std::nullopt;
  TRY(decode_done(response));
  const auto body = json_object(response);
  const Value* status = body ? member(&*body, "status") : nullptr;
  const std::string_view state = text_member(status, "state");
  if (state.empty()) return std::unexpected(unreadable());
  Job job;
  job.done = state == "DONE";
  // Done is no success: that is where nothing is said of an error.
  if (const Value* result = member(status, "errorResult"); result != nullptr && result->present())
    job.failed = error_of(reason_of(text_member(result, "reason")), 400);
  return job;
}

Result<std::optional<std::string>> decode_upload(const HttpResponse& response, const Session& session) {
  if (response.status == 409) return std::nullopt;
  TRY(decode_done(response));
  const std::string url(response.headers.get("location").value_or(""));
  // The bytes go nowhere else.
  if (!url.starts_with(api(session) + "/"))
    return fail(Error::Code::unavailable,
                "BigQuery says no place for the upload, or one that is not its own");
  return url;
}

Result<PacksThere> decode_packs(const HttpResponse& response, const Pack& pack) {
  TRY(decode_done(response));
  const auto body = json_object(response);
  const Value* complete = body ? member(&*body, "jobComplete") : nullptr;
  if (complete == nullptr || complete->kind != Value::Kind::boolean || !complete->boolean)
    return std::unexpected(unreadable());
  PacksThere there;
  const Value* rows = member(&*body, "rows");
  if (rows == nullptr) return there;
  if (rows->kind != Value::Kind::list) return std::unexpected(unreadable());
  for (const Value& row : rows->list) {
    const Value* cells = member(&row, "f");
    if (cells == nullptr || cells->kind != Value::Kind::list || cells->list.size() != 3)
      return std::unexpected(unreadable());
    const auto cell = [&](std::size_t at) { return text_member(&cells->list[at], "v"); };
    LoadedPack one{0, std::string(cell(1)), std::string(cell(2))};
    std::from_chars(cell(0).data(), cell(0).data() + cell(0).size(), one.sequence);
    if (one.sequence == pack.sequence) there.id_of_same = one.id;
    there.last = std::move(one);
  }
  return there;
}

}  // namespace tailrace::destinations::bigquery_codec
