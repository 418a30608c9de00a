#include "columnar/columnar.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tailrace::columnar {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Columnar : public ::testing::Test {
 protected:
  Columnar()
      : folder_(std::filesystem::temp_directory_path() / ("tailrace_columnar_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    auto opened = Database::open({});
    if (!opened) throw std::runtime_error(opened.error().message);
    database_ = std::move(*opened);
  }
  ~Columnar() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name) const { return folder_ / name; }
  // "a|b; c|null"
  std::string ask(const std::string& sql) {
    const auto answer = database_->query(sql);
    if (!answer) return "error: " + answer.error().message;
    std::string text;
    for (const auto& row : answer->rows) {
      if (!text.empty()) text += "; ";
      for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : "|") + row[i].value_or("null");
    }
    return text;
  }

  std::filesystem::path folder_;
  std::unique_ptr<Database> database_;
};

const WarehouseTable kOrders{.name = "orders",
                             .columns = {{"id", ColumnType::text, ""},
                                         {"paid", ColumnType::boolean, ""},
                                         {"items", ColumnType::integer, ""},
                                         {"revenue", ColumnType::decimal, ""},
                                         {"weight", ColumnType::real, ""},
                                         {"at", ColumnType::time, ""},
                                         {"properties", ColumnType::json, ""}},
                             .key = {"id"},
                             .version = "",
                             .about = ""};

