// Makes what a pack's tables lack: those that are not there, and their columns that are new.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "destinations/warehouse_sql/pack_order.h"

namespace tailrace::destinations {

using ColumnsThere = std::map<std::string, std::string>;  // name to type, as the warehouse calls it
using TablesThere = std::map<std::string, ColumnsThere>;  // by name

// How one warehouse does it.
struct TableMaker {
  std::function<Result<void>(const WarehouseTable&)> create;
  std::function<Result<void>(const WarehouseTable&, const WarehouseColumn&)> add_column;
  std::function<std::string(const WarehouseTable&, const WarehouseColumn&)> type_of;
  // Whether our values go into a column that is of this type there.
  std::function<bool(std::string_view type_there, const WarehouseTable&, const WarehouseColumn&)> takes;
};

// where: as in judge_order. Errors: conflict, where somebody dropped a table or altered a column; those of
// `make`.
Result<void> bring_tables(const Pack& pack, const PacksThere& there, const TablesThere& tables,
                          std::string_view where, const TableMaker& make);

// What a probe makes and takes away again: "_tailrace_probe", with one whole number.
WarehouseTable probe_table();

}  // namespace tailrace::destinations
