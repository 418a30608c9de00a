#include "destinations/warehouse_sql/merge_text.h"

#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "destinations/warehouse_sql/sql_text.h"

namespace tailrace::destinations {
namespace {

// t."a" = s."a" AND ...
std::string same_key(const WarehouseTable& table, char quote) {
  std::vector<std::string> same;
  for (const std::string& key : table.key) same.push_back(fmt::format("t.{0} = s.{0}", sql_name(key, quote)));
  return fmt::format("{}", fmt::join(same, " AND "));
}

// s."a", s."b"
std::string values_of(const WarehouseTable& table, char quote) {
  std::vector<std::string> values;
  for (const WarehouseColumn& column : table.columns) values.push_back("s." + sql_name(column.name, quote));
  return fmt::format("{}", fmt::join(values, ", "));
}

}  // namespace

std::string name_list(const std::vector<std::string>& names, char quote) {
  std::vector<std::string> all;
  for (const std::string& name : names) all.push_back(sql_name(name, quote));
  return fmt::format("{}", fmt::join(all, ", "));
}

std::vector<std::string> column_names(const WarehouseTable& table) {
  std::vector<std::string> names;
  for (const WarehouseColumn& column : table.columns) names.push_back(column.name);
  return names;
}

std::string merge_latest(const WarehouseTable& table, const std::string& place, const std::string& stage,
                         char quote) {
  std::vector<std::string> changes;
  for (const WarehouseColumn& column : table.columns) {
    const std::string one = sql_name(column.name, quote);
    if (!is_key(table, column.name)) changes.push_back(fmt::format("{0} = s.{0}", one));
  }
  const std::string version = sql_name(table.version, quote);
  const std::string columns = name_list(column_names(table), quote);
  return fmt::format(
      "MERGE INTO {} t USING (SELECT {} FROM (SELECT {}, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {} "
      "DESC) AS "
      "tailrace_row FROM {}) numbered WHERE tailrace_row = 1) s ON {} WHEN MATCHED AND (t.{} IS NULL OR s.{} "
      "> t.{}) THEN "
      "UPDATE SET {} WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
      place, columns, columns, name_list(table.key, quote), version, stage, same_key(table, quote), version,
      version, version, fmt::join(changes, ", "), columns, values_of(table, quote));
}

std::string merge_new(const WarehouseTable& table, const std::string& place, const std::string& source,
                      char quote) {
  return fmt::format("MERGE INTO {} t USING {} s ON {} WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})", place,
                     source, same_key(table, quote), name_list(column_names(table), quote),
                     values_of(table, quote));
}

std::string select_packs(const Pack& pack, const std::string& place, const std::string& sync) {
  return fmt::format(
      "SELECT sequence, pack_id, tables FROM {0} WHERE sync = {1} AND (sequence = {2} OR sequence = (SELECT "
      "MAX(sequence) FROM {0} WHERE sync = {1})) ORDER BY sequence",
      place, sync, pack.sequence);
}

Result<PacksThere> read_packs(const Pack& pack, const std::vector<std::vector<std::string>>& rows) {
  PacksThere there;
  for (const auto& row : rows) {
    LoadedPack one;
    if (row.size() != 3 ||
        std::from_chars(row[0].data(), row[0].data() + row[0].size(), one.sequence).ec != std::errc())
      return fail(Error::Code::unavailable, "the answer about the packs that are there cannot be read");
    one.id = row[1];
    one.tables = row[2];
    if (one.sequence == pack.sequence) there.id_of_same = one.id;
    there.last = std::move(one);
  }
  return there;
}

}  // namespace tailrace::destinations
