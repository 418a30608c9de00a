// On a real PostgreSQL server and a real DuckDB; ClickHouse by a stand-in that answers what its manual says.
#include "server/queries/query_reader.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "columnar/columnar.h"
#include "io/posix_disk.h"
#include "model/record.h"
#include "sources/query/row_mapping.h"
#include "support/postgres_server.h"

namespace tailrace::server {
namespace {

using sources::ColumnKind;
using sources::QueryColumn;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Gathered final : RowSink {
  std::vector<QueryColumn> seen;
  std::vector<std::string> rows;  // "a|null"
  std::optional<Error> refuses;

  Result<void> columns(std::vector<QueryColumn> columns) override {
    seen = std::move(columns);
    return {};
  }
  Result<void> row(const std::vector<std::optional<std::string>>& row) override {
    if (refuses) return std::unexpected(*refuses);
    std::string line;
    for (const auto& cell : row) line += (line.empty() ? "" : "|") + cell.value_or("null");
    rows.push_back(std::move(line));
    return {};
  }
  // "id:text n:number"
  std::string kinds() const {
    static constexpr const char* kNames[] = {"text", "boolean", "number", "date", "time", "local", "json"};
    std::string out;
    for (const auto& column : seen)
      out += fmt::format("{}{}:{}", out.empty() ? "" : " ", column.name,
                         kNames[static_cast<std::size_t>(column.kind)]);
    return out;
  }
};

class Readers : public ::testing::Test {
 protected:
  Readers()
      : folder_(std::filesystem::temp_directory_path() / fmt::format("tailrace_readers_{}", getpid())),
        disk_(io::posix_disk()) {
    std::filesystem::create_directories(folder_);
  }
  ~Readers() override { std::filesystem::remove_all(folder_); }

  // The error's words, or nothing.
  std::string read(const std::string& query) {
    gathered_.seen.clear();
    gathered_.rows.clear();
    const auto reader = make_query_reader(
        source_, {.folder = folder_, .scratch = folder_, .client = client_, .disk = disk_.get()});
    if (!reader) return reader.error().message;
    const auto done = (*reader)->read(query, gathered_);
    code_ = done ? Error::Code::invalid_argument : done.error().code;
    return done ? "" : done.error().message;
  }
  void secret(const std::string& name, const std::string& value) {
    std::ofstream(folder_ / name) << value;
    source_.credentials[name] = {workspace::SecretReference::Kind::file, name};
  }

