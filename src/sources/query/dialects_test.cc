#include "sources/query/dialects.h"

#include <gtest/gtest.h>

namespace tailrace::sources {
namespace {

using Cells = std::vector<std::optional<std::string>>;

TEST(Dialects, a_query_loses_the_semicolon_at_its_end) {
  EXPECT_EQ(bare_query("SELECT 1 ; \n;"), "SELECT 1");
  EXPECT_EQ(bare_query(" \n"), "");
  EXPECT_EQ(postgres_describe("SELECT 1 -- one\n;"), "SELECT * FROM (\nSELECT 1 -- one\n) AS rows LIMIT 0");
}

TEST(Dialects, postgres_gives_arrays_as_json) {
  const Statement statement =
      postgres_select("SELECT 1", {{"a \"b\"", "", 1700}, {"tags", "", 1009}, {"at", "", 1114}});
  EXPECT_EQ(statement.sql, "SELECT \"a \"\"b\"\"\", to_json(\"tags\"), \"at\" FROM (\nSELECT 1\n) AS rows");
  EXPECT_EQ(statement.columns, (std::vector<QueryColumn>{{"a \"b\"", ColumnKind::number},
                                                         {"tags", ColumnKind::json},
                                                         {"at", ColumnKind::local_time}}));
}

TEST(Dialects, duckdb_gives_text_of_every_type) {
  const Statement statement = duckdb_select("FROM t", {{"n", "DECIMAL(18,2)"},
                                                       {"s", "STRUCT(a INTEGER)"},
                                                       {"at", "TIMESTAMP WITH TIME ZONE"},
                                                       {"local", "TIMESTAMP_NS"},
                                                       {"list", "VARCHAR[]"},
                                                       {"x", "INTERVAL"}});
  EXPECT_EQ(statement.sql,
            "SELECT CAST(\"n\" AS VARCHAR), CAST(to_json(\"s\") AS VARCHAR), CAST(\"at\" AS VARCHAR), "
            "CAST(\"local\" AS VARCHAR), CAST(to_json(\"list\") AS VARCHAR), CAST(\"x\" AS VARCHAR) FROM "
            "(\nFROM t\n)");
  std::vector<ColumnKind> kinds;
  for (const auto& column : statement.columns) kinds.push_back(column.kind);
  EXPECT_EQ(kinds, (std::vector<ColumnKind>{ColumnKind::number, ColumnKind::json, ColumnKind::time,
                                            ColumnKind::local_time, ColumnKind::json, ColumnKind::text}));
}

TEST(Dialects, clickhouse_gives_instants_in_utc_and_nests_as_json) {
  const Statement statement = clickhouse_select("SELECT 1", {{"n`s", "Nullable(Decimal(18, 2))"},
                                                             {"at", "DateTime64(3, 'Asia/Tokyo')"},
                                                             {"l", "Array(LowCardinality(String))"},
                                                             {"b", "LowCardinality(Nullable(Bool))"},
                                                             {"d", "Date32"},
                                                             {"e", "Enum8('a' = 1)"}});
  EXPECT_EQ(statement.sql,
            "SELECT toString(`n\\`s`), toString(toTimeZone(`at`, 'UTC')), toJSONString(`l`), toString(`b`), "
            "toString(`d`), "
            "toString(`e`) FROM (\nSELECT 1\n) FORMAT TabSeparated");
  std::vector<ColumnKind> kinds;
  for (const auto& column : statement.columns) kinds.push_back(column.kind);
  EXPECT_EQ(kinds, (std::vector<ColumnKind>{ColumnKind::number, ColumnKind::time, ColumnKind::json,
                                            ColumnKind::boolean, ColumnKind::date, ColumnKind::text}));
}

TEST(Dialects, clickhouse_types_that_wrap_others_are_what_they_wrap) {
  const auto kind_of = [](const std::string& type) {
    return clickhouse_select("SELECT 1", {{"a", type}}).columns.at(0).kind;
  };
  EXPECT_EQ(kind_of("SimpleAggregateFunction(sum, Decimal(38, 2))"), ColumnKind::number);
  EXPECT_EQ(kind_of("SimpleAggregateFunction(anyLast, Nullable(DateTime64(3, 'UTC')))"), ColumnKind::time);
  EXPECT_EQ(kind_of("SimpleAggregateFunction(groupUniqArrayArray(10, 2), Array(String))"), ColumnKind::json);
  EXPECT_EQ(kind_of("SimpleAggregateFunction(max, String)"), ColumnKind::text);
  EXPECT_EQ(kind_of("Point"), ColumnKind::json);
  EXPECT_EQ(kind_of("MultiPolygon"), ColumnKind::json);
}

TEST(Dialects, tab_separated_has_escapes_and_nulls) {
  EXPECT_EQ(read_tab_separated("a\\tb\t\\N\t\t\\\\N\tx\\ny"),
            (Cells{"a\tb", std::nullopt, "", "\\N", "x\ny"}));
  EXPECT_EQ(read_tab_separated(""), (Cells{""}));
  EXPECT_EQ(read_tab_separated("a\\").error().code, Error::Code::corrupt);
  EXPECT_EQ(read_tab_separated("\\q").error().code, Error::Code::corrupt);
}

}  // namespace
}  // namespace tailrace::sources
