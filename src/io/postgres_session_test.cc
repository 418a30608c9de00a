#include "io/postgres_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/postgres_server.h"

namespace tailrace::io {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class PostgresSession : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = testing::PostgresServer::instance();
    if (server_ == nullptr) GTEST_SKIP() << testing::PostgresServer::why();
    connection_ = server_->create_database("session");
    session_ = connect_postgres(connection_, {}).value();
  }

  Error error_of(const std::string& sql) {
    const auto answer = session_->run(sql);
    return answer ? Error{Error::Code::io, "no error"} : answer.error();
  }

  testing::PostgresServer* server_ = nullptr;
  std::string connection_;
  std::unique_ptr<SqlSession> session_;
};

TEST_F(PostgresSession, reads_rows_as_text_and_tells_null_from_empty) {
  const auto rows = session_->run("SELECT 1, NULL, '' UNION ALL SELECT 2, 'a', 'b' ORDER BY 1").value();
  ASSERT_EQ(rows.rows.size(), 2u);
  EXPECT_EQ(rows.rows[0], (std::vector<std::optional<std::string>>{"1", std::nullopt, ""}));
  EXPECT_EQ(rows.rows[1], (std::vector<std::optional<std::string>>{"2", "a", "b"}));
}

TEST_F(PostgresSession, passes_parameters_as_values) {
  const std::vector<std::optional<std::string>> parameters{"'; DROP TABLE x; --", std::nullopt};
  const auto rows = session_->run("SELECT $1::text, $2::text", parameters).value();
  EXPECT_EQ(rows.rows[0][0], "'; DROP TABLE x; --");
  EXPECT_EQ(rows.rows[0][1], std::nullopt);
}

TEST_F(PostgresSession, says_how_many_rows_a_statement_changed) {
  ASSERT_TRUE(session_->run("CREATE TABLE t (a integer)"));
  EXPECT_EQ(session_->run("INSERT INTO t SELECT generate_series(1, 12)").value().affected, 12u);
  EXPECT_EQ(session_->run("DELETE FROM t WHERE a > 100").value().affected, 0u);
}

TEST_F(PostgresSession, an_error_begins_with_the_servers_code) {
  const Error missing = error_of("SELECT * FROM nowhere");
  EXPECT_EQ(missing.code, Error::Code::invalid_argument);
  EXPECT_THAT(missing.message, StartsWith("42P01: "));
  EXPECT_THAT(missing.message, HasSubstr("nowhere"));
}

TEST_F(PostgresSession, an_error_of_several_statements_is_the_first_and_the_session_goes_on) {
  EXPECT_THAT(error_of("SELECT 1; SELECT * FROM nowhere; SELECT 1/0").message, StartsWith("42P01"));
  EXPECT_EQ(session_->run("SELECT 7").value().rows[0][0], "7");
}

TEST_F(PostgresSession, an_error_repeats_no_value) {
  ASSERT_TRUE(session_->run("CREATE TABLE t (email text PRIMARY KEY)"));
  ASSERT_TRUE(session_->run("INSERT INTO t VALUES ('ada@example.com')"));
  const Error twice = error_of("INSERT INTO t VALUES ('ada@example.com')");
  EXPECT_THAT(twice.message, StartsWith("23505: "));
  EXPECT_THAT(twice.message, HasSubstr("t_pkey"));
  EXPECT_THAT(twice.message, Not(HasSubstr("ada")));
  EXPECT_THAT(error_of("SELECT 'ada@example.com'::integer").message, Not(HasSubstr("ada")));
}

TEST_F(PostgresSession, a_cancelled_statement_may_be_tried_again) {
  EXPECT_EQ(error_of("SET statement_timeout = 20; SELECT pg_sleep(60)").code, Error::Code::unavailable);
}