TEST_F(Columnar, writes_rows_of_every_type_and_reads_them_again) {
  auto rows = RowWriter::create(*database_, kOrders);
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  (*rows)->put(0, "order-1");
  (*rows)->put_boolean(1, true);
  (*rows)->put_integer(2, 3);
  (*rows)->put_decimal(3, *to_decimal(*Number::parse("19.99")));
  (*rows)->put_real(4, 0.5);
  (*rows)->put_time(5, *parse_time("2026-03-01T10:00:00.123Z"));
  (*rows)->put(6, R"({"note":"it's \"here\""})");
  ASSERT_TRUE((*rows)->end_row().has_value());
  (*rows)->put(0, "order-2");
  ASSERT_TRUE((*rows)->end_row().has_value());
  EXPECT_EQ((*rows)->rows(), 2u);
  ASSERT_TRUE((*rows)->write_parquet(file("orders.parquet")).has_value());
  EXPECT_EQ((*rows)->rows(), 0u);

  EXPECT_EQ(ask("SELECT * FROM '" + file("orders.parquet") + "'"),
            R"(order-1|true|3|19.990000000|0.5|2026-03-01 10:00:00.123+00|{"note":"it's \"here\""}; )"
            "order-2|null|null|null|null|null|null");
  EXPECT_EQ(ask("SELECT column_type FROM (DESCRIBE SELECT * FROM '" + file("orders.parquet") + "')"),
            "VARCHAR; BOOLEAN; BIGINT; DECIMAL(38,9); DOUBLE; TIMESTAMP WITH TIME ZONE; VARCHAR");
}

TEST_F(Columnar, keeps_the_order_of_many_rows_and_begins_anew_after_a_file) {
  auto rows = RowWriter::create(*database_, kOrders);
  ASSERT_TRUE(rows.has_value());
  for (const int first : {0, 10'000}) {
    for (int i = first; i < first + 10'000; ++i) {
      (*rows)->put(0, "order-" + std::to_string(i));
      if (i % 2 == 0) (*rows)->put_integer(2, i);
      ASSERT_TRUE((*rows)->end_row().has_value());
    }
    ASSERT_TRUE((*rows)->write_parquet(file(std::to_string(first) + ".parquet")).has_value());
  }
  EXPECT_EQ(ask("SELECT count(*), count(items), min(items), max(items) FROM '" + file("10000.parquet") + "'"),
            "10000|5000|10000|19998");
  EXPECT_EQ(ask("SELECT id FROM '" + file("0.parquet") + "' LIMIT 2 OFFSET 4999"), "order-4999; order-5000");
}

TEST_F(Columnar, the_same_rows_give_the_same_file) {
  const auto write = [&](const std::string& name) {
    auto rows = RowWriter::create(*database_, kOrders);
    for (int i = 0; i < 5000; ++i) {
      (*rows)->put(0, "order-" + std::to_string(i));
      EXPECT_TRUE((*rows)->end_row().has_value());
    }
    EXPECT_TRUE((*rows)->write_parquet(file(name)).has_value());
    std::ifstream in(file(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  EXPECT_EQ(write("a.parquet"), write("b.parquet"));
}

TEST(Decimal, holds_nine_digits_behind_the_point) {
  const auto decimal = [](const char* text) {
    const auto value = to_decimal(*Number::parse(text));
    return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
  };
  EXPECT_EQ(decimal("0"), 0);
  EXPECT_EQ(decimal("-1.5"), -1'500'000'000);
  EXPECT_EQ(decimal("0.000000001"), 1);
  EXPECT_EQ(decimal("0.0000000001"), std::nullopt);
  EXPECT_TRUE(to_decimal(*Number::parse("999999999999999999")).has_value());
  EXPECT_EQ(decimal("1e300"), std::nullopt);
}

TEST_F(Columnar, an_answer_says_which_columns_are_numbers) {
  const auto answer = database_->query("SELECT 1.50 AS price, 'x' AS name, true AS yes, [1, 2] AS list;");
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  ASSERT_EQ(answer->columns.size(), 4u);
  EXPECT_EQ(answer->columns[0].name, "price");
  EXPECT_TRUE(answer->columns[0].is_numeric);
  EXPECT_FALSE(answer->columns[1].is_numeric);
  EXPECT_TRUE(answer->columns[2].is_boolean);
  EXPECT_THAT(answer->rows, ElementsAre(ElementsAre("1.50", "x", "true", "[1, 2]")));
}

TEST_F(Columnar, statements_that_are_wrong_are_told_with_their_place) {
  EXPECT_THAT(ask("SELECT FROM WHERE"), HasSubstr("syntax error"));
  EXPECT_THAT(ask("SELECT nothing FROM (SELECT 1 AS one)"), HasSubstr("nothing"));
  EXPECT_THAT(ask(""), HasSubstr("no statement"));
  EXPECT_THAT(ask("SELECT * FROM 'there_is_no.parquet'"), HasSubstr("there_is_no.parquet"));
}

TEST_F(Columnar, several_statements_answer_with_the_last) {
  EXPECT_EQ(ask("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2); SELECT sum(a)::BIGINT FROM t"),
            "3");
  EXPECT_EQ(ask("SELECT a FROM t ORDER BY a DESC -- the newest first"), "2; 1");
  EXPECT_THAT(ask("DESCRIBE t"), HasSubstr("a|INTEGER"));
}

TEST_F(Columnar, nothing_is_fetched_from_outside) {
  EXPECT_THAT(ask("INSTALL httpfs"), HasSubstr("error"));
  EXPECT_THAT(ask("SELECT * FROM 'https://example.com/a.parquet'"), HasSubstr("error"));
}

TEST_F(Columnar, a_file_as_csv_tells_null_from_an_empty_text) {
  auto rows = RowWriter::create(*database_, kOrders);
  (*rows)->put(0, "a\"b,\nc");
  (*rows)->put_time(5, *parse_time("2026-03-01T10:00:00.123Z"));
  ASSERT_TRUE((*rows)->end_row().has_value());
  (*rows)->put(0, "");
  (*rows)->put_decimal(3, 1'500'000'000);
  ASSERT_TRUE((*rows)->end_row().has_value());
  ASSERT_TRUE((*rows)->write_parquet(file("rows.parquet")).has_value());
  std::string text;
  const auto read =
      read_csv(file("rows.parquet"), {"id", "revenue", "at"}, folder_, [&](std::string_view chunk) {
        text += chunk;
        return Result<void>();
      });
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(text,
            "\"id\",\"revenue\",\"at\"\n"
            "\"a\"\"b,\nc\",,\"2026-03-01 10:00:00.123000+00\"\n"
            "\"\",\"1.500000000\",\n");
}

}  // namespace
}  // namespace tailrace::columnar
