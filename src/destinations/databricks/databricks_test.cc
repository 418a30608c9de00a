// Against a strict stand-in (support/databricks_server.h).
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/databricks/codec.h"
#include "support/databricks_server.h"
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
  Warehouse() : WarehouseWorld("databricks") {
    transport.server = [this](const HttpRequest& request) { return server.handle(request); };
    config.settings = {{"url", "https://example.cloud.databricks.com/"},
                       {"warehouse_id", "a1b2c3d4e5f60718"},
                       {"catalog", "main"},
                       {"volume_path", "/Volumes/main/tailrace/stage"}};
    config.secrets["access_token"] = server.token;
    fill_defaults(destination, config);
  }
  PackRows rows(const std::string& table) const { return server.store.rows(table); }
  testing::DatabricksServer server;
};

TEST(Databricks, merges_files_of_a_volume_and_removes_them) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents, kMore}, kPeople)), "no error");
  EXPECT_EQ(describe(warehouse.rows("events")),
            "message_id=m1 name=Order Completed revenue=19.99\nmessage_id=m2\nmessage_id=m3");
  EXPECT_EQ(describe(warehouse.rows("people")), "email=new person=1 version=7\nperson=2 version=6");
  EXPECT_EQ(warehouse.server.store.tables.at("events").columns.at("revenue"), "decimal(38,9)");
  EXPECT_EQ(warehouse.server.files.size(), 0u);
  EXPECT_EQ(warehouse.server.problems, std::vector<std::string>());
}

TEST(Databricks, killed_at_any_step_every_row_is_there_once) {
  const auto kills =
      testing::load_through_every_kill<Warehouse>([](Warehouse& warehouse, const std::string& when) {
        EXPECT_EQ(warehouse.server.files.size(), 0u) << when;
      });
  EXPECT_GT(kills, 60u);
}

TEST(Databricks, a_statement_that_was_given_up_and_runs_late_changes_nothing) {
  // Before the pack is there, while the next one comes, and after that.
  for (const int when : {0, 1, 2}) {
    Warehouse warehouse;
    warehouse.server.forget_merges = true;
    const auto given_up = warehouse.load(make_pack(1, {kEvents}, kPeople));
    ASSERT_FALSE(given_up);
    EXPECT_EQ(given_up.error().code, Error::Code::unavailable);
    warehouse.server.forget_merges = false;
    if (when == 0) warehouse.server.run_late();
    ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents}, kPeople)), "no error");
    if (when == 1) warehouse.server.run_late();
    ASSERT_EQ(
        warehouse.error_of(make_pack(2, {kMore}, {{{"person", "1"}, {"email", "newest"}, {"version", "8"}}})),
        "no error");
    if (when == 2) warehouse.server.run_late();
    EXPECT_EQ(warehouse.rows("events").size(), 3u) << when;
    EXPECT_EQ(describe(warehouse.rows("people")), "email=newest person=1 version=8\nperson=2 version=6")
        << when;
  }
}

TEST(Databricks, a_merge_that_fails_is_told_by_its_class_and_repeats_nothing) {
  for (const auto& [words, passes] :
       std::map<std::string, bool>{{"[DELTA_CONCURRENT_APPEND.WHOLE_TABLE_READ] m1", true},
                                   {"[DELTA_METADATA_CHANGED] m1", true},
                                   {"[INSUFFICIENT_PERMISSIONS] m1", false},
                                   {"[DELTA_FAILED_TO_MERGE_FIELDS] m1", false},
                                   {"[SOMETHING_NEW] m1", false},
                                   {"no class of m1", false}}) {
    Warehouse warehouse;
    warehouse.server.refuse_merges = words;
    const auto refused = warehouse.load(make_pack(1, {kEvents}, {}));
    ASSERT_FALSE(refused) << words;
    EXPECT_EQ(refused.error().code == Error::Code::unavailable, passes) << words;
    EXPECT_THAT(refused.error().message, AllOf(Not(HasSubstr("ada@")), Not(HasSubstr("m1")))) << words;
    EXPECT_EQ(warehouse.rows("_tailrace_packs").size(), 0u);
    warehouse.server.refuse_merges = "";
    EXPECT_EQ(warehouse.error_of(make_pack(1, {kEvents}, {})), "no error");
    EXPECT_EQ(warehouse.rows("events").size(), 2u);
  }
}

TEST(Databricks, a_dropped_table_an_altered_column_a_gap_and_a_foreign_pack_say_how_to_mend) {
  testing::expect_drift_is_told<Warehouse>("int");
}

TEST(Databricks, new_columns_are_added) { testing::expect_new_columns_are_added<Warehouse>("string"); }

TEST(Databricks, a_service_principal_fetches_a_token_once) {
  Warehouse warehouse;
  warehouse.config.secrets = {{"client_id", "secret-client"}, {"client_secret", "secret-word"}};
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents}, {})), "no error");
  EXPECT_THAT(warehouse.transport.log, ::testing::Contains(HasSubstr("/oidc/v1/token")).Times(1));
  warehouse.config.secrets["client_secret"] = "secret-other";
  EXPECT_THAT(warehouse.error_of(make_pack(2, {kMore}, {})),
              AllOf(HasSubstr("invalid_client"), Not(HasSubstr("secret-other"))));
}

TEST(Databricks, a_wrong_token_stops) {
  Warehouse warehouse;
  warehouse.config.secrets["access_token"] = "secret-other";
  const auto done = warehouse.load(make_pack(1, {kEvents}, {}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Error::Code::invalid_argument);
  EXPECT_THAT(done.error().message, HasSubstr("give a valid one"));
}

TEST(Databricks, the_probe_leaves_nothing_and_finds_out_about_the_volume) {
  Warehouse warehouse;
  EXPECT_TRUE(warehouse.destination.probe(warehouse.config, warehouse.transport));
  EXPECT_EQ(warehouse.server.store.tables.size(), 0u);
  EXPECT_EQ(warehouse.server.files.size(), 0u);
  warehouse.server.may_write_files = false;
  const auto refused = warehouse.destination.probe(warehouse.config, warehouse.transport);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("a right is missing"));
}

TEST(Databricks, checks_the_volume_and_the_warehouse) {
  Warehouse warehouse;
  EXPECT_EQ(warehouse.destination.check(warehouse.config), std::vector<std::string>());
  for (const char* bad :
       {"/Volumes/main/tailrace", "main.tailrace.stage", "/Volumes/main/tailrace/sta`ge",
        "/Volumes/main//stage/x", "/Volumes/main/tailrace/", "/Volumes/main/tailrace//",
        "/Volumes/main/tailrace/..", "/Volumes/main/tailrace/stage/../x", "/Volumes/main/./stage"}) {
    warehouse.config.settings["volume_path"] = bad;
    EXPECT_EQ(warehouse.destination.check(warehouse.config).size(), 1u) << bad;
  }
  warehouse.config.settings["volume_path"] = "/Volumes/main/tailrace/stage/folder/";
  warehouse.config.settings["warehouse_id"] = "a/b";
  EXPECT_EQ(warehouse.destination.check(warehouse.config).size(), 1u);
}

TEST(Databricks, a_schema_is_in_small_letters) {
  Warehouse warehouse;
  warehouse.config.settings["schema"] = "Tailrace_EU";
  EXPECT_THAT(warehouse.destination.check(warehouse.config),
              ::testing::ElementsAre(HasSubstr("write tailrace_eu")));
}

}  // namespace
}  // namespace tailrace::destinations