TEST_F(PostgresSession, copies_pieces_however_they_are_cut) {
  ASSERT_TRUE(session_->run("CREATE TABLE t (a integer, b text)"));
  const std::string csv = "a,b\n1,\"x,y\"\n2,\n3,\"\"\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, csv.size()}) {
    ASSERT_TRUE(session_->run("TRUNCATE t"));
    const auto copied =
        session_->copy_in("COPY t FROM STDIN (FORMAT csv, HEADER)", [&](const SqlSession::Put& put) {
          for (std::size_t at = 0; at < csv.size(); at += piece) {
            if (auto done = put(std::string_view(csv).substr(at, piece)); !done) return done;
          }
          return Result<void>();
        });
    ASSERT_TRUE(copied) << copied.error().message;
    EXPECT_EQ(*copied, 3u);
    EXPECT_EQ(server_->psql("session", "SELECT a, b IS NULL, b FROM t ORDER BY a"), "1|f|x,y\n2|t|\n3|f|\n");
  }
}

TEST_F(PostgresSession, a_copy_given_up_leaves_no_row_and_the_session_goes_on) {
  ASSERT_TRUE(session_->run("CREATE TABLE t (a integer)"));
  const auto copied = session_->copy_in("COPY t FROM STDIN", [&](const SqlSession::Put& put) -> Result<void> {
    TRY(put("1\n2\n"));
    return fail(Error::Code::corrupt, "the file is damaged");
  });
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().message, "the file is damaged");
  EXPECT_EQ(session_->run("SELECT count(*) FROM t").value().rows[0][0], "0");
}

TEST_F(PostgresSession, a_copy_that_is_refused_says_why) {
  const auto feed = [](const SqlSession::Put& put) { return put("x\n"); };
  EXPECT_THAT(session_->copy_in("COPY nowhere FROM STDIN", feed).error().message, StartsWith("42P01"));
  EXPECT_THAT(session_->copy_in("SELECT 1", feed).error().message, HasSubstr("no COPY"));
  ASSERT_TRUE(session_->run("CREATE TABLE t (a integer)"));
  const Error wrong = session_->copy_in("COPY t FROM STDIN", feed).error();
  EXPECT_THAT(wrong.message, StartsWith("22P02"));
  EXPECT_EQ(session_->run("SELECT 7").value().rows[0][0], "7");
}

TEST_F(PostgresSession, a_session_that_the_server_ends_is_unavailable) {
  const std::string own = *session_->run("SELECT pg_backend_pid()").value().rows[0][0];
  server_->psql("session", "SELECT pg_terminate_backend(" + own + ")");
  EXPECT_EQ(error_of("SELECT 1").code, Error::Code::unavailable);
  EXPECT_EQ(error_of("SELECT 1").code, Error::Code::unavailable);
}

TEST_F(PostgresSession, stopping_cancels_what_runs) {
  int asked = 0;
  auto session = connect_postgres(connection_, {.stopping = [&] { return ++asked > 4; }});
  // Connecting asks too; how often is the kernel's.
  if (!session) return;
  const auto answer = (*session)->run("SELECT pg_sleep(600)");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Error::Code::unavailable);
}

TEST_F(PostgresSession, a_refusal_to_connect_says_its_code_and_whether_it_may_pass) {
  const auto nowhere = connect_postgres(server_->connection("nowhere"), {});
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message, StartsWith("3D000"));
  EXPECT_EQ(nowhere.error().code, Error::Code::invalid_argument);
  const auto stranger = connect_postgres(server_->connection("session", "stranger"), {});
  ASSERT_FALSE(stranger);
  EXPECT_THAT(stranger.error().message, StartsWith("28000"));
  const auto nobody = connect_postgres("host=" + server_->folder() + "/none dbname=x user=x", {});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Error::Code::unavailable);
}

TEST(PostgresConnection, a_text_that_cannot_be_read_is_not_repeated) {
  const auto session = connect_postgres("host=x password='secret-word", {});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, Error::Code::invalid_argument);
  EXPECT_THAT(session.error().message, Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace tailrace::io
