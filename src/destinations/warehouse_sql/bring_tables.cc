#include "destinations/warehouse_sql/bring_tables.h"

namespace tailrace::destinations {

Result<void> bring_tables(const Pack& pack, const PacksThere& there, const TablesThere& tables,
                          std::string_view where, const TableMaker& make) {
  for (const WarehouseTable& table : pack.tables) {
    const auto found = tables.find(table.name);
    if (found == tables.end()) {
      TRY(check_dropped(pack, there, table.name, where));
      TRY(make.create(table));
      continue;
    }
    for (const WarehouseColumn& column : table.columns) {
      const auto type = found->second.find(column.name);
      if (type == found->second.end()) {
        TRY(make.add_column(table, column));
      } else if (!make.takes(type->second, table, column)) {
        return wrong_type(table.name, column, type->second, make.type_of(table, column));
      }
    }
  }
  return {};
}

WarehouseTable probe_table() {
  return {.name = "_tailrace_probe",
          .kind = WarehouseTable::Kind::append,
          .columns = {{"a", ColumnType::integer, ""}},
          .key = {"a"},
          .version = {},
          .about = {}};
}

}  // namespace tailrace::destinations
