// On a real PostgreSQL server that is made to differ as Redshift does (support/redshift_server.h), and
// against a strict stand-in of S3.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/redshift/csv_parts.h"
#include "destinations/redshift/statements.h"
#include "io/postgres_session.h"
#include "support/postgres_server.h"
#include "support/redshift_server.h"
#include "support/warehouse_world.h"

namespace tailrace::destinations {
namespace {

using ::testing::AllOf;
using testing::describe;
using ::testing::HasSubstr;
using testing::kEvents;
using testing::kMore;
using testing::kPeople;
using testing::make_pack;
using ::testing::Not;
using testing::ObjectStoreServer;
using testing::PackRow;
using testing::PackRows;
using testing::TestPack;

testing::PostgresServer& postgres() { return *testing::PostgresServer::instance(); }

SqlSession& judge() {
  static const std::unique_ptr<SqlSession> kSession = [] {
    postgres().create_database("redshift");
    return io::connect_postgres(postgres().connection("redshift"), {}).value();
  }();
  return *kSession;
}

// Its tables begin empty.
struct Warehouse : testing::WarehouseWorld {
  Warehouse() : WarehouseWorld("redshift") {
    EXPECT_TRUE(judge().run("DROP SCHEMA IF EXISTS tailrace CASCADE"));
    transport.server = [this](const HttpRequest& request) { return files.handle(request); };
    transport.sql_server = [this](const std::string& connection) -> Result<std::unique_ptr<SqlSession>> {
      return server.over(TRY(io::connect_postgres(connection, {})));
    };
    config.settings = {{"host", postgres().folder()},
                       {"port", "5432"},
                       {"database", "redshift"},
                       {"user", "owner"},
                       {"location", "s3://example-lake/redshift"},
                       {"iam_role", "arn:aws:iam::123456789012:role/copy"}};
    config.secrets = {{"access_key_id", files.key_id}, {"secret_access_key", files.secret}};
    fill_defaults(destination, config);
  }
  // Without nulls and zeros at the end of numbers; times are left out.
  PackRows rows(const std::string& table) const {
    PackRows rows;
    const auto found = judge().run(fmt::format("SELECT * FROM tailrace.{}", table));
    if (!found) return rows;
    for (const auto& row : found->rows) {
      PackRow& out = rows.emplace_back();
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (!row[i] || found->columns[i].name == "loaded_at") continue;
        std::string value = *row[i];
        if (found->columns[i].name == "revenue") value.erase(value.find_last_not_of('0') + 1);
        out[found->columns[i].name] = value;
      }
    }
    return rows;
  }
  std::string run(const std::string& sql) const { return postgres().psql("redshift", sql); }

  ObjectStoreServer files{ObjectStoreServer::Speaks::amazon};
  testing::RedshiftServer server{files};
};

class Redshift : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::PostgresServer::instance() == nullptr) GTEST_SKIP() << testing::PostgresServer::why();
  }
};

TEST_F(Redshift, copies_files_of_a_bucket_in_one_transaction_and_removes_them) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents, kMore}, kPeople)), "no error");
  EXPECT_EQ(describe(warehouse.rows("events")),
            "message_id=m1 name=Order Completed revenue=19.99\nmessage_id=m2\nmessage_id=m3");
  EXPECT_EQ(describe(warehouse.rows("people")), "email=new person=1 version=7\nperson=2 version=6");
  EXPECT_EQ(describe(warehouse.rows("_tailrace_packs")),
            "pack_id=p000001_w sequence=1 sync=warehouse tables=events,people");
  EXPECT_EQ(warehouse.files.objects.size(), 0u);
  EXPECT_EQ(warehouse.server.problems, std::vector<std::string>());
}

TEST_F(Redshift, killed_at_any_step_every_row_is_there_once) {
  const auto kills =
      testing::load_through_every_kill<Warehouse>([](Warehouse& warehouse, const std::string& when) {
        EXPECT_EQ(warehouse.files.objects.size(), 0u) << when;
        EXPECT_EQ(warehouse.files.problems, std::vector<std::string>()) << when;
      });
  EXPECT_GT(kills, 100u);
}

