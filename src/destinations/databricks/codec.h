// The requests by which a pack goes into Databricks, and what its answers mean. Pure. Facts: the SQL
// Statement Execution API 2.0 and the Files API of volumes; Delta's isolation levels.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http.h"
#include "destinations/warehouse_destination.h"
#include "destinations/warehouse_sql/bring_tables.h"

namespace tailrace::destinations::databricks_codec {

// Asks for the token of a service principal; missing where `access_token` is given.
std::optional<HttpRequest> token_request(const Config& config);

struct Statement {
  std::string sql;
  std::vector<std::pair<std::string, std::string>> texts = {};  // what :name stands for
};
HttpRequest submit(const Statement& statement, const Config& config, const std::string& token);
HttpRequest poll(const std::string& id, const Config& config, const std::string& token);

struct Answer {
  std::string running;                         // an id to ask again; empty: it is done
  std::vector<std::vector<std::string>> rows;  // null: empty
};
Result<Answer> decode(const HttpResponse& response);

// A file of the volume, below its folder; one that is there is replaced.
HttpRequest put_file(const std::string& name, std::string bytes, const Config& config,
                     const std::string& token);
HttpRequest delete_file(const std::string& name, const Config& config, const std::string& token);
// Of both. One that is deleted and was not there is no error.
Result<void> decode_file(const HttpResponse& response);
// Where a file of a pack lies below the volume's folder.
std::string staged_name(const Pack& pack, const PackFile& file);

Statement create_packs(const Config& config);
Statement create_table(const WarehouseTable& table, const Config& config);
Statement drop_table(const std::string& table, const Config& config);
Statement add_column(const std::string& table, const WarehouseColumn& column, const Config& config);
Statement select_columns(const Config& config);
Statement select_packs(const Pack& pack, const Config& config);
// From the table's files: of an append table the rows that are not there, of a latest one those that are
// newer.
Statement merge(const Pack& pack, const WarehouseTable& table, const Config& config);
Statement insert_pack(const Pack& pack, const Config& config);

std::string_view type_of(ColumnType type);
bool takes(std::string_view type_there, ColumnType type);
Result<TablesThere> read_columns(const Answer& answer);

}  // namespace tailrace::destinations::databricks_codec
