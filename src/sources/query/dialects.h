// The statements by which databases are asked, and what their types mean here. First a query is described;
// then it is asked within a SELECT that makes text of each column, in one known form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sources/query/spec.h"

namespace tailrace::sources {

// A column as its database describes it.
struct DescribedColumn {
  std::string name;
  std::string type;          // as it calls it, or
  std::uint32_t number = 0;  // PostgreSQL: as it numbers it
};

struct Statement {
  std::string sql;
  std::vector<QueryColumn> columns;
};

// Without the semicolon and blanks at its end.
std::string_view bare_query(std::string_view query);

// PostgreSQL, in a session whose zone is UTC and whose dates are ISO: no rows, but columns; then a SELECT.
std::string postgres_describe(std::string_view query);
Statement postgres_select(std::string_view query, const std::vector<DescribedColumn>& columns);

// DuckDB, whose zone is UTC: (name, type) in the first two columns; then a SELECT of VARCHARs.
std::string duckdb_describe(std::string_view query);
Statement duckdb_select(std::string_view query, const std::vector<DescribedColumn>& columns);

// ClickHouse: both answer in TabSeparated.
std::string clickhouse_describe(std::string_view query);
Statement clickhouse_select(std::string_view query, const std::vector<DescribedColumn>& columns);

// A line of TabSeparated, without its end; missing: \N. Errors: corrupt (an escape that is none).
Result<std::vector<std::optional<std::string>>> read_tab_separated(std::string_view line);

}  // namespace tailrace::sources