TEST_F(Redshift, a_session_that_was_given_up_and_ends_late_is_found_behind_the_lock) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents}, {})), "no error");
  const auto other = io::connect_postgres(postgres().connection("redshift"), {}).value();
  // It commits after the packs were asked for, and before they are locked.
  warehouse.transport.server = [&](const HttpRequest& request) {
    if (request.method == "PUT" && request.url.ends_with(".manifest")) {
      EXPECT_TRUE(other->run("INSERT INTO tailrace.events (message_id) VALUES ('m3')"));
      EXPECT_TRUE(
          other->run("INSERT INTO tailrace._tailrace_packs SELECT sync, 2, 'p000002_w', tables, now() FROM "
                     "tailrace._tailrace_packs"));
    }
    return warehouse.files.handle(request);
  };
  ASSERT_EQ(warehouse.error_of(make_pack(2, {kMore}, {})), "no error");
  EXPECT_EQ(warehouse.rows("events").size(), 3u);
  EXPECT_EQ(warehouse.rows("_tailrace_packs").size(), 2u);
  EXPECT_EQ(warehouse.files.objects.size(), 0u);
}

TEST_F(Redshift, an_older_version_changes_nobody) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {}, kPeople)), "no error");
  ASSERT_EQ(warehouse.error_of(make_pack(2, {},
                                         {{{"person", "1"}, {"email", "late"}, {"version", "6"}},
                                          {{"person", "3"}, {"version", "1"}}})),
            "no error");
  EXPECT_EQ(describe(warehouse.rows("people")),
            "email=new person=1 version=7\nperson=2 version=6\nperson=3 version=1");
}

TEST_F(Redshift, new_columns_are_added_and_columns_of_others_are_left_alone) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents}, {})), "no error");
  warehouse.run("ALTER TABLE tailrace.events ADD COLUMN mine text DEFAULT 'x'");
  auto tables = testing::test_tables();
  tables[0].columns.push_back({"coupon", ColumnType::text, ""});
  ASSERT_EQ(warehouse.error_of(make_pack(2, {{{{"message_id", "m9"}, {"coupon", "SPRING"}}}}, {}, tables)),
            "no error");
  EXPECT_EQ(
      warehouse.run("SELECT coupon, mine FROM tailrace.events WHERE message_id IN ('m1', 'm9') ORDER BY 1"),
      "SPRING|x\n|x\n");
}

TEST_F(Redshift, a_dropped_table_an_altered_column_a_gap_and_a_foreign_pack_say_how_to_mend) {
  Warehouse warehouse;
  EXPECT_THAT(warehouse.error_of(make_pack(2, {kEvents}, {})), HasSubstr("holds no pack"));
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents}, kPeople)), "no error");
  TestPack foreign = make_pack(1, {kMore}, {});
  foreign.pack.id = "other";
  EXPECT_THAT(warehouse.error_of(foreign), HasSubstr("another pack 1"));
  warehouse.run("ALTER TABLE tailrace.events ALTER COLUMN name TYPE varchar(20)");
  EXPECT_THAT(warehouse.error_of(make_pack(2, {kMore}, {})), HasSubstr("`name` of `events`"));
  warehouse.run("DROP TABLE tailrace.events");
  EXPECT_THAT(warehouse.error_of(make_pack(2, {kMore}, {})),
              AllOf(HasSubstr("had a table `events`"), HasSubstr("another name")));
  EXPECT_EQ(warehouse.rows("_tailrace_packs").size(), 1u);
}

TEST_F(Redshift, revoked_rights_are_named) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents}, {})), "no error");
  warehouse.run("DROP ROLE IF EXISTS filler");
  warehouse.run("CREATE ROLE filler LOGIN");
  warehouse.run("GRANT USAGE ON SCHEMA tailrace TO filler; GRANT ALL ON tailrace._tailrace_packs TO filler");
  warehouse.config.settings["user"] = "filler";
  const auto refused = warehouse.load(make_pack(2, {kMore}, {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Error::Code::invalid_argument);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("42501"), HasSubstr("grant the user the rights")));
  warehouse.config.settings["user"] = "owner";
  EXPECT_EQ(warehouse.error_of(make_pack(2, {kMore}, {})), "no error");
  warehouse.run("DROP OWNED BY filler; DROP ROLE filler");
}

