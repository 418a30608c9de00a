// Against a strict stand-in (support/clickhouse_server.h).
#include <array>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/clickhouse/codec.h"
#include "support/clickhouse_server.h"
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
using testing::PackRows;
using testing::TestPack;

struct Warehouse : testing::WarehouseWorld {
  Warehouse() : WarehouseWorld("clickhouse") {
    transport.server = [this](const HttpRequest& request) { return server.handle(request); };
    config.settings["url"] = "https://clickhouse.example.com:8443/";
    config.secrets["password"] = "secret-password";
    fill_defaults(destination, config);
  }
  PackRows rows(const std::string& table) const { return server.final_rows(table); }
  testing::ClickHouseServer server;
};

TEST(ClickHouse, makes_database_and_tables_and_fills_them) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents, kMore}, kPeople)), "no error");
  EXPECT_EQ(warehouse.server.store.rows("events").size(), 3u);
  EXPECT_EQ(describe(warehouse.server.final_rows("people")),
            "email=new person=1 version=7\nperson=2 version=6");
  const auto& columns = warehouse.server.store.tables.at("events").columns;
  EXPECT_EQ(columns.at("message_id"), "String");
  EXPECT_EQ(columns.at("revenue"), "Nullable(Decimal(38, 9))");
  EXPECT_EQ(columns.at("at"), "Nullable(DateTime64(6, 'UTC'))");
  EXPECT_EQ(warehouse.server.problems, std::vector<std::string>());
}

TEST(ClickHouse, killed_at_any_step_every_row_is_there_once) {
  const auto kills =
      testing::load_through_every_kill<Warehouse>([](Warehouse& warehouse, const std::string& when) {
        // Not only as FINAL shows it: no insert was taken twice.
        EXPECT_EQ(warehouse.server.store.rows("events").size(), 4u) << when;
        EXPECT_EQ(warehouse.server.store.rows("people").size(), 4u) << when;
      });
  EXPECT_GT(kills, 30u);
}

TEST(ClickHouse, new_columns_are_added) {
  testing::expect_new_columns_are_added<Warehouse>("Nullable(String)");
}

TEST(ClickHouse, a_dropped_table_an_altered_column_a_gap_and_a_foreign_pack_say_how_to_mend) {
  testing::expect_drift_is_told<Warehouse>("Nullable(Int32)");
}

TEST(ClickHouse, refusals_are_told_apart_by_their_code_and_repeat_nothing) {
  struct Case {
    int code;
    bool passes;
    const char* says;
  };
  for (const bool late : {false, true}) {
    for (const Case& each :
         {Case{243, true, "disk is full"}, Case{252, true, "too many parts"}, Case{242, true, "read-only"},
          Case{319, true, "does not know"}, Case{497, false, "lacks a right"}, Case{164, false, "`readonly`"},
          Case{27, false, "altered"}, Case{4711, false, "4711"}}) {
      Warehouse warehouse;
      warehouse.server.refuse_inserts = each.code;
      warehouse.server.late = late;
      const auto done = warehouse.load(make_pack(1, {kEvents}, {}));
      ASSERT_FALSE(done) << each.code;
      EXPECT_EQ(done.error().code == Error::Code::unavailable, each.passes) << each.code;
      EXPECT_THAT(done.error().message, AllOf(HasSubstr(each.says), Not(HasSubstr("ada@")))) << each.code;
      warehouse.server.refuse_inserts = 0;
      EXPECT_EQ(warehouse.error_of(make_pack(1, {kEvents}, {})), "no error");
      EXPECT_EQ(warehouse.server.store.rows("events").size(), 2u);
    }
  }
}

TEST(ClickHouse, a_wrong_password_stops) {
  Warehouse warehouse;
  warehouse.config.secrets["password"] = "another";
  const auto done = warehouse.load(make_pack(1, {kEvents}, {}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Error::Code::invalid_argument);
  EXPECT_THAT(done.error().message, HasSubstr("user or password is wrong"));
}

TEST(ClickHouse, the_probe_leaves_no_table) {
  Warehouse warehouse;
  EXPECT_TRUE(warehouse.destination.probe(warehouse.config, warehouse.transport));
  EXPECT_EQ(warehouse.server.store.tables.size(), 0u);
  warehouse.server.refuse_inserts = 497;
  const auto refused = warehouse.destination.probe(warehouse.config, warehouse.transport);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("lacks a right"));
  EXPECT_EQ(warehouse.server.store.tables.size(), 0u);
}

TEST(ClickHouse, on_a_cluster_tables_are_replicated) {
  Config config;
  config.settings = {{"database", "d"}, {"cluster", "main"}};
  EXPECT_EQ(clickhouse_codec::create_table(testing::test_tables()[1], config),
            "CREATE TABLE IF NOT EXISTS `d`.`people` ON CLUSTER `main` (`person` Int64, `email` "
            "Nullable(String), `version` "
            "UInt64) ENGINE = ReplicatedReplacingMergeTree(`version`) ORDER BY (`person`) SETTINGS "
            "replicated_deduplication_window = 1000");
}

}  // namespace
}  // namespace tailrace::destinations
