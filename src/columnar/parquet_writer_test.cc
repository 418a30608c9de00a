#include "columnar/parquet_writer.h"

#include <filesystem>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "columnar/columnar.h"

namespace tailrace::columnar {
namespace {

using ::testing::HasSubstr;

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

// DuckDB reads what was written.
class Parquet : public ::testing::Test {
 protected:
  Parquet() : folder_(std::filesystem::temp_directory_path() / fmt::format("tailrace_parquet_{}", getpid())) {
    std::filesystem::create_directories(folder_);
    auto opened = Database::open({});
    if (!opened) throw std::runtime_error(opened.error().message);
    database_ = std::move(*opened);
  }
  ~Parquet() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name = "orders.parquet") const { return folder_ / name; }
  std::unique_ptr<ParquetWriter> writer(const std::string& name = "orders.parquet") const {
    auto made = ParquetWriter::create(kOrders, file(name));
    if (!made) throw std::runtime_error(made.error().message);
    return std::move(*made);
  }
  // Rows 0 to count - 1, each as `put` has it.
  void write(int count, const std::function<void(ParquetWriter&, int)>& put,
             const std::string& name = "orders.parquet") const {
    const auto rows = writer(name);
    for (int i = 0; i < count; ++i) {
      put(*rows, i);
      ASSERT_TRUE(rows->end_row().has_value());
    }
    EXPECT_EQ(rows->rows(), static_cast<std::uint64_t>(count));
    ASSERT_TRUE(rows->finish().has_value());
  }
  // "a|b; c|null". FILE is the file's name.
  std::string ask(std::string sql, const std::string& name = "orders.parquet") const {
    for (std::size_t at = sql.find("FILE"); at != std::string::npos; at = sql.find("FILE"))
      sql.replace(at, 4, quoted_text(file(name)));
    const auto answer = database_->query(sql);
    if (!answer) return "error: " + answer.error().message;
    std::string text;
    for (const auto& row : answer->rows) {
      if (!text.empty()) text += "; ";
      for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : "|") + row[i].value_or("null");
    }
    return text;
  }
  // Of a column's first group of rows.
  std::string encodings(const std::string& column) const {
    return ask("SELECT encodings FROM parquet_metadata(FILE) WHERE row_group_id = 0 AND path_in_schema = " +
               quoted_text(column));
  }

  std::filesystem::path folder_;
  std::unique_ptr<Database> database_;
};

TEST_F(Parquet, has_rows_of_every_type) {
  const auto rows = writer();
  rows->put(0, "order-1");
  rows->put_boolean(1, true);
  rows->put_integer(2, 3);
  rows->put_decimal(3, *to_decimal(*Number::parse("-19.99")));
  rows->put_real(4, 0.5);
  rows->put_time(5, *parse_time("2026-03-01T10:00:00.123Z"));
  rows->put(6, R"({"note":"it's \"here\""})");
  ASSERT_TRUE(rows->end_row().has_value());
  rows->put(0, "");
  ASSERT_TRUE(rows->end_row().has_value());
  EXPECT_EQ(rows->rows(), 2u);
  ASSERT_TRUE(rows->finish().has_value());

  EXPECT_EQ(ask("SELECT * FROM FILE"),
            R"(order-1|true|3|-19.990000000|0.5|2026-03-01 10:00:00.123+00|{"note":"it's \"here\""}; )"
            "|null|null|null|null|null|null");
  EXPECT_EQ(ask("SELECT column_type FROM (DESCRIBE SELECT * FROM FILE)"),
            "VARCHAR; BOOLEAN; BIGINT; DECIMAL(38,9); DOUBLE; TIMESTAMP WITH TIME ZONE; VARCHAR");
}

TEST_F(Parquet, without_a_row_still_has_its_columns) {
  write(0, [](ParquetWriter&, int) {});
  EXPECT_EQ(ask("SELECT count(*), count(id) FROM FILE"), "0|0");
}

TEST_F(Parquet, keeps_the_order_of_rows_over_groups_of_them) {
  write(250'000, [](ParquetWriter& rows, int i) {
    rows.put(0, fmt::format("order-{}", i));
    if (i % 2 == 0) rows.put_integer(2, i);
  });
  EXPECT_EQ(ask("SELECT count(*), count(items), min(items), max(items) FROM FILE"), "250000|125000|0|249998");
  EXPECT_EQ(ask("SELECT count(*) FROM (SELECT id, row_number() OVER () AS n FROM FILE) WHERE id <> 'order-' "
                "|| (n - 1)"),
            "0");
  EXPECT_EQ(ask("SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata(FILE) ORDER BY 1"),
            "0|122880; 1|122880; 2|4240");
}

