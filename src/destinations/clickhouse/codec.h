// The requests by which a pack goes into ClickHouse, and what its answers mean. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/http.h"
#include "destinations/warehouse_destination.h"
#include "destinations/warehouse_sql/bring_tables.h"

namespace tailrace::destinations::clickhouse_codec {

// A statement, sent in the body. The answer comes when it is done.
HttpRequest statement(const std::string& sql, const Config& config);
// bytes: a Parquet file. token: the same one makes the server leave out what it took already.
HttpRequest insert(const WarehouseTable& table, std::string bytes, const std::string& token,
                   const Config& config);

std::string create_database(const Config& config);
std::string create_packs(const Config& config);
std::string create_table(const WarehouseTable& table, const Config& config);
std::string add_column(const std::string& table, const WarehouseColumn& column, const Config& config);
std::string select_columns(const Config& config);
std::string select_packs(const Pack& pack, const Config& config);
std::string insert_pack(const Pack& pack, const Config& config);

// The type of a new column.
std::string type_of(const WarehouseTable& table, const WarehouseColumn& column);
// Whether our values go into a column of this type.
bool takes(std::string_view type_there, const WarehouseTable& table, const WarehouseColumn& column);

// The body of a success. Errors as warehouse_destination.h has them.
Result<std::string> decode(HttpResponse response);
Result<TablesThere> decode_columns(const std::string& body);
Result<PacksThere> decode_packs(const std::string& body, const Pack& pack);

}  // namespace tailrace::destinations::clickhouse_codec
