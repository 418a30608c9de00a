// Statements as Snowflake and Databricks both read them. Pure.
#pragma once

#include <string>
#include <vector>

#include "destinations/warehouse_sql/pack_order.h"

namespace tailrace::destinations {

// From `stage`, a table or a query in parentheses, into `place`: of each key the row with the greatest
// version, where it is greater than what is there. quote: of names.
std::string merge_latest(const WarehouseTable& table, const std::string& place, const std::string& stage,
                         char quote);
// From `source`, a table or a query in parentheses, the rows whose key is not there.
std::string merge_new(const WarehouseTable& table, const std::string& place, const std::string& source,
                      char quote);

// sequence, pack_id, tables: of the newest pack and of the one with the pack's own sequence. sync: a literal.
std::string select_packs(const Pack& pack, const std::string& place, const std::string& sync);
// Its rows, as texts. Errors: unavailable, where a row is not of three.
Result<PacksThere> read_packs(const Pack& pack, const std::vector<std::vector<std::string>>& rows);

// "a", "b"
std::string name_list(const std::vector<std::string>& names, char quote);
std::vector<std::string> column_names(const WarehouseTable& table);

}  // namespace tailrace::destinations