TEST_F(Parquet, rows_that_are_large_come_in_groups_of_some_32_mib) {
  std::mt19937_64 random(1);
  std::string text(std::size_t{1} << 20, ' ');
  std::uint64_t bytes = 0;
  write(48, [&](ParquetWriter& rows, int i) {
    for (char& character : text) character = static_cast<char>('0' + random() % 64);
    rows.put(6, text);
    rows.put_integer(2, i);
    bytes += text.size();
  });
  EXPECT_EQ(ask("SELECT count(*), sum(length(properties)) FROM FILE"), fmt::format("48|{}", bytes));
  EXPECT_EQ(ask("SELECT count(DISTINCT row_group_id) > 1, max(total_compressed_size) < 34 * 1024 * 1024 FROM "
                "parquet_metadata(FILE)"),
            "true|true");
}

TEST_F(Parquet, the_same_rows_give_the_same_file) {
  const auto bytes = [&](const std::string& name) {
    write(5'000, [](ParquetWriter& rows, int i) { rows.put(0, fmt::format("order-{}", i % 700)); }, name);
    std::ifstream in(file(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  EXPECT_EQ(bytes("a.parquet"), bytes("b.parquet"));
}

TEST_F(Parquet, values_that_repeat_are_written_once) {
  write(100'000, [](ParquetWriter& rows, int i) {
    rows.put(0, fmt::format("a customer of the shop, number {}", i % 500));
    rows.put_integer(2, i);
  });
  EXPECT_THAT(encodings("id"), HasSubstr("DICTIONARY"));
  EXPECT_EQ(encodings("items"), "PLAIN, RLE");
  EXPECT_LT(std::filesystem::file_size(file()), 300'000u);
  EXPECT_EQ(ask("SELECT count(DISTINCT id) FROM FILE WHERE id = 'a customer of the shop, number ' || (items "
                "% 500)"),
            "500");
}

TEST_F(Parquet, a_dictionary_that_grows_too_large_is_used_no_more) {
  // Each value comes twice until the dictionary is full, then once.
  write(120'000, [](ParquetWriter& rows, int i) {
    const int value = i < 60'000 ? i / 2 : i;
    rows.put(0, fmt::format("{:060}", value));
    rows.put_integer(2, value);
  });
  EXPECT_THAT(encodings("id"), HasSubstr("DICTIONARY"));
  EXPECT_EQ(ask("SELECT count(*), count(*) FILTER (id <> format('{:060d}', items)) FROM FILE"), "120000|0");
}

TEST_F(Parquet, tells_the_least_and_the_greatest_of_a_group) {
  write(1'000, [](ParquetWriter& rows, int i) {
    rows.put(0, fmt::format("order-{:03}", i / 4));
    rows.put_integer(2, i - 500);
    rows.put_decimal(3, Decimal{i - 500} * 1'000'000'000);
    rows.put_time(5, {i});
  });
  EXPECT_EQ(ask("SELECT path_in_schema, stats_min_value, stats_max_value, stats_null_count FROM "
                "parquet_metadata(FILE) "
                "WHERE path_in_schema IN ('id', 'items', 'revenue', 'at', 'weight') ORDER BY column_id"),
            "id|order-000|order-249|0; items|-500|499|0; revenue|-500.000000000|499.000000000|0; "
            "weight|null|null|1000; "
            "at|1970-01-01 00:00:00+00|1970-01-01 00:00:00.999+00|0");
  EXPECT_EQ(ask("SELECT count(*) FROM FILE WHERE items = 499 AND id >= 'order-249' AND revenue > 498.5"),
            "1");
}

TEST_F(Parquet, of_two_values_for_one_place_the_second_counts) {
  write(10'000, [](ParquetWriter& rows, int i) {
    for (const char* text : {"first", "second"}) {
      rows.put(0, fmt::format("{}-{}", text, i));
      rows.put(6, text);
    }
    rows.put_boolean(1, true);
    rows.put_boolean(1, false);
  });
  EXPECT_EQ(ask("SELECT count(*) FROM FILE WHERE id LIKE 'second-%' AND properties = 'second' AND NOT paid"),
            "10000");
}

// Every kind of column in every way: much or little that repeats, in runs or not, nulls in runs or not.
TEST_F(Parquet, reads_again_as_it_was_written_whatever_the_values) {
  for (const unsigned seed : {1u, 2u, 3u, 4u, 5u, 6u}) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
    const int rows = below(4) == 0 ? below(20) : 5'000 + below(60'000);
    const unsigned distinct =
        std::array{1u, 2u, 9u, 300u, 20'000u, 1'000'000'000u}[static_cast<std::size_t>(below(6))];
    const int run = 1 + below(40);
    const int nulls = below(4) * 30;
    std::string expected;
    int value = 0;
    bool is_null = false;
    write(rows, [&](ParquetWriter& writer, int i) {
      if (i % run == 0) value = below(distinct);
      if (i % (run + 3) == 0) is_null = below(100) < nulls;
      if (is_null) {
        expected += "null;";
        return;
      }
      const std::string text =
          fmt::format("{}{}", value, std::string(static_cast<std::size_t>(value % 50), 'x'));
      writer.put(0, text);
      writer.put_boolean(1, value % 2 == 0);
      writer.put_integer(2, value - 5);
      writer.put_decimal(3, Decimal{value - 5} * 1'000'000'000);
      writer.put_real(4, value);
      writer.put_time(5, {value});
      writer.put(6, text);
      expected += fmt::format("{}|{}|{}|{}|{}|{}|{};", text, value % 2 == 0, value - 5, value - 5, value,
                              value, text);
    });
    std::string read;
    const auto streamed = database_->stream(
        fmt::format(
            "SELECT id, paid::VARCHAR, items::VARCHAR, revenue::BIGINT::VARCHAR, weight::BIGINT::VARCHAR, "
            "epoch_ms(\"at\")::VARCHAR, properties FROM {}",
            quoted_text(file())),
        [&](std::vector<std::optional<std::string>>& row) -> Result<void> {
          for (std::size_t i = 0; row[0] && i < row.size(); ++i)
            read += (i == 0 ? "" : "|") + row[i].value_or("null");
          read += row[0] ? ";" : "null;";
          return {};
        });
    ASSERT_TRUE(streamed.has_value()) << streamed.error().message;
    ASSERT_TRUE(read == expected) << rows << " rows, " << distinct << " values";
  }
}

TEST_F(Parquet, a_disk_that_takes_no_more_is_an_error) {
  EXPECT_EQ(ParquetWriter::create(kOrders, file("no/such/folder.parquet")).error().code, Error::Code::io);
  auto full = ParquetWriter::create(kOrders, "/dev/full");
  ASSERT_TRUE(full.has_value());
  (*full)->put(0, "order-1");
  ASSERT_TRUE((*full)->end_row().has_value());
  EXPECT_EQ((*full)->finish().error().message, "cannot write /dev/full");
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

}  // namespace
}  // namespace tailrace::columnar
