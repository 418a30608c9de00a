// The requests by which a pack goes into Snowflake, and what its answers mean. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http.h"
#include "destinations/warehouse_destination.h"
#include "destinations/warehouse_sql/bring_tables.h"

namespace tailrace::destinations::snowflake_codec {

// A token signed by the user's key, for an hour. Errors: invalid_argument, where the key cannot be read.
Result<std::string> token(const Config& config, Time now);

// id: a UUID; the same one with `again` makes the server look for what it ran already. statements: of several
// in one request, how many; they are one session.
struct Submission {
  std::string sql;
  std::string id;
  bool again = false;
  int statements = 1;
};
HttpRequest submit(const Submission& submission, const Config& config, const std::string& token);
HttpRequest poll(const std::string& handle, const Config& config, const std::string& token);
// The same text for the same words: a UUID.
std::string request_id(std::string_view words);

struct Answer {
  std::string running;                         // a handle to ask again; empty: it is done
  std::vector<std::vector<std::string>> rows;  // null: empty
};
Result<Answer> decode(const HttpResponse& response);

std::string create_packs(const Config& config);
// The row by which loads wait for each other.
std::string create_lock_row(const Config& config);
std::string create_table(const WarehouseTable& table, const Config& config);
std::string add_column(const std::string& table, const WarehouseColumn& column, const Config& config);
std::string select_columns(const Config& config);
std::string packs_query(const Pack& pack, const Config& config);
// Of one transaction: every file, and the row of the pack.
std::vector<std::string> load(const Pack& pack, const Config& config);
std::string stage_table(const WarehouseTable& table);
std::string create_stage(const WarehouseTable& table, const Config& config);
// Where a file lies below the stage.
std::string staged_name(const Pack& pack, const PackFile& file);

std::string_view type_of(ColumnType type);
bool takes(std::string_view type_there, ColumnType type);
// Names are lower case.
Result<TablesThere> read_columns(const Answer& answer);

}  // namespace tailrace::destinations::snowflake_codec
