// The tables of a warehouse: one documented schema, with stable names, typed from the taxonomy. What each
// table holds is in docs/warehouse.md, which is generated from here.
//
// Names: `orderId` and `Order ID` are the column order_id; of two properties of one name in a table the first
// that has a value wins, and the other goes to `discards`. A column never changes its type: where the
// taxonomy does, a second column with the type in its name is added (revenue, revenue_text).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "language/ast.h"
#include "model/value.h"
#include "model/warehouse_table.h"
#include "workspace/workspace.h"

namespace tailrace::warehouse {

// "Order Placed" -> order_placed, "orderId" -> order_id, "2nd" -> _2nd, "größe" -> gr_e; never empty, at most
// 50 bytes.
std::string column_name(std::string_view name);
// The table of one event: event_order_placed.
std::string event_table(std::string_view event);
ColumnType column_type(language::Type type);
std::string_view type_word(ColumnType type);  // text, boolean, integer, decimal, double, time, json

// chosen: names of workspace::warehouse_tables(); empty: all. With "events" goes a table for each declared
// event.
std::vector<WarehouseTable> tables_of(const workspace::Workspace& workspace,
                                      const std::vector<std::string>& chosen);

// `before` with what `now` has beside it: tables and columns are added, never lost or changed.
std::vector<WarehouseTable> grown(std::vector<WarehouseTable> before, const std::vector<WarehouseTable>& now);

// The column for values of that name and type: named so, or with the type in its name where the plain name is
// taken by another type. Missing: there is none.
std::optional<std::size_t> find_column(const WarehouseTable& table, std::string_view name, ColumnType type);
// Adds that column where it is missing.
void add_column(WarehouseTable& table, std::string_view name, ColumnType type, std::string about);

Value tables_to_value(const std::vector<WarehouseTable>& tables);
Result<std::vector<WarehouseTable>> tables_from_value(const Value& value);

// docs/warehouse.md's list of tables and columns.
std::string reference_markdown();

}  // namespace tailrace::warehouse
