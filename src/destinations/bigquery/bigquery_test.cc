// Against a strict stand-in (support/bigquery_server.h).
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destinations/bigquery/codec.h"
#include "support/bigquery_server.h"
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
  Warehouse() : WarehouseWorld("bigquery") {
    transport.server = [this](const HttpRequest& request) { return server.handle(request); };
    config.settings["project"] = "example-project";
    config.secrets = {{"client_id", "secret-client"},
                      {"client_secret", "secret-word"},
                      {"refresh_token", "secret-refresh"}};
    fill_defaults(destination, config);
  }
  PackRows rows(const std::string& table) const { return server.store.rows(table); }
  testing::BigQueryServer server;
};

TEST(BigQuery, makes_dataset_and_tables_fills_them_and_leaves_no_stage) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents, kMore}, kPeople)), "no error");
  EXPECT_EQ(describe(warehouse.server.store.rows("events")),
            "message_id=m1 name=Order Completed revenue=19.99\nmessage_id=m2\nmessage_id=m3");
  EXPECT_EQ(describe(warehouse.server.store.rows("people")),
            "email=new person=1 version=7\nperson=2 version=6");
  EXPECT_EQ(warehouse.server.store.tables.size(), 3u);
  const auto& columns = warehouse.server.store.tables.at("events").columns;
  EXPECT_EQ(columns.at("revenue"), "NUMERIC");
  EXPECT_EQ(columns.at("at"), "TIMESTAMP");
  EXPECT_EQ(warehouse.server.problems, std::vector<std::string>());
}

TEST(BigQuery, killed_at_any_step_every_row_is_there_once) {
  const auto kills =
      testing::load_through_every_kill<Warehouse>([](Warehouse& warehouse, const std::string& when) {
        EXPECT_EQ(warehouse.server.store.tables.size(), 3u) << when;  // and no stage
      });
  EXPECT_GT(kills, 80u);
}

TEST(BigQuery, a_file_goes_out_in_pieces) {
  Warehouse warehouse;
  TestPack pack = make_pack(1, {kEvents}, {});
  PackFile& file = pack.pack.files[0];
  std::string& bytes = pack.bytes[file.path];
  for (int i = 0; bytes.size() < (33u << 20); ++i)
    bytes += fmt::format("x{},{},,\n", i, std::string(100'000, 'n'));
  file.bytes = bytes.size();
  ASSERT_EQ(warehouse.error_of(pack), "no error");
  EXPECT_EQ(warehouse.server.piece_bytes, 32u << 20);
  EXPECT_GT(warehouse.server.store.rows("events").size(), 300u);
  EXPECT_EQ(warehouse.server.problems, std::vector<std::string>());
}

TEST(BigQuery, a_job_that_failed_is_followed_by_another_of_the_next_number) {
  Warehouse warehouse;
  warehouse.server.refuse_loads = "backendError";
  const auto failed = warehouse.load(make_pack(1, {kEvents}, {}));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Error::Code::unavailable);
  warehouse.server.refuse_loads = "invalid";
  const auto refused = warehouse.load(make_pack(1, {kEvents}, {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Error::Code::invalid_argument);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("altered"), Not(HasSubstr("ada@"))));
  warehouse.server.refuse_loads = "";
  EXPECT_EQ(warehouse.error_of(make_pack(1, {kEvents}, {})), "no error");
  EXPECT_EQ(warehouse.server.store.rows("events").size(), 2u);
}

TEST(BigQuery, tables_that_were_removed_are_filled_again_after_a_reset_with_the_same_packs) {
  Warehouse warehouse;
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents}, kPeople)), "no error");
  warehouse.server.store.tables.clear();
  ASSERT_EQ(warehouse.error_of(make_pack(1, {kEvents}, kPeople)), "no error");
  EXPECT_EQ(warehouse.server.store.rows("events").size(), 2u);
  EXPECT_EQ(warehouse.server.store.rows("people").size(), 2u);
}

TEST(BigQuery, new_columns_are_added_and_the_others_kept) {
  testing::expect_new_columns_are_added<Warehouse>("STRING");
}

TEST(BigQuery, a_dropped_table_an_altered_column_a_gap_and_a_foreign_pack_say_how_to_mend) {
  testing::expect_drift_is_told<Warehouse>("INTEGER");
}

TEST(BigQuery, refusals_are_told_apart_by_their_reason_not_by_their_status) {
  Warehouse warehouse;
  for (const auto& [reason, passes] : std::map<std::string, bool>{{"rateLimitExceeded", true},
                                                                  {"quotaExceeded", true},
                                                                  {"accessDenied", false},
                                                                  {"billingNotEnabled", false}}) {
    warehouse.server.refuse_all = reason;
    const auto done = warehouse.load(make_pack(1, {kEvents}, {}));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code == Error::Code::unavailable, passes) << reason;
    EXPECT_THAT(done.error().message, HasSubstr(reason));
  }
}

TEST(BigQuery, an_upload_goes_to_no_other_host) {
  Config config;
  config.settings["api_url"] = "https://bigquery.googleapis.com";
  const bigquery_codec::Session session{config, "t", "EU"};
  EXPECT_TRUE(bigquery_codec::decode_upload(
      {200, {{"Location", "https://bigquery.googleapis.com/upload/1"}}, ""}, session));
  for (const char* elsewhere : {"https://example.com/", "https://bigquery.googleapis.com.example.com/",
                                "http://bigquery.googleapis.com/", ""})
    EXPECT_FALSE(bigquery_codec::decode_upload({200, {{"Location", elsewhere}}, ""}, session)) << elsewhere;
}

TEST(BigQuery, the_probe_leaves_no_table) {
  Warehouse warehouse;
  EXPECT_TRUE(warehouse.destination.probe(warehouse.config, warehouse.transport));
  EXPECT_EQ(warehouse.server.store.tables.size(), 0u);
}

}  // namespace
}  // namespace tailrace::destinations