  std::filesystem::path folder_;
  std::unique_ptr<Disk> disk_;
  io::HttpClient* client_ = nullptr;
  workspace::QuerySource source_;
  Gathered gathered_;
  Error::Code code_{};
};

class PostgresReading : public Readers {
 protected:
  void SetUp() override {
    server_ = testing::PostgresServer::instance();
    if (server_ == nullptr) GTEST_SKIP() << testing::PostgresServer::why();
    source_.type = "postgres";
    secret("connection", server_->create_database("shop"));
  }
  testing::PostgresServer* server_ = nullptr;
};

TEST_F(PostgresReading, every_type_comes_in_its_known_form) {
  server_->psql(
      "shop",
      "CREATE TYPE mood AS ENUM ('happy'); CREATE TABLE t (id text, n numeric(20,4), i bigint, f float8, b "
      "boolean, "
      "d date, l timestamp, z timestamptz, j jsonb, a text[], na numeric[], u uuid, e mood, y bytea)");
  server_->psql(
      "shop",
      "SET TIME ZONE 'Asia/Tokyo'; INSERT INTO t VALUES ('u1', 1234567890123456.7800, 9007199254740993, 0.1, "
      "true, '2026-03-01', '2026-03-01 10:00:00.123456', '2026-03-01 10:00:00.5', '{\"a\": [1, 2.50]}', "
      "'{x,\"y z\",NULL}', '{1.10,2}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'happy', '\\x01ff')");
  server_->psql("shop", "INSERT INTO t (id) VALUES ('u2')");
  ASSERT_EQ(read("SELECT * FROM t ORDER BY id -- and no more"), "");
  EXPECT_EQ(gathered_.kinds(),
            "id:text n:number i:number f:number b:boolean d:date l:local z:time j:json a:json na:json u:text "
            "e:text y:text");
  ASSERT_EQ(gathered_.rows.size(), 2U);
  EXPECT_EQ(
      gathered_.rows[0],
      "u1|1234567890123456.7800|9007199254740993|0.1|t|2026-03-01|2026-03-01 10:00:00.123456|2026-03-01 "
      "01:00:00.5+00|{\"a\": [1, 2.50]}|[\"x\",\"y "
      "z\",null]|[1.10,2]|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|happy|\\x01ff");
  EXPECT_EQ(gathered_.rows[1], "u2|null|null|null|null|null|null|null|null|null|null|null|null|null");
}

TEST_F(PostgresReading, many_rows_come_in_pieces) {
  ASSERT_EQ(read("SELECT n, 'person ' || n AS name FROM generate_series(1, 20001) AS n"), "");
  ASSERT_EQ(gathered_.rows.size(), 20'001U);
  EXPECT_EQ(gathered_.rows.back(), "20001|person 20001");
  ASSERT_EQ(read("WITH few AS (SELECT 1 AS n) SELECT * FROM few WHERE n > 1"), "");
  EXPECT_TRUE(gathered_.rows.empty());
  EXPECT_EQ(gathered_.kinds(), "n:number");
}

TEST_F(PostgresReading, a_query_changes_nothing) {
  server_->psql("shop", "CREATE TABLE t (id text); INSERT INTO t VALUES ('u1')");
  EXPECT_THAT(read("DELETE FROM t RETURNING id"), HasSubstr("42601"));
  server_->psql(
      "shop", "CREATE FUNCTION gone() RETURNS bigint AS $$ DELETE FROM t; SELECT 1::bigint $$ LANGUAGE sql");
  EXPECT_THAT(read("SELECT gone() AS id"), HasSubstr("25006"));
  // Nor does it leave its transaction to do so.
  for (const char* way_out : {"", "COMMIT; ", "ROLLBACK; "}) {
    const auto query =
        fmt::format("SELECT 1 AS id) AS x; {}DELETE FROM t; SELECT * FROM (SELECT 2 AS id", way_out);
    EXPECT_THAT(read(query), HasSubstr("42601: cannot insert multiple commands")) << query;
  }
  EXPECT_EQ(server_->psql("shop", "SELECT count(*) FROM t"), "1\n");
}

TEST_F(PostgresReading, what_is_wrong_is_said) {
  EXPECT_THAT(read("SELECT * FROM nowhere"), HasSubstr("42P01: relation \"nowhere\" does not exist"));
  EXPECT_EQ(code_, Error::Code::invalid_argument);
  EXPECT_THAT(read("SELECT 1/(n-3) AS n FROM generate_series(1, 5) AS n"),
              HasSubstr("22012: a value does not fit"));
  gathered_.refuses = Error{Error::Code::invalid_argument, "enough"};
  EXPECT_EQ(read("SELECT 1 AS n"), "enough");
  secret("connection", fmt::format("host={} dbname=nothing user=owner", server_->folder()));
  EXPECT_THAT(read("SELECT 1 AS n"), HasSubstr("3D000"));
  secret("connection", "host=/nowhere/at/all dbname=shop");
  EXPECT_NE(read("SELECT 1 AS n"), "");
  EXPECT_EQ(code_, Error::Code::unavailable);
}

TEST_F(Readers, a_secret_that_is_missing_is_named) {
  source_.name = "crm";
  source_.type = "postgres";
  source_.credentials["connection"] = {workspace::SecretReference::Kind::file, "nothing"};
  EXPECT_THAT(read("SELECT 1"), AllOf(HasSubstr("source \"crm\", `connection`"), HasSubstr("nothing")));
}

TEST_F(Readers, duckdb_reads_parquet_with_every_type) {
  {
    const auto database = columnar::Database::open({});
    ASSERT_TRUE(database.has_value());
    const auto made =
        (*database)->run(fmt::format("COPY (SELECT 'u1' AS id, 1234567890123456.78::DECIMAL(20,2) AS n, "
                                     "9007199254740993 AS i, 0.1::DOUBLE AS f, true AS b, "
                                     "DATE '2026-03-01' AS d, TIMESTAMP '2026-03-01 10:00:00.123456' AS l, "
                                     "TIMESTAMPTZ '2026-03-01 10:00:00+09' AS z, "
                                     "{{'a': 1}} AS s, ['x', NULL] AS a UNION ALL SELECT 'u2', NULL, NULL, "
                                     "NULL, NULL, NULL, NULL, NULL, NULL, NULL) "
                                     "TO '{}' (FORMAT parquet)",
                                     (folder_ / "people.parquet").string()));
    ASSERT_TRUE(made.has_value()) << made.error().message;
  }
  source_.type = "duckdb";
  ASSERT_EQ(read("FROM 'people.parquet' ORDER BY id;"), "");
  EXPECT_EQ(gathered_.kinds(),
            "id:text n:number i:number f:number b:boolean d:date l:local z:time s:json a:json");
  ASSERT_EQ(gathered_.rows.size(), 2U);
  EXPECT_EQ(
      gathered_.rows[0],
      "u1|1234567890123456.78|9007199254740993|0.1|true|2026-03-01|2026-03-01 10:00:00.123456|2026-03-01 "
      "01:00:00+00|{\"a\":1}|[\"x\",null]");
  EXPECT_EQ(gathered_.rows[1], "u2|null|null|null|null|null|null|null|null|null");
  EXPECT_THAT(read("SELECT * FROM 'nothing.parquet'"), HasSubstr("nothing.parquet"));
  EXPECT_THAT(read("SELECT nothing FROM 'people.parquet'"), HasSubstr("nothing"));
  ASSERT_EQ(read("SELECT i AS id FROM range(10000) r(i)"), "");
  EXPECT_EQ(gathered_.rows.size(), 10'000U);
}

TEST_F(Readers, duckdb_asks_a_database_that_it_may_only_read) {
  {
    const auto database = columnar::Database::open({});
    ASSERT_TRUE((*database)
                    ->run(fmt::format("ATTACH '{}' AS d; CREATE TABLE d.t AS SELECT 1 AS id; DETACH d",
                                      (folder_ / "shop.duckdb").string()))
                    .has_value());
  }
  source_.type = "duckdb";
  source_.settings = {{"database", "shop.duckdb"}};
  ASSERT_EQ(read("SELECT * FROM t"), "");
  EXPECT_EQ(gathered_.rows, std::vector<std::string>{"1"});
  EXPECT_NE(read("INSERT INTO t VALUES (2)"), "");
}

// A ClickHouse that has one table; it takes what the reader asks and nothing else.
class ClickHouse final : public io::HttpClient {
 public:
  std::vector<std::string> asked;
  std::string describes =
      "id\tString\t\t\t\t\t\nn\tNullable(Decimal(18, 2))\t\t\t\t\t\nat\tDateTime64(3, "
      "'Asia/Tokyo')\t\t\t\t\t\n";
  std::string rows = "u1\\tx\t12.50\t2026-03-01 10:00:00.500\nu2\t\\N\t2026-03-02 00:00:00.000\n";
  std::string refuses;

  void send(HttpRequest request, const HttpReach& reach, io::BodySink sink, io::HttpCallback done) override {
    EXPECT_EQ(request.method, "POST");
    EXPECT_THAT(request.url, AllOf(HasSubstr("http://127.0.0.1:8123/?"), HasSubstr("wait_end_of_query=1"),
                                   HasSubstr("readonly=2"), HasSubstr("date_time_output_format=iso"),
                                   HasSubstr("database=default")));
    EXPECT_EQ(request.headers.get("X-ClickHouse-User"), "reader");
    EXPECT_EQ(request.headers.get("X-ClickHouse-Key"), "secret");
    EXPECT_TRUE(reach.private_addresses);
    asked.push_back(request.body);
    if (!refuses.empty()) {
      HttpResponse answer{.status = 404, .headers = {{"X-ClickHouse-Exception-Code", refuses}}, .body = {}};
      answer.body = fmt::format(
          "Code: {}. DB::Exception: Unknown table expression identifier 'nowhere'.\nmore", refuses);
      return done(std::move(answer));
    }
    const std::string& body = request.body.starts_with("DESCRIBE TABLE (") ? describes : rows;
    bool goes_on = true;
    for (std::size_t at = 0; goes_on && at < body.size(); at += 7)
      goes_on = sink(std::string_view(body).substr(at, 7));
    done(HttpResponse{.status = 200, .headers = {}, .body = {}});
  }
};

class ClickHouseReading : public Readers {
 protected:
  ClickHouseReading() {
    source_.type = "clickhouse";
    source_.settings = {{"url", "http://127.0.0.1:8123"}, {"user", "reader"}};
    source_.allow_private_addresses = true;
    secret("password", "secret");
    client_ = &server_;
  }
  ClickHouse server_;
};

TEST_F(ClickHouseReading, rows_come_through_a_file) {
  ASSERT_EQ(read("SELECT id, n, at FROM t;"), "");
  EXPECT_EQ(server_.asked,
            (std::vector<std::string>{
                "DESCRIBE TABLE (\nSELECT id, n, at FROM t\n) FORMAT TabSeparated",
                "SELECT toString(`id`), toString(`n`), toString(toTimeZone(`at`, 'UTC')) FROM (\nSELECT id, "
                "n, at FROM t\n) FORMAT TabSeparated"}));
  EXPECT_EQ(gathered_.kinds(), "id:text n:number at:time");
  EXPECT_EQ(gathered_.rows, (std::vector<std::string>{"u1\tx|12.50|2026-03-01 10:00:00.500",
                                                      "u2|null|2026-03-02 00:00:00.000"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "answer"));
}

TEST_F(ClickHouseReading, an_answer_that_was_cut_is_none) {
  server_.rows.pop_back();
  EXPECT_THAT(read("SELECT 1"), HasSubstr("ends within a row"));
  EXPECT_EQ(code_, Error::Code::unavailable);
  server_.rows = "one\n";
  EXPECT_THAT(read("SELECT 1"), HasSubstr("another length"));
}

TEST_F(ClickHouseReading, what_is_wrong_with_a_query_is_said_in_its_words) {
  server_.refuses = "60";
  EXPECT_EQ(read("SELECT * FROM nowhere"),
            "ClickHouse: Code: 60. DB::Exception: Unknown table expression identifier 'nowhere'.");
  server_.refuses = "6";
  EXPECT_THAT(read("SELECT * FROM nowhere"), AllOf(HasSubstr("code 6"), Not(HasSubstr("nowhere"))));
}

}  // namespace
}  // namespace tailrace::server
