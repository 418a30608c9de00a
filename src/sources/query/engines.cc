#include "sources/query/engines.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace tailrace::sources {
namespace {

constexpr std::array<Setting, 1> kPostgres{{
    {.name = "connection",
     .required = true,
     .secret = true,
     .about = "As libpq reads it: `host=db.example.com dbname=shop user=reader password=...`, or a "
              "`postgresql://` "
              "URL. Unless it says otherwise the server's certificate and name are verified."},
}};

constexpr std::array<Setting, 2> kDuckDb{{
    {.name = "folder",
     .default_value = ".",
     .about = "What names of files in the query are relative to; itself relative to the workspace."},
    {.name = "database",
     .about = "A DuckDB database, relative to the folder, read only; without it, files alone: Parquet, CSV, "
              "JSON."},
}};

constexpr std::array<Setting, 4> kClickHouse{{
    {.name = "url",
     .required = true,
     .about = "The server's HTTP interface: `https://clickhouse.example.com:8443`."},
    {.name = "database", .default_value = "default", .about = "Where tables are looked for."},
    {.name = "user",
     .default_value = "default",
     .about = "Who asks; reading is enough. Where the profile says `readonly`, it is 2: "
              "settings come with a query."},
    {.name = "password", .secret = true, .about = "The user's password."},
}};

constexpr std::array<QueryEngine, 3> kEngines{{
    {"clickhouse", "ClickHouse", kClickHouse},
    {"duckdb", "DuckDB", kDuckDb},
    {"postgres", "PostgreSQL", kPostgres},
}};

}  // namespace

std::span<const QueryEngine> query_engines() { return kEngines; }

const QueryEngine* find_query_engine(std::string_view type) {
  const auto found = std::ranges::find(kEngines, type, &QueryEngine::type);
  return found == kEngines.end() ? nullptr : &*found;
}

std::string query_engines_markdown() {
  std::string out = "| type | setting | default | meaning |\n|---|---|---|---|\n";
  for (const QueryEngine& engine : kEngines) {
    for (const Setting& setting : engine.settings) {
      const std::string standard = setting.secret     ? "a credential"
                                   : setting.required ? "required"
                                   : setting.default_value.empty()
                                       ? "none"
                                       : fmt::format("`{}`", setting.default_value);
      out += fmt::format("| `{}` | `{}` | {} | {} |\n", engine.type, setting.name, standard, setting.about);
    }
  }
  return out;
}

}  // namespace tailrace::sources