TEST_F(Redshift, a_copy_that_fails_leaves_nothing_and_repeats_nothing) {
  struct Case {
    const char* error;
    bool passes;
    const char* says;
  };
  for (const Case& each :
       {Case{"XX000: 1023", true, "another transaction"},
        Case{"XX000: 1023 DETAIL: Serializable isolation violation on table - 1", true,
             "another transaction"},
        Case{"XX000: Load into table 'events' failed at line 1023, check 'stl_load_errors'", false,
             "altered"},
        Case{"XX000: S3ServiceException:Please reduce your request rate,Status 503,Error SlowDown", true,
             "too slowly"},
        Case{"XX000: S3ServiceException:Internal,Status 500,Error InternalError", true, "too slowly"},
        Case{"XX000: S3ServiceException:Please reduce your request rate,Error SlowDown", true, "too slowly"},
        Case{"XX000: S3ServiceException:No such key,Status 404,Error Status 50", false, "iam_role"},
        Case{"XX000: S3CurlException: Connection timed out", true, "inside Redshift"},
        Case{"XX000: Load into table 'events' failed. Check 'stl_load_errors' for ada@example.com", false,
             "altered"},
        Case{"XX000: S3ServiceException:Access Denied,Status 403", false, "iam_role"},
        Case{"XX000: User arn is not authorized to assume IAM Role", false, "attach it"},
        Case{"XX000: Disk Full", true, "make room"},
        Case{"XX000: ada@example.com", true, "inside Redshift"}}) {
    Warehouse warehouse;
    warehouse.server.refuse_copies = each.error;
    const auto refused = warehouse.load(make_pack(1, {kEvents}, kPeople));
    ASSERT_FALSE(refused) << each.error;
    EXPECT_EQ(refused.error().code == Error::Code::unavailable, each.passes) << each.error;
    EXPECT_THAT(refused.error().message, AllOf(HasSubstr(each.says), Not(HasSubstr("ada@")))) << each.error;
    EXPECT_EQ(warehouse.rows("_tailrace_packs").size() + warehouse.rows("events").size(), 0u) << each.error;
    warehouse.server.refuse_copies = "";
    EXPECT_EQ(warehouse.error_of(make_pack(1, {kEvents}, kPeople)), "no error");
    EXPECT_EQ(warehouse.rows("events").size(), 2u);
  }
}

TEST_F(Redshift, rows_that_are_left_out_are_noticed_and_nothing_is_kept) {
  Warehouse warehouse;
  warehouse.server.rows_left_out = 1;
  EXPECT_THAT(warehouse.error_of(make_pack(1, {kEvents}, {})),
              HasSubstr("other rows into events than the 2"));
  EXPECT_EQ(warehouse.rows("events").size(), 0u);
  TestPack short_one = make_pack(1, {kEvents}, {});
  short_one.pack.files[0].rows = 3;
  EXPECT_THAT(warehouse.error_of(short_one), HasSubstr("has 2 rows, and the pack says 3"));
}

