// The SQL by which a pack goes into Redshift, and the list of files that its COPY reads. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "destinations/warehouse_destination.h"

namespace tailrace::destinations::redshift_statements {

std::string_view type_of(ColumnType type);
// Whether our values go into a column that is of this type, as format_type() of the server prints it.
bool takes(std::string_view type_there, ColumnType type);

std::string create_packs(const std::string& schema);
// Waits for whoever has it, until the end of the transaction.
std::string lock_packs(const std::string& schema);
std::string create_table(const std::string& schema, const WarehouseTable& table);
std::string add_column(const std::string& schema, const std::string& table, const WarehouseColumn& column);
// A table of this session with the columns of `table`.
std::string create_stage(const WarehouseTable& table);
std::string drop_stage(const WarehouseTable& table);

// Where rows are copied to.
std::string place(const std::string& schema, const WarehouseTable& table);
std::string stage_of(const WarehouseTable& table);
// manifest: "s3://bucket/prefix/name"
std::string copy(const std::string& into, const WarehouseTable& table, const std::string& manifest,
                 const Config& config);
// names: of objects below `location`.
std::string manifest(const std::string& location, const std::vector<std::string>& names);
// Those of a manifest of ours; of anything else none.
std::vector<std::string> names_in(std::string_view manifest, std::string_view location);

// From the stage into the table, of each key the newest, where it is newer than what is there: removed, then
// added.
std::vector<std::string> merge(const std::string& schema, const WarehouseTable& table);

}  // namespace tailrace::destinations::redshift_statements
