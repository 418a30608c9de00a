// On a real server (support/postgres_server.h): whatever step a load dies at, the tables hold every row once.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/postgres/session.h"
#include "destinations/warehouse_destination.h"
#include "io/postgres_session.h"
#include "support/postgres_server.h"
#include "support/scripted_transport.h"

namespace tailrace::destinations {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::make_pack;
using ::testing::Not;
using testing::PackRows;
using testing::ScriptedTransport;
using testing::TestPack;

const PackRows kFirst{{{"message_id", "m1"},
                       {"name", "Order Completed"},
                       {"revenue", "19.990000000"},
                       {"at", "2026-03-01 10:00:00.123456+00"}},
                      {{"message_id", "m2"}, {"name", "Product Viewed"}, {"at", "2026-03-01 10:00:01+00"}}};
const PackRows kSecond{{{"message_id", "m3"}, {"name", "Product Viewed"}, {"at", "2026-03-01 11:00:00+00"}}};
const PackRows kPeople{{{"person", "1"}, {"email", "old@example.com"}, {"version", "5"}},
                       {{"person", "1"}, {"email", "ada@example.com"}, {"version", "7"}},
                       {{"person", "2"}, {"version", "6"}}};

class PostgresLoad : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = testing::PostgresServer::instance();
    if (server_ == nullptr) GTEST_SKIP() << testing::PostgresServer::why();
    fresh();
  }

  void fresh() {
    server_->create_database("warehouse");
    config_ = {};
    config_.settings = {{"host", server_->folder()}, {"database", "warehouse"}, {"user", "owner"}};
    fill_defaults(*destination_, config_);
  }

  void open(ScriptedTransport& transport) const {
    transport.sql_server = [](const std::string& connection) { return io::connect_postgres(connection, {}); };
  }

  Result<void> load(const TestPack& pack) {
    ScriptedTransport transport;
    open(transport);
    transport.add(pack);
    return destination_->load(pack.pack, config_, transport);
  }
  std::string error_of(const TestPack& pack) {
    const auto done = load(pack);
    return done ? "no error" : done.error().message;
  }

  std::string events() const {
    return server_->psql(
        "warehouse",
        "SELECT message_id, name, revenue, at AT TIME ZONE 'UTC' FROM tailrace.events ORDER BY 1");
  }
  std::string people() const {
    return server_->psql("warehouse", "SELECT person, email, version FROM tailrace.people ORDER BY 1");
  }
  std::string packs() const {
    return server_->psql("warehouse",
                         "SELECT sync, sequence, pack_id FROM tailrace._tailrace_packs ORDER BY 2");
  }
  std::string sql(const std::string& text) const { return server_->psql("warehouse", text); }

  const WarehouseDestination* destination_ = find_warehouse_destination("postgres");
  testing::PostgresServer* server_ = nullptr;
  Config config_;
};

TEST_F(PostgresLoad, makes_schema_and_tables_and_fills_them) {
  ASSERT_EQ(error_of(make_pack(1, {kFirst, kSecond}, kPeople)), "no error");
  EXPECT_EQ(events(),
            "m1|Order Completed|19.990000000|2026-03-01 10:00:00.123456\n"
            "m2|Product Viewed||2026-03-01 10:00:01\n"
            "m3|Product Viewed||2026-03-01 11:00:00\n");
  EXPECT_EQ(people(), "1|ada@example.com|7\n2||6\n");
  EXPECT_EQ(packs(), "warehouse|1|p000001_w\n");
}

TEST_F(PostgresLoad, the_same_pack_again_changes_nothing) {
  const TestPack pack = make_pack(1, {kFirst}, kPeople);
  ASSERT_EQ(error_of(pack), "no error");
  ASSERT_EQ(error_of(make_pack(2, {kSecond}, {})), "no error");
  sql("DELETE FROM tailrace.events WHERE message_id = 'm1'");
  ASSERT_EQ(error_of(pack), "no error");
  EXPECT_EQ(sql("SELECT count(*) FROM tailrace.events"), "2\n");
  EXPECT_EQ(packs(), "warehouse|1|p000001_w\nwarehouse|2|p000002_w\n");
}

struct World {
  ScriptedTransport transport;
};

TEST_F(PostgresLoad, killed_at_any_step_every_row_is_there_once) {
  const TestPack first = make_pack(1, {kFirst}, kPeople);
  const TestPack second =
      make_pack(2, {kSecond, {}}, {{{"person", "1"}, {"email", "new@example.com"}, {"version", "8"}}});
  const auto judge = io::connect_postgres(server_->connection("warehouse"), {}).value();
  const auto kills = testing::survive_every_kill<World>(
      [&] {
        EXPECT_TRUE(judge->run("DROP SCHEMA IF EXISTS tailrace CASCADE"));
        auto world = std::make_unique<World>();
        open(world->transport);
        world->transport.add(first);
        world->transport.add(second);
        return world;
      },
      [&](World& world) -> Result<void> {
        TRY(destination_->load(first.pack, config_, world.transport));
        return destination_->load(second.pack, config_, world.transport);
      },
      [&](World&, const std::string& when) {
        const auto there = judge->run(
            "SELECT (SELECT string_agg(message_id, ' ' ORDER BY message_id) FROM tailrace.events), (SELECT "
            "string_agg(concat(person, ' ', email, ' ', version), ', ' ORDER BY person) FROM "
            "tailrace.people), (SELECT "
            "string_agg(pack_id, ' ' ORDER BY sequence) FROM tailrace._tailrace_packs)");
        ASSERT_TRUE(there) << when << ": " << there.error().message;
        EXPECT_EQ(there->rows[0][0], "m1 m2 m3") << when;
        EXPECT_EQ(there->rows[0][1], "1 new@example.com 8, 2  6") << when;
        EXPECT_EQ(there->rows[0][2], "p000001_w p000002_w") << when;
      });
  EXPECT_GT(kills, 60u);
}

