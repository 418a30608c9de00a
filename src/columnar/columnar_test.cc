#include "columnar/columnar.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "columnar/parquet_writer.h"

namespace tailrace::columnar {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
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

  // Of rows.parquet.
  std::string csv(const std::vector<std::string>& columns) const {
    std::string text;
    const auto read = read_csv(file("rows.parquet"), columns, [&](std::string_view piece) {
      text += piece;
      return Result<void>();
    });
    return read ? text : "error: " + read.error().message;
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
  auto rows = ParquetWriter::create(kOrders, file("rows.parquet"));
  (*rows)->put(0, "a\"b,\nc");
  (*rows)->put_time(5, *parse_time("2026-03-01T10:00:00.123Z"));
  ASSERT_TRUE((*rows)->end_row().has_value());
  (*rows)->put(0, "");
  (*rows)->put_decimal(3, 1'500'000'000);
  ASSERT_TRUE((*rows)->end_row().has_value());
  ASSERT_TRUE((*rows)->finish().has_value());
  EXPECT_EQ(csv({"id", "revenue", "at"}),
            "\"id\",\"revenue\",\"at\"\n"
            "\"a\"\"b,\nc\",,2026-03-01 10:00:00.123000+00\n"
            "\"\",1.500000000,\n");
}

TEST_F(Columnar, a_file_as_csv_has_every_type_to_its_last_digit) {
  auto rows = ParquetWriter::create(kOrders, file("rows.parquet"));
  const Decimal longest = Decimal{999'999'999'999'999'999} * 1'000'000'000;
  for (const Decimal decimal : {-longest, Decimal{-1}, Decimal{0}, longest}) {
    (*rows)->put_decimal(3, decimal);
    ASSERT_TRUE((*rows)->end_row().has_value());
  }
  (*rows)->put(0, "\"");
  (*rows)->put_boolean(1, false);
  (*rows)->put_integer(2, -9'223'372'036'854'775'807);
  (*rows)->put_real(4, 0.1);
  (*rows)->put_time(5, *parse_time("1969-12-31T23:59:59.999Z"));
  (*rows)->put(6, R"({"note":"\"}"})");
  ASSERT_TRUE((*rows)->end_row().has_value());
  ASSERT_TRUE((*rows)->finish().has_value());
  EXPECT_EQ(csv({"revenue"}),
            "\"revenue\"\n-999999999999999999.000000000\n-0.000000001\n0.000000000\n999999999999999999."
            "000000000\n\n");
  EXPECT_THAT(csv({"id", "paid", "items", "weight", "at", "properties"}),
              EndsWith("\n\"\"\"\",false,-9223372036854775807,0.1,1969-12-31 23:59:59.999000+00,"
                       R"("{""note"":""\""}""}")"
                       "\n"));
}

TEST_F(Columnar, a_file_as_csv_comes_in_pieces_and_ends_where_its_taker_fails) {
  auto rows = ParquetWriter::create(kOrders, file("rows.parquet"));
  for (int i = 0; i < 50'000; ++i) {
    (*rows)->put(0, "order-" + std::to_string(i));
    ASSERT_TRUE((*rows)->end_row().has_value());
  }
  ASSERT_TRUE((*rows)->finish().has_value());
  std::size_t longest = 0;
  std::size_t lines = 0;
  const auto count = [&](std::string_view piece) -> Result<void> {
    longest = std::max(longest, piece.size());
    lines += static_cast<std::size_t>(std::ranges::count(piece, '\n'));
    return {};
  };
  ASSERT_TRUE(read_csv(file("rows.parquet"), {"id"}, count).has_value());
  EXPECT_EQ(lines, 50'001u);
  EXPECT_LT(longest, 70'000u);

  for (const int fails_at : {1, 2, 5}) {
    int pieces = 0;
    const auto read = read_csv(file("rows.parquet"), {"id"}, [&](std::string_view) -> Result<void> {
      if (++pieces < fails_at) return {};
      return fail(Error::Code::unavailable, "the server went away");
    });
    EXPECT_EQ(read.error().message, "the server went away");
    EXPECT_EQ(pieces, fails_at);
  }
}

TEST_F(Columnar, a_file_that_is_missing_or_cut_is_no_csv) {
  const auto ignore = [](std::string_view) { return Result<void>(); };
  EXPECT_THAT(read_csv(file("none.parquet"), {"id"}, ignore).error().message, HasSubstr("none.parquet"));
  auto rows = ParquetWriter::create(kOrders, file("rows.parquet"));
  (*rows)->put(0, "a");
  ASSERT_TRUE((*rows)->end_row().has_value());
  ASSERT_TRUE((*rows)->finish().has_value());
  EXPECT_THAT(read_csv(file("rows.parquet"), {"no_such"}, ignore).error().message, HasSubstr("no_such"));
  std::filesystem::resize_file(file("rows.parquet"), std::filesystem::file_size(file("rows.parquet")) / 2);
  EXPECT_THAT(read_csv(file("rows.parquet"), {"id"}, ignore).error().message, HasSubstr("rows.parquet"));
  ASSERT_TRUE(database_->run("COPY (SELECT 1::TINYINT AS id) TO '" + file("tiny.parquet") + "'").has_value());
  EXPECT_EQ(read_csv(file("tiny.parquet"), {"id"}, ignore).error().code, Error::Code::corrupt);
}

}  // namespace
}  // namespace tailrace::columnar
