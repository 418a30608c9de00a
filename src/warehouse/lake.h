// A lake on this machine as tables for SQL: names without folders, every column that was ever declared, and
// people who turned out to be one as one.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "columnar/columnar.h"
#include "model/warehouse_table.h"

namespace tailrace::warehouse {

// Makes views in the database:
//   events, event_order_placed, ...   person_id is who the person is now
//   people, identifiers, holdouts     the latest of each; nobody who was merged or deleted
//   people_history, ...               every row of these
// Errors: io, invalid_argument (files that cannot be read).
Result<void> open_lake(columnar::Database& database, const std::string& location,
                       const std::vector<WarehouseTable>& tables);

}  // namespace tailrace::warehouse