TEST_F(PostgresLoad, a_row_that_is_there_already_is_left_as_it_is) {
  ASSERT_EQ(error_of(make_pack(1, {kFirst}, {})), "no error");
  PackRows again = kSecond;
  again.push_back({{"message_id", "m1"}, {"name", "changed"}, {"at", "2026-03-02 00:00:00+00"}});
  ASSERT_EQ(error_of(make_pack(2, {again}, {})), "no error");
  EXPECT_EQ(sql("SELECT message_id, name FROM tailrace.events ORDER BY 1"),
            "m1|Order Completed\nm2|Product Viewed\nm3|Product Viewed\n");
}

TEST_F(PostgresLoad, an_older_version_changes_nobody) {
  ASSERT_EQ(error_of(make_pack(1, {}, kPeople)), "no error");
  ASSERT_EQ(error_of(make_pack(2, {}, {{{"person", "1"}, {"email", "late@example.com"}, {"version", "6"}}})),
            "no error");
  EXPECT_EQ(people(), "1|ada@example.com|7\n2||6\n");
}

TEST_F(PostgresLoad, new_columns_are_added_and_columns_of_others_are_left_alone) {
  ASSERT_EQ(error_of(make_pack(1, {kFirst}, {})), "no error");
  sql("ALTER TABLE tailrace.events ADD COLUMN mine text DEFAULT 'x'");
  auto tables = testing::test_tables();
  tables[0].columns.push_back({"coupon", ColumnType::text, ""});
  ASSERT_EQ(
      error_of(make_pack(2, {{{{"message_id", "m9"}, {"name", "n"}, {"coupon", "SPRING"}}}}, {}, tables)),
      "no error");
  EXPECT_EQ(sql("SELECT coupon, mine FROM tailrace.events WHERE message_id = 'm9'"), "SPRING|x\n");
  EXPECT_EQ(sql("SELECT coupon, mine FROM tailrace.events WHERE message_id = 'm1'"), "|x\n");
}

TEST_F(PostgresLoad, json_that_holds_a_zero_character_comes_without_it) {
  auto tables = testing::test_tables();
  tables[0].columns.push_back({"properties", ColumnType::json, ""});
  ASSERT_EQ(error_of(make_pack(1,
                               {{{{"message_id", "m1"}, {"properties", R"(["a\u0000b" ])"}},
                                 {{"message_id", "m2"}, {"properties", R"(["a\\u0000b" ])"}},
                                 {{"message_id", "m3"}, {"name", std::string("a\0b", 3)}}}},
                               {}, tables)),
            "no error");
  EXPECT_EQ(sql("SELECT properties->>0 FROM tailrace.events ORDER BY message_id"),
            "a\xef\xbf\xbd"
            "b\na\\u0000b\n\n");
  EXPECT_EQ(sql("SELECT name FROM tailrace.events WHERE message_id = 'm3'"),
            "a\xef\xbf\xbd"
            "b\n");
}

TEST_F(PostgresLoad, a_gap_and_a_foreign_pack_say_how_to_mend) {
  EXPECT_THAT(error_of(make_pack(2, {kFirst}, {})),
              AllOf(HasSubstr("holds no pack"), HasSubstr("another name")));
  ASSERT_EQ(error_of(make_pack(1, {kFirst}, {})), "no error");
  EXPECT_THAT(error_of(make_pack(3, {kFirst}, {})), HasSubstr("packs up to 1"));
  TestPack foreign = make_pack(1, {kSecond}, {});
  foreign.pack.id = "p000001_other";
  EXPECT_THAT(error_of(foreign), HasSubstr("another pack 1"));
  sql("INSERT INTO tailrace._tailrace_packs SELECT sync, 5, 'p5', tables, now() FROM "
      "tailrace._tailrace_packs");
  EXPECT_THAT(error_of(make_pack(2, {kSecond}, {})),
              HasSubstr("holds pack 5 of the sync \"warehouse\" but not pack 2"));
}

