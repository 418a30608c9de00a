// The SQL by which a pack goes into PostgreSQL. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "destinations/warehouse_destination.h"

namespace tailrace::destinations::postgres_statements {

std::string_view type_of(ColumnType type);
// Whether our values go into a column that is of this type, as format_type() of the server prints it.
bool takes(std::string_view type_there, ColumnType type);

std::string create_packs(const std::string& schema);
std::string create_table(const std::string& schema, const WarehouseTable& table);
std::string add_column(const std::string& schema, const std::string& table, const WarehouseColumn& column);
// A table of this session and transaction, with the columns of `table`, JSON as text.
std::string create_stage(const WarehouseTable& table);
std::string copy_into_table(const std::string& schema, const WarehouseTable& table);
std::string copy_into_stage(const WarehouseTable& table);
// From the stage into the table: of an append table what is not there, of a latest one what is newer.
std::string merge(const std::string& schema, const WarehouseTable& table);
std::string drop_stage(const WarehouseTable& table);

}  // namespace tailrace::destinations::postgres_statements
