// query: SQL over the tables of a lake on this machine, brought up to date first. No server, no set-up.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/table.h"
#include "columnar/columnar.h"
#include "model/json.h"
#include "server/connections.h"
#include "server/warehouse/warehouses.h"
#include "warehouse/lake.h"
#include "warehouse/tables.h"

namespace tailrace::cli {
namespace {

constexpr std::string_view kHowToHaveALake =
    "the workspace has no lake on this machine to ask. Add these two, and `tailrace apply`:\n\n"
    "    # destinations/lake.yaml\n"
    "    name: lake\n"
    "    type: parquet_lake\n"
    "    settings: {location: .tailrace/lake}\n\n"
    "    # syncs/lake.yaml\n"
    "    name: Lake\n"
    "    destination: lake\n"
    "    tables: all";

// Of the syncs that may be meant the first with a folder of this machine.
Result<std::string> lake_of(const workspace::Workspace& workspace, const std::string& asked) {
  for (const auto& sync : workspace.warehouses) {
    if (!asked.empty() && sync.name != asked) continue;
    const auto* destination = workspace.find_destination(sync.destination);
    if (destination == nullptr || destination->type != "parquet_lake") continue;
    const auto location = destination->settings.find("location");
    if (location != destination->settings.end() && location->second.find("://") == std::string::npos)
      return sync.name;
  }
  if (!asked.empty())
    return fail(Error::Code::not_found,
                fmt::format("there is no sync \"{}\" with a lake in a folder of this machine", asked));
  return fail(Error::Code::not_found, std::string(kHowToHaveALake));
}

Value value_of(const columnar::Answer::Column& column, const std::optional<std::string>& text) {
  if (!text) return {};
  if (column.is_boolean) return Value::of(*text == "true");
  if (column.is_numeric) {
    if (const auto number = Number::parse(*text)) return Value::of(*number);
  }
  return Value::of(*text);
}

Result<std::string> query(const Run& run) {
  const auto workspace = TRY(applied_workspace(run.core));
  const std::string sync = TRY(lake_of(workspace, run.command.sync));
  const std::string folder = run.core.folder();
  if (!run.command.stale) {
    if (auto* warehouses = run.core.warehouses()) {
      TRY(warehouses->load_now(sync));
    } else {
      TRY(server::load_resting(run.core, workspace, sync, folder));
    }
  }
  const auto connection = TRY(server::connect_warehouse(workspace, *workspace.find_warehouse(sync),
                                                        server::secrets_of(folder), folder));
  const auto state =
      TRY(run.core.with_ledger([&](delivery::Ledger& ledger) { return ledger.warehouse_state(sync); }));
  const auto tables = state.schema.empty()
                          ? warehouse::tables_of(workspace, workspace.find_warehouse(sync)->tables)
                          : TRY(warehouse::tables_from_value(TRY(parse_json(state.schema))));
  const auto database = TRY(columnar::Database::open(
      {.threads = 2, .spill_directory = server::packs_directory(run.core) + "/query"}));
  TRY(warehouse::open_lake(*database, connection.config.setting("location"), tables));
  TRY(database->run("SET file_search_path = " + columnar::quoted_text(run.folder)));
  const auto answer = TRY(database->query(run.command.sql));
  if (answer.columns.empty()) return std::string();
  std::vector<std::string> names;
  for (const auto& column : answer.columns) names.push_back(column.name);
  Table table(std::move(names));
  for (const auto& row : answer.rows) {
    std::vector<Value> values;
    for (std::size_t i = 0; i < row.size(); ++i) values.push_back(value_of(answer.columns[i], row[i]));
    table.add(std::move(values));
  }
  return table.print(run.command.format);
}

}  // namespace

int run_query(const Run& run) {
  const auto text = query(run);
  if (!text) return run.fail(text.error());
  run.console.out(*text);
  return kDone;
}

}  // namespace tailrace::cli