TEST_F(PostgresLoad, a_dropped_table_is_not_made_anew_as_if_nothing_had_been_there) {
  ASSERT_EQ(error_of(make_pack(1, {kFirst}, kPeople)), "no error");
  sql("DROP TABLE tailrace.events");
  EXPECT_THAT(error_of(make_pack(2, {kSecond}, {})),
              AllOf(HasSubstr("had a table `events`"), HasSubstr("another name")));
  EXPECT_EQ(packs(), "warehouse|1|p000001_w\n");
}

TEST_F(PostgresLoad, an_altered_column_is_named_and_the_load_goes_on_when_it_is_changed_back) {
  ASSERT_EQ(error_of(make_pack(1, {kFirst}, {})), "no error");
  sql("ALTER TABLE tailrace.events ALTER COLUMN revenue TYPE integer");
  EXPECT_THAT(error_of(make_pack(2, {kSecond}, {})),
              AllOf(HasSubstr("`revenue` of `events`"), HasSubstr("integer")));
  sql("ALTER TABLE tailrace.events ALTER COLUMN revenue TYPE numeric");
  EXPECT_EQ(error_of(make_pack(2, {kSecond}, {})), "no error");
}

TEST_F(PostgresLoad, a_table_without_its_unique_index_is_told_of_where_it_is_needed) {
  ASSERT_EQ(error_of(make_pack(1, {}, kPeople)), "no error");
  sql("ALTER TABLE tailrace.people DROP CONSTRAINT people_pkey");
  EXPECT_THAT(error_of(make_pack(2, {}, kPeople)), HasSubstr("unique index over its key"));
}

TEST_F(PostgresLoad, revoked_rights_are_named) {
  ASSERT_EQ(error_of(make_pack(1, {kFirst}, {})), "no error");
  sql("DROP ROLE IF EXISTS writer");
  sql("CREATE ROLE writer LOGIN");
  sql("GRANT USAGE ON SCHEMA tailrace TO writer");
  sql("GRANT ALL ON ALL TABLES IN SCHEMA tailrace TO writer");
  sql("REVOKE INSERT ON tailrace.events FROM writer");
  config_.settings["user"] = "writer";
  const auto done = load(make_pack(2, {kSecond}, {}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Error::Code::invalid_argument);
  EXPECT_THAT(done.error().message, AllOf(HasSubstr("42501"), HasSubstr("grant the user the rights")));
  config_.settings["user"] = "owner";
  EXPECT_EQ(error_of(make_pack(2, {kSecond}, {})), "no error");
  sql("DROP OWNED BY writer; DROP ROLE writer");
}

TEST_F(PostgresLoad, whoever_may_write_the_tables_needs_no_right_to_make_any) {
  ASSERT_EQ(error_of(make_pack(1, {kFirst}, kPeople)), "no error");
  sql("DROP ROLE IF EXISTS filler");
  sql("CREATE ROLE filler LOGIN");
  sql("GRANT USAGE ON SCHEMA tailrace TO filler; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA "
      "tailrace TO filler");
  config_.settings["user"] = "filler";
  EXPECT_EQ(error_of(make_pack(2, {kSecond}, kPeople)), "no error");
  sql("DROP OWNED BY filler; DROP ROLE filler");
}

TEST_F(PostgresLoad, a_file_that_is_not_whole_loads_nothing) {
  TestPack pack = make_pack(1, {kFirst}, {});
  pack.pack.files[0].rows = 3;
  EXPECT_THAT(error_of(pack), HasSubstr("has 2 rows, and the pack says 3"));
  EXPECT_EQ(sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'tailrace'"), "0\n");
}

TEST_F(PostgresLoad, errors_hold_neither_rows_nor_the_password) {
  config_.secrets["password"] = "secret-password";
  config_.settings["database"] = "nowhere";
  EXPECT_THAT(error_of(make_pack(1, {kFirst}, kPeople)), AllOf(HasSubstr("3D000"), Not(HasSubstr("secret"))));
  config_.settings["database"] = "warehouse";
  TestPack bad = make_pack(1, {}, {{{"person", "ada@example.com"}, {"version", "1"}}});
  EXPECT_THAT(error_of(bad), AllOf(HasSubstr("22P02"), Not(HasSubstr("ada@"))));
}

TEST_F(PostgresLoad, the_probe_leaves_nothing_and_finds_what_is_missing) {
  ScriptedTransport transport;
  open(transport);
  EXPECT_TRUE(destination_->probe(config_, transport));
  EXPECT_EQ(sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'tailrace'"), "0\n");
  sql("DROP ROLE IF EXISTS reader");
  sql("CREATE ROLE reader LOGIN");
  config_.settings["user"] = "reader";
  const auto refused = destination_->probe(config_, transport);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("42501"));
  sql("DROP ROLE reader");
}

TEST(PostgresSession, what_the_library_is_told_is_quoted_its_way) {
  Config config;
  config.settings = {{"host", "db.example.com"}, {"database", "o'clock"}, {"user", "a b"}, {"port", "5432"}};
  config.secrets = {{"password", "p'w\\d"}};
  EXPECT_EQ(postgres_session::connection(config),
            R"(host='db.example.com' port='5432' dbname='o\'clock' user='a b' password='p\'w\\d')");
}

}  // namespace
}  // namespace tailrace::destinations