TEST_F(Redshift, texts_that_are_too_long_or_hold_a_zero_come_as_they_can) {
  Warehouse warehouse;
  auto tables = testing::test_tables();
  tables[0].columns.push_back({"properties", ColumnType::json, ""});
  const std::string is_long(70'000, 'x');
  ASSERT_EQ(warehouse.error_of(
                make_pack(1,
                          {{{{"message_id", "m1"}, {"name", is_long}, {"properties", is_long}},
                            {{"message_id", "m2"}, {"name", std::string("a\0b", 3)}, {"properties", "{}"}},
                            {{"message_id", "m3"}, {"name", "say \"so\""}}}},
                          {}, tables)),
            "no error");
  EXPECT_EQ(warehouse.run("SELECT length(name), properties FROM tailrace.events ORDER BY message_id"),
            "65535|\n3|{}\n8|\n");
  EXPECT_EQ(warehouse.run("SELECT name FROM tailrace.events WHERE message_id > 'm1' ORDER BY message_id"),
            "a\xef\xbf\xbd"
            "b\nsay \"so\"\n");
}

TEST_F(Redshift, the_probe_leaves_nothing_and_finds_what_is_missing) {
  Warehouse warehouse;
  EXPECT_TRUE(warehouse.destination.probe(warehouse.config, warehouse.transport));
  EXPECT_EQ(warehouse.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'tailrace'"), "0\n");
  EXPECT_EQ(warehouse.files.objects.size(), 0u);
  warehouse.server.refuse_copies = "XX000: S3ServiceException:Access Denied";
  const auto refused = warehouse.destination.probe(warehouse.config, warehouse.transport);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("may not read the bucket"));
  EXPECT_EQ(warehouse.files.objects.size(), 0u);
}

TEST_F(Redshift, a_schema_is_in_small_letters) {
  Warehouse warehouse;
  EXPECT_EQ(warehouse.destination.check(warehouse.config), std::vector<std::string>());
  warehouse.config.settings["schema"] = "Tailrace_EU";
  EXPECT_THAT(warehouse.destination.check(warehouse.config),
              ::testing::ElementsAre(HasSubstr("write tailrace_eu")));
}

std::vector<std::string> parts_of(const std::vector<std::string>& pieces, std::size_t part_bytes) {
  std::vector<std::string> all;
  WarehouseTable table = testing::test_tables()[0];
  table.columns = {{"a", ColumnType::text, ""}, {"b", ColumnType::json, ""}};
  redshift_csv::Parts parts(table, part_bytes, [&](std::string part) -> Result<void> {
    all.push_back(std::move(part));
    return {};
  });
  for (const std::string& piece : pieces) EXPECT_TRUE(parts.add(piece));
  const auto rows = parts.finish();
  all.push_back(rows ? fmt::format("{} rows", *rows) : rows.error().message);
  return all;
}

TEST(RedshiftCsv, tells_a_null_from_an_empty_text) {
  EXPECT_EQ(parts_of({"a,b\n,\"\"\n1,\n"}, 1000),
            (std::vector<std::string>{"~null~,\"\"\n\"1\",~null~\n", "2 rows"}));
}

TEST(RedshiftCsv, is_cut_between_rows_wherever_it_comes_in_pieces) {
  const std::string text = "a,b\n\"x\ny\",\"say \"\"so\"\"\"\n\"p,q\",2\n";
  const std::vector<std::string> whole{"\"x\ny\",\"say \"\"so\"\"\"\n", "\"p,q\",\"2\"\n", "2 rows"};
  for (std::size_t at = 0; at <= text.size(); ++at)
    EXPECT_EQ(parts_of({text.substr(0, at), text.substr(at)}, 1), whole) << at;
}

TEST(RedshiftCsv, a_row_without_its_end_is_an_error) {
  EXPECT_EQ(parts_of({"a,b\n\"x"}, 1000), std::vector<std::string>{"a row of the pack has no end"});
}

TEST(RedshiftCsv, a_long_text_is_cut_between_characters) {
  const auto parts = parts_of({"a,b\n" + std::string(65'534, 'x') + "\xc3\xa4,\n"}, 1000);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0], "\"" + std::string(65'534, 'x') + "\",~null~\n");
}

TEST(RedshiftStatements, a_manifest_names_its_files_again) {
  const std::string manifest = redshift_statements::manifest("s3://example-lake/r", {"a.csv", "b.csv"});
  EXPECT_EQ(
      manifest,
      R"({"entries":[{"url":"s3://example-lake/r/a.csv","mandatory":true},{"url":"s3://example-lake/r/b.csv","mandatory":true}]})");
  EXPECT_EQ(redshift_statements::names_in(manifest, "s3://example-lake/r"),
            (std::vector<std::string>{"a.csv", "b.csv"}));
  EXPECT_EQ(redshift_statements::names_in("nothing", "s3://example-lake/r"), std::vector<std::string>());
}

}  // namespace
}  // namespace tailrace::destinations
