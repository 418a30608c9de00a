#include "warehouse/lake.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace tailrace::warehouse {
namespace {

using columnar::quoted_name;
using columnar::quoted_text;
using columnar::sql_type;

bool has_files(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() == ".parquet") return true;
  }
  return false;
}

// All rows, with all columns that are known of.
std::string rows_of(const WarehouseTable& table, const std::string& location) {
  std::string columns;
  for (const WarehouseColumn& column : table.columns) {
    columns += fmt::format("{}CAST(NULL AS {}) AS {}", columns.empty() ? "" : ", ", sql_type(column.type),
                           quoted_name(column.name));
  }
  std::string sql = fmt::format("SELECT {} WHERE false", columns);
  const std::string folder = location + "/" + table.name;
  if (has_files(folder)) {
    sql += fmt::format(
        " UNION ALL BY NAME SELECT * FROM read_parquet({}, union_by_name = true, hive_partitioning = false)",
        quoted_text(folder + "/*/*.parquet"));
  }
  return sql;
}

}  // namespace

Result<void> open_lake(columnar::Database& database, const std::string& location,
                       const std::vector<WarehouseTable>& tables) {
  bool has_merges = false;
  const auto people = std::ranges::find(tables, "people", &WarehouseTable::name);
  if (people != tables.end()) {
    TRY(database.run(fmt::format("CREATE VIEW people_history AS {}", rows_of(*people, location))));
    const auto merged = TRY(database.query("SELECT count(merged_into) FROM people_history"));
    has_merges = merged.rows.at(0).at(0) != "0";
    if (has_merges) {
      // Who was merged into somebody who was merged later is the last of them.
      TRY(database.run(
          "CREATE TABLE merged AS WITH RECURSIVE "
          "steps AS (SELECT person_id, arg_max(merged_into, version) AS into_id FROM people_history "
          "          GROUP BY person_id HAVING into_id IS NOT NULL), "
          "chain AS (SELECT person_id, into_id FROM steps "
          "          UNION ALL SELECT chain.person_id, steps.into_id FROM chain JOIN steps "
          "          ON steps.person_id = chain.into_id) "
          "SELECT person_id, min(into_id) AS current_id FROM chain GROUP BY person_id"));
    }
  }
  for (const WarehouseTable& table : tables) {
    const bool is_latest = table.kind == WarehouseTable::Kind::latest;
    const bool has_person =
        std::ranges::find(table.columns, "person_id", &WarehouseColumn::name) != table.columns.end();
    std::string sql = rows_of(table, location);
    if (is_latest) {
      if (table.name != "people")
        TRY(database.run(fmt::format("CREATE VIEW {} AS {}", quoted_name(table.name + "_history"), sql)));
      std::string key;
      for (const std::string& column : table.key) key += (key.empty() ? "" : ", ") + quoted_name(column);
      sql = fmt::format("SELECT * FROM {} QUALIFY row_number() OVER (PARTITION BY {} ORDER BY {} DESC) = 1",
                        quoted_name(table.name + "_history"), key, quoted_name(table.version));
      if (table.name == "people") {
        sql = fmt::format(
            "SELECT * EXCLUDE (merged_into, deleted) FROM ({}) WHERE merged_into IS NULL AND NOT deleted",
            sql);
      }
    }
    if (has_merges && has_person && table.name != "people") {
      // An identifier that both had goes with the survivor's own row.
      sql = fmt::format(
          "SELECT rows.* REPLACE (coalesce(merged.current_id, rows.person_id) AS person_id) FROM ({}) AS "
          "rows "
          "LEFT JOIN merged ON merged.person_id = rows.person_id{}",
          sql, is_latest ? " WHERE merged.person_id IS NULL" : "");
    }
    TRY(database.run(fmt::format("CREATE VIEW {} AS {}", quoted_name(table.name), sql)));
  }
  return {};
}

}  // namespace tailrace::warehouse
