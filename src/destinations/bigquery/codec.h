// The requests by which a pack goes into BigQuery, and what its answers mean. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http.h"
#include "destinations/warehouse_destination.h"
#include "destinations/warehouse_sql/pack_order.h"

namespace tailrace::destinations::bigquery_codec {

// Who asks, and where the dataset lies ("EU"; empty: not known yet).
struct Session {
  const Config& config;
  std::string token;
  std::string location;
};

HttpRequest get_dataset(const Session& session);
HttpRequest create_dataset(const Session& session);
HttpRequest get_table(const Session& session, const std::string& table);
HttpRequest create_table(const Session& session, const WarehouseTable& table);
HttpRequest delete_table(const Session& session, const std::string& table);

struct TableThere {
  struct Column {
    std::string name;
    std::string type;
  };
  std::string created;  // milliseconds since 1970, as it says: another table of the same name has another
  std::vector<Column> columns;
  Value schema;  // as it came, to be sent back with more
};
HttpRequest add_columns(const Session& session, const std::string& table, const TableThere& there,
                        const std::vector<WarehouseColumn>& more);

HttpRequest get_job(const Session& session, const std::string& job);
// Begins an upload; the answer says where its bytes go. stage: into a table that is made for it.
enum class Into : unsigned char { table, stage };
HttpRequest begin_load(const Session& session, const std::string& job, const std::string& table, Into into,
                       std::uint64_t bytes);
// Bytes from `begin` on, of `total`.
HttpRequest send_bytes(const std::string& url, std::string bytes, std::uint64_t begin, std::uint64_t total);
HttpRequest query_job(const Session& session, const std::string& job, const std::string& sql);
HttpRequest query(const Session& session, const std::string& sql);

WarehouseTable packs_table();
std::string merge(const Session& session, const WarehouseTable& table, const std::string& stage);
std::string select_packs(const Session& session, const Pack& pack);
std::string insert_pack(const Session& session, const Pack& pack);

std::string_view type_of(ColumnType type);
bool takes(std::string_view type_there, ColumnType type);

struct Job {
  bool done = false;
  std::optional<Error> failed;
};
// Missing: there is none (404).
Result<std::optional<std::string>> decode_dataset(const HttpResponse& response);  // its location
Result<std::optional<TableThere>> decode_table(const HttpResponse& response);
Result<std::optional<Job>> decode_job(const HttpResponse& response);
Result<PacksThere> decode_packs(const HttpResponse& response, const Pack& pack);
// Where the bytes go: an address of the same host as the API's. Missing: the job is there already.
Result<std::optional<std::string>> decode_upload(const HttpResponse& response, const Session& session);
// Errors of what must succeed; `exists` is success too where a thing may be there already.
Result<void> decode_done(const HttpResponse& response);
std::unexpected<Error> refused(const HttpResponse& response);

}  // namespace tailrace::destinations::bigquery_codec
